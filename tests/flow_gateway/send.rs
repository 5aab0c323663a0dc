//! `send`, and what becomes of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use klatch_bus::{
    CommandConsumer, Commands, Limited, PublishError, Rate, Take,
    in_process::{self, Options},
};
use klatch_domain::{Code, Command, MessageId, Outcome, Refusal, RoomId, limits};
use klatch_protocol::{Refused, ServerFrame};
use klatch_settings::GatewaySettings;
use klatch_tests::{
    gateway_client::{Client, send},
    gateway_world::{Device, Room, World, outcome, soon, until},
};

async fn stored(client: &mut Client) -> MessageId {
    match client.next().await {
        ServerFrame::Stored(stored) => stored.message_id,
        other => panic!("expected stored: {other:?}"),
    }
}

pub(crate) async fn refused(client: &mut Client) -> Refused {
    loop {
        match client.next().await {
            ServerFrame::Refused(refused) => return refused,
            ServerFrame::Busy(_) => {}
            other => panic!("expected refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_sender_hears_stored_and_everyone_else_the_message() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::small(&[ada, ben]);
    let mut sender = Client::greet(&world, &gateway, ada).await;
    let mut same_session = Client::greet(&world, &gateway, ada).await;
    let mut phone = Client::greet(&world, &gateway, ada.other()).await;
    let mut other = Client::greet(&world, &gateway, ben).await;
    // Outcome and entry come in either order, together or apart.
    for round in 0..4 {
        let id = sender.send(room.id, "hello").await;
        let command = world.command().await;
        assert_eq!((command.message_id, command.room, command.sender), (id, room.id, ada.sender()));
        let message = room.store(&command);
        let stored_event = room.stored(&command);
        match round {
            0 => world.publish(vec![message, stored_event]).await,
            1 => world.publish(vec![stored_event, message]).await,
            2 => {
                world.publish(vec![message]).await;
                assert_eq!(other.text().await, "hello");
                world.publish(vec![stored_event]).await;
            }
            _ => {
                world.publish(vec![stored_event]).await;
                assert_eq!(stored(&mut sender).await, id);
                world.publish(vec![message]).await;
                // Settled already: the gateway no longer knows it for its own, and says it twice rather than not at all.
                assert_eq!(sender.text().await, "hello");
            }
        }
        if round < 3 {
            assert_eq!(stored(&mut sender).await, id);
        }
        for client in [&mut same_session, &mut phone] {
            assert_eq!(client.text().await, "hello");
        }
        if round != 2 {
            assert_eq!(other.text().await, "hello");
        }
    }
    sender.is_quiet().await;
    assert!(gateway.metric("klatch_delivery_seconds_count") >= 4.0);
}

#[tokio::test]
async fn each_send_names_its_unsettled_predecessor_in_the_room() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    let one = client.send(room.id, "1").await;
    let elsewhere = client.send(RoomId::now(), "x").await;
    let two = client.send(room.id, "2").await;
    client.send_as(room.id, one, "1").await;
    let first = world.command().await;
    assert_eq!((first.message_id, first.after), (one, None));
    assert_eq!(world.command().await.message_id, elsewhere);
    let second = world.command().await;
    assert_eq!((second.message_id, second.after), (two, Some(one)));
    // A repeat of what is unsettled is passed on in its own place.
    let repeat = world.command().await;
    assert_eq!((repeat.message_id, repeat.after), (one, None));
    for command in [&first, &second] {
        let event = room.store(command);
        world.publish(vec![event, room.stored(command)]).await;
    }
    assert_eq!(stored(&mut client).await, one);
    assert_eq!(stored(&mut client).await, two);
    client.send(room.id, "3").await;
    assert_eq!(world.command().await.after, None);
}

#[tokio::test]
async fn after_a_refusal_that_passes_the_room_waits_for_that_send() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    let one = client.send(room.id, "1").await;
    let command = world.command().await;
    let refusal = Refusal::retryable(Code::Busy, "later", 123);
    world.publish(vec![outcome(&command, Outcome::Refused(refusal))]).await;
    let first = refused(&mut client).await;
    assert_eq!((first.message_id, first.code, first.retry_after_ms), (one, Code::Busy, Some(123)));
    assert!(first.retryable);
    let two = client.send(room.id, "2").await;
    let second = refused(&mut client).await;
    assert_eq!((second.message_id, second.code, second.retryable), (two, Code::Busy, true));
    assert!(second.retry_after_ms.is_some());
    // Another room goes on; so does another connection.
    let elsewhere = client.send(RoomId::now(), "x").await;
    assert_eq!(world.command().await.message_id, elsewhere);
    // The failed one comes again: it passes, and the next after it.
    client.send_as(room.id, one, "1").await;
    client.send_as(room.id, two, "2").await;
    for id in [one, two] {
        let command = world.command().await;
        assert_eq!(command.message_id, id);
        let event = room.store(&command);
        world.publish(vec![event, room.stored(&command)]).await;
        assert_eq!(stored(&mut client).await, id);
    }
}

#[tokio::test]
async fn a_final_refusal_blocks_nothing() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let room = Room::small(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    let one = client.send(room.id, "").await;
    let empty = refused(&mut client).await;
    assert_eq!((empty.message_id, empty.code, empty.retryable), (one, Code::ContentInvalid, false));
    let two = client.send(room.id, "2").await;
    let command = world.command().await;
    assert_eq!((command.message_id, command.after), (two, None));
    world.publish(vec![outcome(&command, Outcome::Refused(Refusal::room_not_found()))]).await;
    let unknown = refused(&mut client).await;
    assert_eq!((unknown.message_id, unknown.code, unknown.retryable), (two, Code::RoomNotFound, false));
    let three = client.send(room.id, "3").await;
    assert_eq!(world.command().await.message_id, three);
}

#[tokio::test]
async fn a_failed_send_that_turns_out_stored_blocks_nothing() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    let one = client.send(room.id, "1").await;
    let command = world.command().await;
    world.publish(vec![outcome(&command, Outcome::Refused(Refusal::retryable(Code::Busy, "later", 1)))]).await;
    refused(&mut client).await;
    let event = room.store(&command);
    world.publish(vec![room.stored(&command), event]).await;
    assert_eq!(stored(&mut client).await, one);
    assert_eq!(client.text().await, "1");
    let two = client.send(room.id, "2").await;
    assert_eq!(world.command().await.message_id, two);
}

