//! Signals, watching, presence.

use klatch_bus::PresenceStatus as Status;
use klatch_domain::{Code, Content, Kind, RoomId};
use klatch_protocol::{ClientFrame, Ping, PresenceStatus, ServerFrame, SignalOut, Watch};
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, World, until},
};

fn watch(rooms: &[RoomId]) -> ClientFrame {
    ClientFrame::Watch(Watch { rooms: rooms.to_vec(), presence: Vec::new() })
}

fn unwatch(rooms: &[RoomId]) -> ClientFrame {
    ClientFrame::Unwatch(Watch { rooms: rooms.to_vec(), presence: Vec::new() })
}

fn typing(room: RoomId) -> ClientFrame {
    ClientFrame::Signal(SignalOut {
        room,
        kind: "typing".into(),
        payload: Some(Content::of(&serde_json::json!({"on": true})).unwrap()),
        ttl_ms: None,
    })
}

/// Signals of others may come between: on their way from another gateway they have no place of their own.
async fn hears_typing(client: &mut Client, room: RoomId, from: Device) {
    loop {
        match client.next().await {
            ServerFrame::Signal(signal) if signal.user != from.user => {}
            ServerFrame::Signal(signal) => {
                assert_eq!((signal.room, &*signal.kind), (room, "typing"));
                assert_eq!(signal.payload.unwrap().as_str(), r#"{"on":true}"#);
                return;
            }
            other => panic!("expected a signal: {other:?}"),
        }
    }
}

async fn hears_nothing_of(client: &mut Client, user: Device) {
    client.say(&ClientFrame::Ping(Ping::default())).await;
    loop {
        match client.next().await {
            ServerFrame::Signal(signal) => assert_ne!(signal.user, user.user),
            ServerFrame::Pong(_) => return,
            other => panic!("expected nothing: {other:?}"),
        }
    }
}

async fn error(client: &mut Client) -> (Code, Option<String>) {
    match client.next().await {
        ServerFrame::Error(error) => (error.code, error.reference),
        other => panic!("expected an error: {other:?}"),
    }
}

/// Watches and knows that it does: the gateway asks, so a signal of one's own other device shows when it has.
async fn watches(client: &mut Client, helper: &mut Client, room: RoomId, device: Device) {
    client.say(&watch(&[room])).await;
    hears_nothing_of(client, device).await;
    helper.say(&typing(room)).await;
    hears_typing(client, room, device).await;
}

#[tokio::test]
async fn a_signal_reaches_members_who_watch_here_and_on_other_gateways() {
    let world = World::new().await;
    let (near, far) = (world.gateway().await, world.gateway().await);
    // The first learns of the second when it renews its lease.
    let (ada, ben, cyd) = (Device::new(), Device::new(), Device::new());
    let room = Room::large(&[ada, ben, cyd]);
    world.queries.know(&room);
    let mut sender = Client::greet(&world, &far, ada).await;
    let mut helper = Client::greet(&world, &far, ben.other()).await;
    let mut here = Client::greet(&world, &far, ben).await;
    let mut there = Client::greet(&world, &near, cyd).await;
    let mut there_too = Client::greet(&world, &near, cyd.other()).await;
    watches(&mut here, &mut helper, room.id, ben).await;
    watches(&mut there, &mut there_too, room.id, cyd).await;
    sender.say(&watch(&[room.id])).await;
    sender.say(&typing(room.id)).await;
    hears_typing(&mut here, room.id, ada).await;
    hears_typing(&mut there, room.id, ada).await;
    // Neither the sender nor who does not watch.
    for client in [&mut sender, &mut helper, &mut there_too] {
        hears_nothing_of(client, ada).await;
    }
    here.say(&unwatch(&[room.id])).await;
    hears_nothing_of(&mut here, ada).await;
    sender.say(&typing(room.id)).await;
    hears_typing(&mut there, room.id, ada).await;
    hears_nothing_of(&mut here, ada).await;
}

#[tokio::test]
async fn who_is_not_in_a_room_neither_watches_nor_signals() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::large(&[ada]);
    world.queries.know(&room);
    let mut member = Client::greet(&world, &gateway, ada).await;
    let mut tablet = Client::greet(&world, &gateway, ada.other()).await;
    let mut stranger = Client::greet(&world, &gateway, ben).await;
    watches(&mut member, &mut tablet, room.id, ada).await;
    let unknown = RoomId::now();
    for frame in [watch(&[room.id]), typing(room.id)] {
        stranger.say(&frame).await;
        assert_eq!(error(&mut stranger).await, (Code::RoomNotFound, Some(room.id.to_string())));
    }
    for frame in [watch(&[unknown]), typing(unknown)] {
        stranger.say(&frame).await;
        assert_eq!(error(&mut stranger).await, (Code::RoomNotFound, Some(unknown.to_string())));
    }
    member.is_quiet().await;
    // A no is asked for anew: whoever has just joined is not told what was known before.
    room.members.push(ben.user);
    room.members.sort_unstable();
    room.version = klatch_domain::Seq(9);
    world.queries.know(&room);
    stranger.say(&watch(&[room.id])).await;
    stranger.say(&typing(room.id)).await;
    hears_typing(&mut member, room.id, ben).await;
    tablet.say(&typing(room.id)).await;
    hears_typing(&mut member, room.id, ada).await;
    hears_typing(&mut stranger, room.id, ada).await;
}

