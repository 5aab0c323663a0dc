//! The embedded bus keeps every rule of a bus, and its own promises: bounds in bytes, counted drops, cheap hand-outs.

#![allow(clippy::expect_used, clippy::panic, reason = "what tests share stands beside them")]

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use klatch_bus::{
    Bus, Presence, PublishError, Received, Signal, Target, WatermarkMove,
    in_process::{self, Options},
};
use klatch_domain::{Action, Content, Draft, Incarnation, Kind, Position, RoomId, SessionId, Timestamp, UserId};
use klatch_tests::conformance_bus::{AT_MOST, PREFETCH, QUEUES, Subject, batch, command, event, numbers};
use parking_lot::Mutex;
use prometheus::{Registry, TextEncoder};

fn small() -> Options {
    Options {
        ingest_queues: QUEUES,
        ingest_commands: AT_MOST,
        prefetch: PREFETCH,
        event_queue_events: AT_MOST,
        signal_queue_signals: AT_MOST,
        watermark_queue_moves: AT_MOST,
        notify_queue_commands: AT_MOST,
        ..Options::default()
    }
}

async fn open() -> Subject {
    let now = Arc::new(Mutex::new(tokio::time::Instant::now()));
    let read = Arc::clone(&now);
    let options = Options { monotonic: Arc::new(move || *read.lock()), ..small() };
    let pass = move |time: Duration| {
        *now.lock() += time;
        std::future::ready(()).boxed()
    };
    let arrived = |_| std::future::ready(()).boxed();
    Subject { bus: bus(options).0, pass: Box::new(pass), arrived: Box::new(arrived) }
}

fn bus(options: Options) -> (Bus, Registry) {
    let registry = Registry::new();
    let bus = in_process::bus(options, &registry).expect("a fresh registry");
    (bus, registry)
}

mod conformance {
    use super::open;

    klatch_tests::bus_conformance!(open);
}

/// Reads `name` or `name{label="value"}`, without its value.
fn metric(registry: &Registry, name: &str) -> u64 {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no metric {name} in\n{text}")).parse().expect("a whole number")
}

const ONE: Incarnation = Incarnation::from_bytes([1; 16]);
const TWO: Incarnation = Incarnation::from_bytes([2; 16]);

#[tokio::test]
async fn commands_are_durable_only_by_claim() {
    assert!(!bus(Options::default()).0.commands.durable());
    assert!(bus(Options { claim_durable: true, ..Options::default() }).0.commands.durable());
}

#[tokio::test]
async fn two_buses_cannot_share_a_registry() {
    let (_bus, registry) = bus(small());
    assert!(in_process::bus(small(), &registry).is_err());
}

