//! Which gateways hold members of a large room: known before `welcome`, and put right whatever was missed.

use std::{sync::Arc, time::Duration};

use klatch_bus::{
    Addressees, Bus, Presence, Target,
    in_process::{self, Options},
};
use klatch_domain::{Event, Incarnation, Kind, RoomId, UserId};
use klatch_protocol::{PositionFrame, ServerFrame};
use klatch_tests::{
    gateway_client::{Client, Heard},
    gateway_world::{Device, Room, Running, World, soon},
};
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// Other gateways, which keep their rooms and hold none.
const OTHERS: u8 = 4;

/// A bus whose leases end when the test says so.
fn bus(passed: &Arc<parking_lot::Mutex<Duration>>) -> Bus {
    let (began, passed) = (Instant::now(), Arc::clone(passed));
    let monotonic = Arc::new(move || began + *passed.lock());
    in_process::bus(Options { ingest_queues: 1, monotonic, ..Options::default() }, &prometheus::Registry::new())
        .unwrap()
}

async fn others(presence: &dyn Presence) {
    for byte in 1..=OTHERS {
        let other = Incarnation::from_bytes([byte; 16]);
        presence.renew(other).await.unwrap();
        presence.keep_rooms(other, true).await.unwrap();
    }
}

async fn world() -> World {
    let world = World::on(bus(&Arc::default())).await;
    others(&*world.bus.presence).await;
    world
}

/// Who gets the events of a room, beside those who get all.
async fn holders(world: &World, room: RoomId, users: &[UserId]) -> Vec<Incarnation> {
    let group = Addressees { users: users.into(), room: Some(room) };
    let answer = world.bus.presence.gateways_of_each(&[group]).await.unwrap().remove(0);
    if answer.gateways.len() == answer.live { Vec::new() } else { answer.gateways }
}

