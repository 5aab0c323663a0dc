//! Watermarks, both ways.

use klatch_domain::{Audience, Code, Event, Generation, Position, RoomId, Seq, WatermarkMoved};
use klatch_protocol::{ClientFrame, ServerFrame, SignalOut, Watch, WatermarkOut};
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, World, soon},
};

fn read(room: RoomId, seq: u64) -> ClientFrame {
    ClientFrame::Watermark(WatermarkOut { room, read: Some(Position::first(seq)), delivered: None })
}

async fn error(client: &mut Client) -> (Code, Option<String>) {
    match client.next().await {
        ServerFrame::Error(error) => (error.code, error.reference),
        other => panic!("expected an error: {other:?}"),
    }
}

#[tokio::test]
async fn reports_are_gathered_to_the_furthest() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let room = Room::large(&[ada]);
    world.queries.know(&room);
    let mut moves = world.bus.watermarks.consume().await;
    let mut client = Client::greet(&world, &gateway, ada).await;
    let mut frames: Vec<_> = [3, 7, 5].map(|seq| read(room.id, seq)).into();
    frames.push(ClientFrame::Watermark(WatermarkOut {
        room: room.id,
        read: None,
        delivered: Some(Position::first(9)),
    }));
    client.say_all(&frames).await;
    let batch = soon("a report", moves.receive()).await.unwrap();
    assert_eq!(batch.len(), 1);
    assert_eq!((batch[0].room, batch[0].user, batch[0].session), (room.id, ada.user, ada.session));
    assert_eq!((batch[0].read, batch[0].delivered), (Some(Position::first(7)), Some(Position::first(9))));
}

#[tokio::test]
async fn reports_for_rooms_one_is_not_in_are_refused_and_go_nowhere() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let (theirs, own) = (Room::large(&[ben]), Room::large(&[ada]));
    world.queries.know(&theirs);
    world.queries.know(&own);
    let mut moves = world.bus.watermarks.consume().await;
    let mut client = Client::greet(&world, &gateway, ada).await;
    for room in [theirs.id, RoomId::now()] {
        client.say(&read(room, 1)).await;
        assert_eq!(error(&mut client).await, (Code::RoomNotFound, Some(room.to_string())));
    }
    let beyond = Position { generation: Generation(1), seq: Seq(1 << 53) };
    for (read, delivered) in [(Some(beyond), None), (None, Some(beyond)), (None, None)] {
        client.say(&ClientFrame::Watermark(WatermarkOut { room: own.id, read, delivered })).await;
        assert_eq!(error(&mut client).await, (Code::ValidationFailed, Some(own.id.to_string())));
    }
    client.say(&read(own.id, 2)).await;
    let batch = soon("a report", moves.receive()).await.unwrap();
    assert_eq!(batch.iter().map(|moved| moved.room).collect::<Vec<_>>(), [own.id]);
}

#[tokio::test]
async fn moves_reach_exactly_their_audience() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let room = RoomId::now();
    let mut reader = Client::greet(&world, &gateway, ada).await;
    let mut phone = Client::greet(&world, &gateway, ada.other()).await;
    let mut other = Client::greet(&world, &gateway, ben).await;
    let moved = |users: &[Device], seq| {
        Event::Watermark(
            WatermarkMoved {
                room,
                user: ada.user,
                read: Some(Position::first(seq)),
                delivered: None,
                audience: Audience::Members(users.iter().map(|device| device.user).collect()),
            }
            .into(),
        )
    };
    world.publish(vec![moved(&[ada], 4), moved(&[ada, ben], 5)]).await;
    for (client, seqs) in [(&mut reader, &[4, 5][..]), (&mut phone, &[4, 5]), (&mut other, &[5])] {
        for seq in seqs {
            match client.next().await {
                ServerFrame::Watermark(watermark) => {
                    assert_eq!((watermark.room, watermark.user), (room, ada.user));
                    assert_eq!((watermark.read, watermark.delivered), (Some(Position::first(*seq)), None));
                }
                ref other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_was_answered_no_longer_counts_among_what_is_asked() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.limits.signals_per_second = 1_000).await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    // More in a row than may wait at once.
    for _ in 0..300 {
        let room = RoomId::now();
        let signal = SignalOut { room, kind: "typing".into(), payload: None, ttl_ms: None };
        let watch = Watch { rooms: vec![room], presence: Vec::new() };
        for frame in [read(room, 1), ClientFrame::Signal(signal), ClientFrame::Watch(watch)] {
            client.say(&frame).await;
            assert_eq!(error(&mut client).await, (Code::RoomNotFound, Some(room.to_string())));
        }
    }
}