#[tokio::test]
async fn while_members_cannot_be_asked_the_answer_is_busy() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let room = Room::large(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    world.queries.fail(true);
    client.say(&watch(&[room.id])).await;
    assert_eq!(error(&mut client).await, (Code::Busy, Some(room.id.to_string())));
}

#[tokio::test]
async fn signals_are_bounded_in_size_and_rate() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.limits.signals_per_second = 3).await;
    let (ada, ben) = (Device::new(), Device::new());
    let room = Room::large(&[ada, ben]);
    world.queries.know(&room);
    let mut sender = Client::greet(&world, &gateway, ada).await;
    let mut helper = Client::greet(&world, &gateway, ben.other()).await;
    let mut watcher = Client::greet(&world, &gateway, ben).await;
    watches(&mut watcher, &mut helper, room.id, ben).await;
    let signal = |kind: &str, payload: usize| {
        ClientFrame::Signal(SignalOut {
            room: room.id,
            kind: kind.into(),
            payload: Some(Content::of(&serde_json::json!({"x": "y".repeat(payload)})).unwrap()),
            ttl_ms: None,
        })
    };
    sender.say(&signal(&"k".repeat(65), 1)).await;
    assert_eq!(error(&mut sender).await.0, Code::ValidationFailed);
    sender.say(&signal("k", 4_096)).await;
    assert_eq!(error(&mut sender).await.0, Code::ContentTooLarge);
    for _ in 0..20 {
        sender.say(&typing(room.id)).await;
    }
    sender.is_quiet().await;
    assert!(gateway.metric("klatch_gateway_dropped_total{what=\"signals\"}") >= 1.0);
    for _ in 0..3 {
        hears_typing(&mut watcher, room.id, ada).await;
    }
}

#[tokio::test]
async fn what_the_client_watches_at_most_a_gateway_takes_in_one_frame() {
    use klatch_client_sdk::core::{Core, Input, Output, Settings, Snapshot};
    use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let (mut client, welcome) = Client::greet_as(&world, &gateway, ada).await;
    let rooms: Vec<_> = (0..200).map(|_| Room::large(&[ada])).collect();
    rooms.iter().for_each(|room| world.queries.know(room));
    let friends: Vec<_> = (0..1_100).map(|_| Device::new().user).collect();

    let mut core = Core::new(Settings::default(), Xoshiro256PlusPlus::seed_from_u64(1), Snapshot::default());
    let wanted = Watch { rooms: rooms.iter().map(|room| room.id).collect(), presence: friends };
    let inputs = [
        Input::Watch(wanted),
        Input::TokenRefreshed { access_token: "token".to_owned(), lives_ms: 900_000 },
        Input::Start,
        Input::Connected,
        Input::Frame(Box::new(ServerFrame::Welcome(welcome))),
    ];
    let outputs: Vec<_> = inputs.into_iter().flat_map(|input| core.handle(0, input)).collect();
    let frames = outputs.into_iter().filter_map(|output| match output {
        Output::SendFrames(frames) => Some(frames),
        _ => None,
    });
    let watch =
        frames.flatten().find(|frame| matches!(frame, ClientFrame::Watch(_))).expect("a new connection is told");
    let ClientFrame::Watch(watched) = &watch else { unreachable!() };
    assert_eq!((watched.rooms.len(), watched.presence.len()), (128, 1_024));
    client.say(&watch).await;
    client.is_quiet().await;
}

#[tokio::test]
async fn a_connection_watches_a_bounded_number_of_rooms() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut client = Client::greet(&world, &gateway, ada).await;
    let rooms: Vec<_> = (0..129).map(|_| Room::large(&[ada])).collect();
    for room in &rooms {
        world.queries.know(room);
    }
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    client.say(&watch(&ids)).await;
    assert_eq!(error(&mut client).await.0, Code::ValidationFailed);
    client.say(&watch(&ids[..128])).await;
    client.say(&watch(&ids[128..])).await;
    assert_eq!(error(&mut client).await.0, Code::ValidationFailed);
    client.say(&unwatch(&ids[..128])).await;
    client.say(&watch(&[rooms[128].id])).await;
    client.is_quiet().await;
}