#[tokio::test]
async fn content_that_is_too_large_is_refused_and_a_bad_frame_is_an_error() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    let (room, id) = (RoomId::now(), MessageId::now());
    let large = "x".repeat(limits::CONTENT_BYTES);
    client
        .say_text(&format!(
            r#"{{"type":"send","message_id":"{id}","room":"{room}","kind":"text","content":{{"text":"{large}"}}}}"#
        ))
        .await;
    let too_large = refused(&mut client).await;
    assert_eq!((too_large.message_id, too_large.code), (id, Code::ContentTooLarge));
    assert!(!too_large.retryable);
    let bad = format!(r#"{{"type":"send","message_id":"{id}","room":"{room}","kind":"text","content":["no object"]}}"#);
    for bad in [bad, format!(r#"{{"type":"send","message_id":"{id}","kind":"text","content":{{}}}}"#)] {
        client.say_text(&bad).await;
        match client.next().await {
            ServerFrame::Error(error) => {
                assert_eq!((error.code, error.reference), (Code::ValidationFailed, Some(id.to_string())));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn too_many_sends_of_a_user_are_refused_on_all_their_connections() {
    let world = World::new().await;
    let gateway = world
        .gateway_with(|settings| {
            settings.limits.sends_per_second = 1;
            settings.limits.send_burst = 3;
        })
        .await;
    let ada = Device::new();
    let mut one = Client::greet(&world, &gateway, ada).await;
    let mut other = Client::greet(&world, &gateway, ada.other()).await;
    for client in [&mut one, &mut other] {
        client.send(RoomId::now(), "x").await;
        world.command().await;
    }
    other.send(RoomId::now(), "x").await;
    world.command().await;
    let room = RoomId::now();
    let id = one.send(room, "too much").await;
    let limited = refused(&mut one).await;
    assert_eq!((limited.message_id, limited.code, limited.retryable), (id, Code::RateLimited, true));
    assert!(limited.retry_after_ms.is_some_and(|wait| (1..=1_000).contains(&wait)));
    // It is retryable, so the room waits for it.
    one.send(room, "later").await;
    assert_eq!(refused(&mut one).await.code, Code::Busy);
    // Someone else is not concerned.
    let mut ben = Client::greet(&world, &gateway, Device::new()).await;
    ben.send(RoomId::now(), "x").await;
    world.command().await;
}

#[tokio::test]
async fn sends_through_other_gateways_count_too() {
    let world = World::new().await;
    let burst = 100_000;
    let set = |settings: &mut GatewaySettings| {
        settings.limits.sends_per_second = 1;
        settings.limits.send_burst = burst;
    };
    let (_first, second) = (world.gateway_with(set).await, world.gateway_with(set).await);
    let (ada, ben) = (Device::new(), Device::new());
    let mut client = Client::greet(&world, &second, ada).await;
    let rate = Rate::new(1, Duration::from_secs(1), burst + 1);
    let elsewhere = Take { limited: Limited::Sends(ada.user), rate, units: burst + 1 };
    world.bus.rate_limits.charge(&[elsewhere]).await.unwrap();
    // What was sent here passes the limit here, and is counted a tick later.
    let limited = async {
        loop {
            client.send(RoomId::now(), "x").await;
            tokio::select! {
                refused = refused(&mut client) => return refused,
                _ = world.command() => {}
            }
            // So that it is no bound of unsettled sends that is met.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let limited = soon("a refusal", limited).await;
    assert_eq!((limited.code, limited.retryable), (Code::RateLimited, true));
    // Not that too many are unsettled.
    assert_eq!(limited.detail, "too many sends");
    assert!(limited.retry_after_ms.is_some());
    let mut other = Client::greet(&world, &second, ben).await;
    other.send(RoomId::now(), "x").await;
    world.command().await;
}

#[tokio::test]
async fn unsettled_sends_of_a_user_are_bounded() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.limits.in_flight = 2).await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut one = Client::greet(&world, &gateway, ada).await;
    let mut other = Client::greet(&world, &gateway, ada.other()).await;
    let first = one.send(room.id, "1").await;
    let command = world.command().await;
    other.send(RoomId::now(), "2").await;
    world.command().await;
    let third = one.send(RoomId::now(), "3").await;
    let limited = refused(&mut one).await;
    assert_eq!((limited.message_id, limited.code), (third, Code::RateLimited));
    assert!(limited.retry_after_ms.is_some());
    // A repeat of what is unsettled is no further one.
    one.send_as(room.id, first, "1").await;
    assert_eq!(world.command().await.message_id, first);
    let event = room.store(&command);
    world.publish(vec![event, room.stored(&command)]).await;
    stored(&mut one).await;
    let fourth = one.send(RoomId::now(), "4").await;
    assert_eq!(world.command().await.message_id, fourth);
    // What a connection leaves open when it goes is not held against the user.
    other.close().await;
    until("the connection to be gone", || gateway.metric("klatch_gateway_connections") == 1.0).await;
    let fifth = one.send(RoomId::now(), "5").await;
    assert_eq!(world.command().await.message_id, fifth);
}

#[tokio::test]
async fn limits_can_be_lifted() {
    let world = World::new().await;
    let gateway = world
        .gateway_with(|settings| {
            settings.limits.send_burst = 1;
            settings.limits.in_flight = 1;
            settings.limits.enabled = false;
        })
        .await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    for _ in 0..50 {
        client.send(RoomId::now(), "x").await;
        world.command().await;
    }
    client.is_quiet().await;
}

#[tokio::test]
async fn a_flood_that_goes_on_is_closed_4029() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.limits.send_burst = 1).await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    let room = RoomId::now();
    for _ in 0..12 {
        let frames: Vec<_> = (0..100).map(|_| send(room, MessageId::now(), "x")).collect();
        client.say_all(&frames).await;
    }
    assert_eq!(client.closed().await, 4029);
}

/// An ingest queue that does as it is told.
struct Moody {
    inner: Arc<dyn Commands>,
    mood: Arc<AtomicU8>,
}

const TAKES: u8 = 0;
const FULL: u8 = 1;
const UNKNOWN: u8 = 2;
const UNKNOWN_BUT_TAKEN: u8 = 3;

#[async_trait]
impl Commands for Moody {
    fn queues(&self) -> u16 {
        self.inner.queues()
    }

    fn durable(&self) -> bool {
        self.inner.durable()
    }

    async fn publish(&self, queue: u16, batch: Vec<Command>) -> Result<(), PublishError> {
        match self.mood.load(Ordering::Relaxed) {
            FULL => return Err(PublishError::Full { retry_after_ms: 777 }),
            UNKNOWN => return Err(PublishError::Unknown("scripted".to_owned())),
            _ => self.inner.publish(queue, batch).await?,
        }
        if self.mood.load(Ordering::Relaxed) == UNKNOWN_BUT_TAKEN {
            return Err(PublishError::Unknown("scripted".to_owned()));
        }
        Ok(())
    }

    async fn consume(&self, queue: u16) -> Result<Box<dyn CommandConsumer>, PublishError> {
        self.inner.consume(queue).await
    }
}

async fn moody(options: Options) -> (World, Arc<AtomicU8>) {
    let options = Options { ingest_queues: 1, ..options };
    let mut bus = in_process::bus(options, &prometheus::Registry::new()).unwrap();
    let mood = Arc::new(AtomicU8::new(TAKES));
    bus.commands = Arc::new(Moody { inner: Arc::clone(&bus.commands), mood: Arc::clone(&mood) });
    (World::on(bus).await, mood)
}

#[tokio::test]
async fn what_the_broker_does_not_confirm_is_refused_and_comes_again() {
    let (world, mood) = moody(Options::default()).await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    mood.store(FULL, Ordering::Relaxed);
    let full = client.send(room.id, "1").await;
    let refusal = refused(&mut client).await;
    assert_eq!((refusal.message_id, refusal.code, refusal.retry_after_ms), (full, Code::Busy, Some(777)));
    mood.store(UNKNOWN, Ordering::Relaxed);
    client.send_as(room.id, full, "1").await;
    let refusal = refused(&mut client).await;
    assert_eq!((refusal.message_id, refusal.code, refusal.retryable), (full, Code::Busy, true));
    mood.store(UNKNOWN_BUT_TAKEN, Ordering::Relaxed);
    client.send_as(room.id, full, "1").await;
    refused(&mut client).await;
    // It was taken after all, and its outcome says so.
    let command = world.command().await;
    let event = room.store(&command);
    world.publish(vec![event, room.stored(&command)]).await;
    loop {
        match client.next().await {
            ServerFrame::Stored(stored) => break assert_eq!(stored.message_id, full),
            ServerFrame::Message(_) => {}
            other => panic!("{other:?}"),
        }
    }
    mood.store(TAKES, Ordering::Relaxed);
    let next = client.send(room.id, "2").await;
    assert_eq!(world.command().await.message_id, next);
}

#[tokio::test]
async fn accepted_is_said_only_where_a_confirm_means_something() {
    for durable in [false, true] {
        let world = World::with(Options { claim_durable: durable, ..Options::default() }).await;
        let gateway = world.gateway().await;
        let ada = Device::new();
        let mut room = Room::small(&[ada]);
        let mut client = Client::greet(&world, &gateway, ada).await;
        let id = client.send(room.id, "1").await;
        let command = world.command().await;
        if durable {
            match client.next().await {
                ServerFrame::Accepted(accepted) => assert_eq!(accepted.message_id, id),
                other => panic!("{other:?}"),
            }
        }
        let event = room.store(&command);
        world.publish(vec![event, room.stored(&command)]).await;
        assert_eq!(stored(&mut client).await, id);
    }
}

#[tokio::test]
async fn a_trace_of_the_client_goes_along() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (given, passed) in [(trace.to_owned(), Some(trace)), ("x".repeat(1_000), None)] {
        let klatch_protocol::ClientFrame::Send(mut frame) = send(RoomId::now(), MessageId::now(), "x") else {
            unreachable!()
        };
        frame.traceparent = Some(given.into());
        client.say(&klatch_protocol::ClientFrame::Send(frame)).await;
        assert_eq!(world.command().await.trace.as_deref(), passed);
    }
}