#[tokio::test]
async fn an_ingest_queue_is_bounded_in_bytes_and_counts_what_it_refuses() {
    let (bus, registry) = bus(Options { ingest_bytes: 8 * 1024, ..small() });
    let mut large = command(1);
    large.action = Action::Append(Draft::new(Kind::Text, Content::text(&"x".repeat(6 * 1024)).unwrap()));
    bus.commands.publish(0, vec![large.clone()]).await.unwrap();
    let refused = bus.commands.publish(0, vec![large.clone()]).await;
    assert!(matches!(refused, Err(PublishError::Full { .. })));
    assert_eq!(metric(&registry, r#"klatch_bus_ingest_refused_commands_total{queue="0"}"#), 1);
    assert_eq!(metric(&registry, r#"klatch_bus_ingest_commands{queue="0"}"#), 1);
    bus.commands.publish(1, vec![large]).await.expect("another queue");
}

#[tokio::test]
async fn what_is_handed_out_still_counts_until_it_is_acknowledged() {
    let (bus, registry) = bus(small());
    let mut consumer = bus.commands.consume(0).await.unwrap();
    bus.commands.publish(0, batch(0..AT_MOST as u64)).await.unwrap();
    let delivery = consumer.receive().await.unwrap();
    assert!(bus.commands.publish(0, batch([99])).await.is_err());
    assert_eq!(metric(&registry, r#"klatch_bus_ingest_commands{queue="0"}"#), AT_MOST as u64);
    consumer.acknowledge(delivery.tag).await.unwrap();
    assert!(consumer.acknowledge(delivery.tag).await.is_err(), "acknowledged twice");
    assert_eq!(metric(&registry, r#"klatch_bus_ingest_commands{queue="0"}"#), 0);
    assert_eq!(metric(&registry, r#"klatch_bus_ingest_bytes{queue="0"}"#), 0);
    bus.commands.publish(0, batch([99])).await.unwrap();
    let held = consumer.receive().await.unwrap();
    drop(consumer);
    assert_eq!(metric(&registry, r#"klatch_bus_ingest_redelivered_total{queue="0"}"#), 1);
    let again = bus.commands.consume(0).await.unwrap().receive().await.unwrap();
    assert!(Arc::ptr_eq(&held.commands, &again.commands), "a redelivery copies nothing");
}

#[tokio::test]
async fn a_batch_that_fits_in_part_is_refused_whole() {
    let (bus, _registry) = bus(small());
    bus.commands.publish(0, batch(1..AT_MOST as u64)).await.unwrap();
    assert!(bus.commands.publish(0, batch([100, 101])).await.is_err());
    bus.commands.publish(0, batch([102])).await.expect("one more fits");
    let mut consumer = bus.commands.consume(0).await.unwrap();
    assert_eq!(consumer.receive().await.unwrap().commands.len(), AT_MOST - 1);
    assert_eq!(numbers(&consumer.receive().await.unwrap().commands), [102]);
}

#[tokio::test]
async fn an_empty_queue_takes_a_batch_larger_than_its_bound() {
    let (bus, _registry) = bus(small());
    let many = 3 * AT_MOST as u64;
    bus.commands.publish(0, batch(0..many)).await.unwrap();
    assert!(bus.commands.publish(0, batch([many])).await.is_err());
    let delivery = bus.commands.consume(0).await.unwrap().receive().await.unwrap();
    assert_eq!(numbers(&delivery.commands), (0..many).collect::<Vec<_>>());
}

#[tokio::test]
async fn everything_queued_is_handed_out_at_once() {
    let (bus, registry) = bus(small());
    let mut receiver = bus.events.subscribe(ONE, false).await;
    let mut publisher = bus.events.publisher(TWO);
    for which in 0..10 {
        publisher.publish(vec![(Target::Everyone, vec![event(which)])]).await;
    }
    assert_eq!(metric(&registry, r#"klatch_bus_queued{queue="events"}"#), 10);
    assert_eq!(receiver.try_receive(), Some(Received::Events((0..10).map(event).collect())));
    assert_eq!(metric(&registry, r#"klatch_bus_queued{queue="events"}"#), 0);
}

#[tokio::test]
async fn event_drops_are_counted() {
    let (bus, registry) = bus(small());
    let receiver = bus.events.subscribe(ONE, false).await;
    let mut publisher = bus.events.publisher(TWO);
    for _ in 0..3 {
        publisher.publish(vec![(Target::One(ONE), (0..40).map(event).collect())]).await;
    }
    publisher.publish(vec![(Target::One(TWO), vec![event(1), event(2)])]).await;
    assert_eq!(metric(&registry, r#"klatch_bus_dropped_total{queue="events"}"#), 80);
    assert_eq!(metric(&registry, "klatch_bus_gaps_total"), 1);
    assert_eq!(metric(&registry, "klatch_bus_unknown_target_events_total"), 2);
    drop(receiver);
    assert_eq!(metric(&registry, r#"klatch_bus_queued{queue="events"}"#), 0);
    publisher.publish(vec![(Target::One(ONE), vec![event(3)]), (Target::Everyone, vec![event(4)])]).await;
    assert_eq!(metric(&registry, "klatch_bus_unknown_target_events_total"), 3, "nobody is left there");
    assert_eq!(metric(&registry, r#"klatch_bus_queued{queue="events"}"#), 0);
}

#[tokio::test]
async fn an_event_queue_is_bounded_in_bytes() {
    let (bus, _registry) = bus(Options { event_queue_bytes: 256, ..small() });
    let mut receiver = bus.events.subscribe(ONE, false).await;
    bus.events.publisher(TWO).publish(vec![(Target::One(ONE), (0..40).map(event).collect())]).await;
    assert_eq!(receiver.try_receive(), Some(Received::Gap));
    assert_eq!(receiver.try_receive(), None);
}

#[tokio::test]
async fn a_second_subscription_takes_the_place_of_the_first() {
    let (bus, _registry) = bus(small());
    let mut former = bus.events.subscribe(ONE, false).await;
    let mut later = bus.events.subscribe(ONE, false).await;
    assert_eq!(former.receive().now_or_never(), Some(None));
    drop(former);
    bus.events.publisher(TWO).publish(vec![(Target::One(ONE), vec![event(1)])]).await;
    assert_eq!(later.receive().await, Some(Received::Events(vec![event(1)])));
}

#[tokio::test]
async fn signals_are_bounded_in_bytes_and_drops_counted() {
    let (bus, registry) = bus(Options { signal_queue_bytes: 4 * 1024, ..small() });
    let mut receiver = bus.signals.subscribe(ONE).await;
    let payload = Some(Content::text(&"x".repeat(1_500)).unwrap());
    let signal = Signal::Room {
        room: RoomId::from_bytes([1; 16]),
        user: UserId::from_bytes([1; 16]),
        kind: Arc::from("typing"),
        payload,
    };
    bus.signals.publish(TWO, vec![signal.clone(), signal.clone(), signal.clone()]).await;
    assert_eq!(metric(&registry, r#"klatch_bus_dropped_total{queue="signals"}"#), 1);
    assert_eq!(metric(&registry, r#"klatch_bus_queued{queue="signals"}"#), 2);
    assert_eq!(receiver.receive().await, Some(vec![signal.clone(), signal.clone()]));
    assert_eq!(metric(&registry, r#"klatch_bus_queued{queue="signals"}"#), 0);
    bus.signals.publish(TWO, vec![signal.clone()]).await;
    drop(receiver);
    bus.signals.publish(TWO, vec![signal]).await;
    assert_eq!(metric(&registry, r#"klatch_bus_queued{queue="signals"}"#), 0, "nobody is left there");
}

fn moved(room: u64, read: u64) -> WatermarkMove {
    WatermarkMove {
        room: RoomId::from_bytes(u128::from(room).to_be_bytes()),
        user: UserId::from_bytes([1; 16]),
        session: SessionId::from_bytes([1; 16]),
        read: Some(Position::first(read)),
        delivered: None,
    }
}

#[tokio::test]
async fn a_later_move_joins_the_one_that_waits_even_when_the_queue_is_full() {
    let (bus, registry) = bus(small());
    let mut consumer = bus.watermarks.consume().await;
    bus.watermarks.publish((0..AT_MOST as u64).map(|room| moved(room, 1)).collect()).await;
    bus.watermarks.publish(vec![moved(3, 7), moved(999, 1)]).await;
    assert_eq!(metric(&registry, r#"klatch_bus_dropped_total{queue="watermarks"}"#), 1);
    let taken = consumer.receive().await.unwrap();
    assert_eq!((taken.len(), taken[3]), (AT_MOST, moved(3, 7)));
    // A place that was handed out is not joined any more.
    bus.watermarks.publish(vec![moved(3, 8)]).await;
    assert_eq!(consumer.receive().await.unwrap(), [moved(3, 8)]);
}

#[tokio::test]
async fn a_hand_out_of_moves_is_bounded_and_leaves_the_rest_in_place() {
    let (bus, _registry) = bus(Options::default());
    let mut consumer = bus.watermarks.consume().await;
    bus.watermarks.publish((0..3_000).map(|room| moved(room, 1)).collect()).await;
    let mut taken = consumer.receive().await.unwrap();
    assert!(taken.len() < 2_500);
    bus.watermarks.publish(vec![moved(2_500, 5)]).await;
    bus.watermarks.publish(vec![moved(3_000, 1)]).await;
    while taken.last() != Some(&moved(3_000, 1)) {
        taken.extend(consumer.receive().await.unwrap());
    }
    let expected: Vec<_> = (0..=3_000).map(|room| moved(room, if room == 2_500 { 5 } else { 1 })).collect();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn last_activity_is_remembered_of_a_bounded_number() {
    let (bus, registry) = bus(Options { last_active_users: 2, ..small() });
    let presence: &dyn Presence = &*bus.presence;
    presence.renew(ONE).await.unwrap();
    let users: Vec<_> = (1..=3).map(|which| UserId::from_bytes([which; 16])).collect();
    for (second, user) in (1..).zip(&users) {
        presence.set(ONE, &[(*user, true)], Timestamp::from_millis(second)).await.unwrap();
    }
    assert_eq!(metric(&registry, "klatch_bus_presence_gateways"), 1);
    assert_eq!(metric(&registry, "klatch_bus_presence_users"), 3);
    presence.leave(ONE).await.unwrap();
    let known: Vec<_> = presence.statuses(&users).await.unwrap().iter().map(|one| one.last_active).collect();
    assert_eq!(known, [None, Some(Timestamp::from_millis(2)), Some(Timestamp::from_millis(3))]);
    assert_eq!(metric(&registry, "klatch_bus_presence_users"), 0);
}