async fn until_held(world: &World, room: RoomId, held: bool) -> Vec<Incarnation> {
    soon("the room to be held, or not", async {
        loop {
            let holders = holders(world, room, &[]).await;
            if holders.is_empty() != held {
                return holders;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// As message-service does: to those who hold the room.
async fn publish(world: &World, room: RoomId, event: Event) {
    let holders = holders(world, room, &[]).await;
    assert!(!holders.is_empty(), "it would take the lane");
    let mut publisher = world.bus.events.publisher(Incarnation::now());
    publisher.publish(holders.into_iter().map(|one| (Target::One(one), vec![event.clone()])).collect()).await;
}

async fn position(client: &mut Client) -> PositionFrame {
    soon("a position", async {
        loop {
            match client.next().await {
                ServerFrame::Position(position) => return position,
                ServerFrame::Message(_) => {}
                other => panic!("expected a position: {other:?}"),
            }
        }
    })
    .await
}

async fn until_kept(gateway: &Running) {
    klatch_tests::gateway_world::until("rooms to be kept", || gateway.metric("klatch_gateway_rooms_kept") == 1.0).await;
}

#[tokio::test]
async fn a_room_is_held_before_welcome_and_nothing_falls_between() {
    let world = world().await;
    let gateway = world.gateway().await;
    until_kept(&gateway).await;
    let ada = Device::new();
    let mut room = Room::large(&[ada]);
    world.queries.know(&room);
    world.queries.hold(true);
    let mut client = Client::connect(&gateway).await;
    client.say(&klatch_tests::gateway_client::hello(&world.token(ada))).await;
    klatch_tests::gateway_world::until("the question", || world.queries.asked_rooms() > 0).await;
    // Whatever was written before the question comes before the answer to this.
    client.say_message(Message::Ping(Vec::new().into())).await;
    let heard = client.hear().await;
    assert!(matches!(heard, Heard::Pong(_)), "before the room is held: {heard:?}");
    assert_eq!(holders(&world, room.id, &[]).await, []);
    world.queries.hold(false);
    client.welcome().await;
    // From here on the client syncs: what is stored from now on must come.
    publish(&world, room.id, room.say(ada, "after welcome")).await;
    assert_eq!(client.text().await, "after welcome");
}

#[tokio::test]
async fn few_gateways_keep_no_rooms() {
    let world = World::on(bus(&Arc::default())).await;
    world.bus.presence.renew(Incarnation::from_bytes([1; 16])).await.unwrap();
    let gateway = world.gateway().await;
    let ada = Device::new();
    let room = Room::large(&[ada]);
    world.queries.know(&room);
    Client::greet(&world, &gateway, ada).await;
    assert_eq!((world.queries.asked_rooms(), gateway.metric("klatch_gateway_rooms_kept")), (0, 0.0));
}

#[tokio::test]
async fn a_gateway_that_cannot_learn_its_rooms_gets_the_events_of_all() {
    let world = world().await;
    let gateway = world.gateway().await;
    until_kept(&gateway).await;
    let (ada, ben) = (Device::new(), Device::new());
    let room = Room::large(&[ada, ben]);
    world.queries.know(&room);
    // Another gateway holds it.
    world.bus.presence.hold_rooms(Incarnation::from_bytes([1; 16]), &[(room.id, true)]).await.unwrap();
    assert_eq!(holders(&world, room.id, &[]).await.len(), 1);
    world.queries.fail(true);
    let mut client = Client::greet(&world, &gateway, ada).await;
    assert_eq!(holders(&world, room.id, &[]).await.len(), 2, "it has said that it may hold any");
    assert_eq!(gateway.metric("klatch_gateway_rooms_kept"), 0.0);
    world.queries.fail(false);
    // With the next lease it knows again, and says where its rooms end.
    assert_eq!(position(&mut client).await.room, room.id);
    until_kept(&gateway).await;
    assert_eq!(holders(&world, room.id, &[]).await.len(), 2);
}

#[tokio::test]
async fn a_room_that_grows_large_is_held_before_it_is() {
    let world = world().await;
    let gateway = world.gateway().await;
    until_kept(&gateway).await;
    let members: Vec<_> = (0..25).map(|_| Device::new()).collect();
    let mut room = Room::small(&members);
    let mut client = Client::greet(&world, &gateway, members[0]).await;
    assert_eq!(holders(&world, room.id, &[]).await, []);
    world.publish(vec![room.say(members[1], "we are 25")]).await;
    assert_eq!(client.text().await, "we are 25");
    until_held(&world, room.id, true).await;
}

#[tokio::test]
async fn a_large_room_that_comes_by_the_lane_is_held_from_then_on() {
    let world = world().await;
    let gateway = world.gateway().await;
    until_kept(&gateway).await;
    let (ada, ben, eve) = (Device::new(), Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    Client::greet(&world, &gateway, eve).await;
    // Made after she came: nobody holds it, so its first entry goes by the lane.
    world.queries.know(&room);
    world.publish(vec![room.say(ben, "new")]).await;
    assert_eq!(client.text().await, "new");
    until_held(&world, room.id, true).await;
    // What fell into the time before was not seen here: a position tells of it.
    let another = Room::large(&[ada, ben]);
    world.queries.know(&another);
    let notice = json!({"room": another.id, "user": ada.user});
    let mut inbox = Room::small(&[ada]);
    inbox.id = RoomId::inbox_of(ada.user);
    world.publish(vec![inbox.note(ben, Kind::MemberJoined, &notice)]).await;
    assert_eq!(position(&mut client).await.room, another.id);
    until_held(&world, another.id, true).await;
}

#[tokio::test]
async fn who_joins_a_large_room_brings_their_gateway_along() {
    let world = world().await;
    let gateway = world.gateway().await;
    until_kept(&gateway).await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::large(&[ben]);
    let _client = Client::greet(&world, &gateway, ada).await;
    room.members = vec![ada.user, ben.user];
    room.members.sort_unstable();
    room.version = klatch_domain::Seq(room.seq + 1);
    world.queries.know(&room);
    world.publish(vec![room.note(ben, Kind::MemberJoined, &json!({"user": ada.user}))]).await;
    until_held(&world, room.id, true).await;
}

#[tokio::test]
async fn a_lost_registry_is_filled_again_and_members_hear_where_their_rooms_end() {
    let passed = Arc::default();
    let world = World::on(bus(&passed)).await;
    others(&*world.bus.presence).await;
    let gateway = world.gateway().await;
    until_kept(&gateway).await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    world.queries.know(&room);
    let mut client = Client::greet(&world, &gateway, ada).await;
    publish(&world, room.id, room.say(ben, "heard")).await;
    assert_eq!(client.text().await, "heard");
    // All leases end: everything is gone.
    *passed.lock() += Duration::from_secs(<dyn Presence>::LEASE_SECONDS + 1);
    others(&*world.bus.presence).await;
    assert_eq!(holders(&world, room.id, &[]).await, []);
    // Not heard by anybody.
    room.say(ben, "lost");
    world.queries.know(&room);
    assert_eq!(position(&mut client).await.head, room.head().0);
    until_held(&world, room.id, true).await;
    publish(&world, room.id, room.say(ben, "heard again")).await;
    assert_eq!(client.text().await, "heard again");
}
