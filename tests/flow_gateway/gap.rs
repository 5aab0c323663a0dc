//! When something was missed.

use std::time::Duration;

use klatch_bus::in_process::Options;
use klatch_domain::Code;
use klatch_protocol::{ClientFrame, Ping, ServerFrame, SignalOut, Watch};
use klatch_tests::{
    gateway_client::{Client, hello},
    gateway_world::{Device, Room, World, until},
};

/// More events at once than a subscriber's queue takes: the next thing it hears is a gap.
async fn lose(world: &World, room: &mut Room, from: Device) {
    let events = (0..65).map(|number| room.say(from, &format!("lost {number}"))).collect();
    world.publish(events).await;
}

/// The next frame behind what fitted before the queue overflowed.
async fn behind_messages(client: &mut Client) -> ServerFrame {
    loop {
        match client.next().await {
            ServerFrame::Message(_) => {}
            other => return other,
        }
    }
}

async fn narrow() -> World {
    World::with(Options { event_queue_events: 64, ..Options::default() }).await
}

#[tokio::test]
async fn after_a_gap_rooms_that_went_on_hear_their_position() {
    let world = narrow().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let (mut went_on, mut quiet, mut large) = (Room::small(&[ada, ben]), Room::small(&[ada]), Room::large(&[ada, ben]));
    world.queries.know(&large);
    let mut client = Client::greet(&world, &gateway, ada).await;
    for room in [&mut went_on, &mut quiet, &mut large] {
        world.publish(vec![room.say(ben, "known")]).await;
        assert_eq!(client.text().await, "known");
    }
    lose(&world, &mut went_on, ben).await;
    large.say(ben, "lost too");
    for room in [&went_on, &quiet, &large] {
        world.queries.know(room);
    }
    let mut heads = Vec::new();
    while heads.len() < 2 {
        match client.next().await {
            ServerFrame::Position(position) => heads.push((position.room, (position.head, position.head_ordinal))),
            // What fitted before the queue overflowed.
            ServerFrame::Message(_) => {}
            other => panic!("{other:?}"),
        }
    }
    heads.sort_unstable_by_key(|(room, _)| *room);
    let mut expected = vec![(went_on.id, went_on.head()), (large.id, large.head())];
    expected.sort_unstable_by_key(|(room, _)| *room);
    assert_eq!(heads, expected);
    world.publish(vec![quiet.say(ben, "goes on")]).await;
    assert_eq!(client.text().await, "goes on");
    assert_eq!(gateway.metric("klatch_gateway_gaps_total"), 1.0);
}