fn watch_presence(users: &[Device]) -> ClientFrame {
    ClientFrame::Watch(Watch { rooms: Vec::new(), presence: users.iter().map(|device| device.user).collect() })
}

async fn presence(client: &mut Client) -> (klatch_domain::UserId, PresenceStatus) {
    match client.next().await {
        ServerFrame::Presence(presence) => (presence.user, presence.status),
        other => panic!("expected presence: {other:?}"),
    }
}

#[tokio::test]
async fn presence_is_answered_at_once_and_told_when_it_changes() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben, cyd) = (Device::new(), Device::new(), Device::new());
    world.queries.let_see(ada.user, ben.user);
    let mut viewer = Client::greet(&world, &gateway, ada).await;
    let _hidden = Client::greet(&world, &gateway, cyd).await;
    viewer.say(&watch_presence(&[ben, cyd])).await;
    assert_eq!(presence(&mut viewer).await, (ben.user, PresenceStatus::Offline));
    let watched = Client::greet(&world, &gateway, ben).await;
    assert_eq!(presence(&mut viewer).await, (ben.user, PresenceStatus::Online));
    // A second device changes nothing.
    let second = Client::greet(&world, &gateway, ben.other()).await;
    watched.close().await;
    second.close().await;
    assert_eq!(presence(&mut viewer).await, (ben.user, PresenceStatus::Offline));
    viewer.say(&ClientFrame::Unwatch(Watch { rooms: Vec::new(), presence: vec![ben.user] })).await;
    viewer.is_quiet().await;
    let _again = Client::greet(&world, &gateway, ben).await;
    viewer.is_quiet().await;
}

#[tokio::test]
async fn who_may_no_longer_see_a_user_is_told_nothing_more() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    world.queries.let_see(ada.user, ben.user);
    let mut viewer = Client::greet(&world, &gateway, ada).await;
    viewer.say(&watch_presence(&[ben])).await;
    assert_eq!(presence(&mut viewer).await, (ben.user, PresenceStatus::Offline));
    world.queries.hide(ada.user, ben.user);
    let mut inbox = Room::small(&[ada]);
    let changed = serde_json::json!({"user": ben.user, "status": "blocked"});
    world.publish(vec![inbox.note(ben, Kind::FriendChanged, &changed)]).await;
    assert!(matches!(viewer.next().await, ServerFrame::Message(_)));
    let _ben = Client::greet(&world, &gateway, ben).await;
    viewer.is_quiet().await;
    // And who may again is told at once.
    world.queries.let_see(ada.user, ben.user);
    viewer.say(&watch_presence(&[ben])).await;
    assert_eq!(presence(&mut viewer).await, (ben.user, PresenceStatus::Online));
    world.publish(vec![inbox.note(ben, Kind::FriendChanged, &changed)]).await;
    let (mut entries, mut statuses) = (0, 0);
    while entries + statuses < 2 {
        match viewer.next().await {
            ServerFrame::Message(_) => entries += 1,
            ServerFrame::Presence(_) => statuses += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((entries, statuses), (1, 1));
}

#[tokio::test]
async fn presence_changes_on_other_gateways_are_told_too() {
    let world = World::new().await;
    let (_near, far) = (world.gateway().await, world.gateway().await);
    let (ada, ben) = (Device::new(), Device::new());
    world.queries.let_see(ada.user, ben.user);
    let mut viewer = Client::greet(&world, &far, ada).await;
    viewer.say(&watch_presence(&[ben])).await;
    assert_eq!(presence(&mut viewer).await, (ben.user, PresenceStatus::Offline));
    let signal = klatch_bus::Signal::Presence { user: ben.user, status: Status::Away, last_active: Some(world.now()) };
    world.bus.signals.publish(klatch_domain::Incarnation::now(), vec![signal]).await;
    assert_eq!(presence(&mut viewer).await, (ben.user, PresenceStatus::Away));
}

#[tokio::test]
async fn a_closed_connection_is_no_longer_watching() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let room = Room::large(&[ada]);
    world.queries.know(&room);
    let mut one = Client::greet(&world, &gateway, ada).await;
    let mut other = Client::greet(&world, &gateway, ada.other()).await;
    watches(&mut one, &mut other, room.id, ada).await;
    one.close().await;
    until("it to be gone", || gateway.metric("klatch_gateway_connections") == 1.0).await;
    other.say(&typing(room.id)).await;
    other.is_quiet().await;
}