/// An outage of api or of a shard that outlasts the gap: nobody else would tell the clients for minutes.
#[tokio::test]
async fn after_a_gap_rooms_are_asked_about_until_somebody_answers() {
    let world = narrow().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::small(&[ada, ben]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    world.publish(vec![room.say(ben, "known")]).await;
    assert_eq!(client.text().await, "known");
    world.queries.fail(true);
    lose(&world, &mut room, ben).await;
    until("many tries", || gateway.metric("klatch_gateway_rooms_asked_again_total") >= 6.0).await;
    world.queries.know(&room);
    world.queries.fail(false);
    match behind_messages(&mut client).await {
        ServerFrame::Position(position) => assert_eq!((position.head, position.head_ordinal), room.head()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_gap_may_hide_a_removal_and_a_revocation() {
    let world = narrow().await;
    let gateway = world.gateway().await;
    let (ada, ben, cyd) = (Device::new(), Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    world.queries.know(&room);
    let mut stays = Client::greet(&world, &gateway, ada).await;
    let mut goes = Client::greet(&world, &gateway, ben).await;
    let mut revoked = Client::greet(&world, &gateway, cyd).await;
    for client in [&mut stays, &mut goes] {
        client.say(&ClientFrame::Watch(Watch { rooms: vec![room.id], presence: Vec::new() })).await;
    }
    world.publish(vec![room.say(ada, "known")]).await;
    assert_eq!(stays.text().await, "known");
    assert_eq!(goes.text().await, "known");
    let mut noise = Room::small(&[cyd]);
    let _lost = room.remove(ben.user, ada);
    world.queries.know(&room);
    world.queries.revoke(cyd.session, cyd.user, world.now());
    lose(&world, &mut noise, ada).await;
    assert_eq!(revoked.closed().await, 4503);
    match stays.next().await {
        ServerFrame::Position(position) => assert_eq!(position.head.seq, room.version),
        other => panic!("{other:?}"),
    }
    let signal = SignalOut { room: room.id, kind: "typing".into(), payload: None, ttl_ms: None };
    let mut tablet = Client::greet(&world, &gateway, ada.other()).await;
    tablet.say(&ClientFrame::Signal(signal)).await;
    assert!(matches!(stays.next().await, ServerFrame::Signal(_)));
    goes.is_quiet().await;
}

#[tokio::test]
async fn a_gap_may_hide_that_a_room_is_gone() {
    let world = narrow().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::small(&[ada]);
    world.queries.know(&room);
    let mut client = Client::greet(&world, &gateway, ada).await;
    world.publish(vec![room.say(ada, "known")]).await;
    assert_eq!(client.text().await, "known");
    world.queries.forget(room.id);
    let mut noise = Room::small(&[ben]);
    world.queries.know(&noise);
    lose(&world, &mut noise, ben).await;
    let signal = SignalOut { room: room.id, kind: "typing".into(), payload: None, ttl_ms: None };
    // Taken silently while the room is known still; a ping shows that it was.
    let code = loop {
        client.say(&ClientFrame::Signal(signal.clone())).await;
        client.say(&ClientFrame::Ping(Ping::default())).await;
        match client.next().await {
            ServerFrame::Error(error) => break error.code,
            ServerFrame::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, Code::RoomNotFound);
}

#[tokio::test]
async fn sends_whose_outcome_may_be_lost_are_to_be_sent_again() {
    let world = narrow().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::small(&[ada]);
    let mut noise = Room::small(&[ada, ben]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    world.publish(vec![noise.say(ben, "known")]).await;
    assert_eq!(client.text().await, "known");
    let (one, two) = (client.send(room.id, "1").await, client.send(room.id, "2").await);
    for _ in 0..2 {
        world.command().await;
    }
    // Known before the loss, and further on after it: a position says that the recovery has come this far.
    world.queries.know(&noise);
    lose(&world, &mut noise, ben).await;
    world.queries.know(&noise);
    for id in [one, two] {
        match behind_messages(&mut client).await {
            ServerFrame::Refused(refused) => {
                assert_eq!((refused.message_id, refused.code, refused.retryable), (id, Code::Busy, true));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(behind_messages(&mut client).await, ServerFrame::Position(position) if position.room == noise.id));
    client.send_as(room.id, one, "1").await;
    let command = world.command().await;
    let event = room.store(&command);
    world.publish(vec![event, room.stored(&command)]).await;
    assert!(matches!(client.next().await, ServerFrame::Stored(stored) if stored.message_id == one));
}

#[tokio::test]
async fn a_lost_lease_registers_everyone_again_and_counts_as_a_gap() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    world.publish(vec![room.say(ada, "known")]).await;
    assert_eq!(client.text().await, "known");
    let incarnation = world.bus.presence.gateways_of(&[ada.user]).await.unwrap().gateways[0];
    world.bus.presence.leave(incarnation).await.unwrap();
    room.say(ada, "went past this gateway");
    world.queries.know(&room);
    match client.next().await {
        ServerFrame::Position(position) => assert_eq!((position.head, position.head_ordinal), room.head()),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.bus.presence.gateways_of(&[ada.user]).await.unwrap().gateways, [incarnation]);
}

#[tokio::test]
async fn who_connects_while_presence_has_lost_the_lease_is_welcome_and_registered_later() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let _first = Client::greet(&world, &gateway, ada).await;
    let incarnation = world.bus.presence.gateways_of(&[ada.user]).await.unwrap().gateways[0];
    world.bus.presence.leave(incarnation).await.unwrap();
    let ben = Device::new();
    let mut client = Client::connect(&gateway).await;
    client.say(&hello(&world.token(ben))).await;
    client.welcome().await;
    klatch_tests::gateway_world::soon("both to be registered", async {
        for device in [ada, ben] {
            while world.bus.presence.gateways_of(&[device.user]).await.unwrap().gateways.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    })
    .await;
    until("the recovery", || gateway.metric("klatch_gateway_gaps_total") >= 1.0).await;
}
