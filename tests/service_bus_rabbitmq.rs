//! The RabbitMQ twin keeps every rule of commands, events, watermarks and notifications on a real broker.

use std::time::Duration;

use futures_util::FutureExt;
use klatch_bus::{Bus, in_process, rabbitmq};
use klatch_tests::{
    conformance_bus::{AT_MOST, PREFETCH, QUEUES, Subject},
    services::rabbitmq::fresh,
};
use prometheus::{Registry, TextEncoder};

/// Nothing here takes longer unless it never comes.
const NEVER: Duration = Duration::from_secs(30);
/// Between two looks at a counter.
const LOOK: Duration = Duration::from_millis(5);

/// The value of a metric, over all its labels; 0 before anything was counted.
pub fn metric(registry: &Registry, name: &str) -> u64 {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
    let named = text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with([' ', '{']));
    let values = named.filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

/// A whole bus: what RabbitMQ does not do is done in process.
pub fn whole(parts: rabbitmq::RabbitmqParts) -> Bus {
    let rest = in_process::Options { signal_queue_signals: AT_MOST, ..in_process::Options::default() };
    let rest = in_process::bus(rest, &Registry::new()).expect("a fresh registry");
    Bus {
        commands: parts.commands,
        events: parts.events,
        watermarks: parts.watermarks,
        notifications: parts.notifications,
        ..rest
    }
}

async fn open() -> Subject {
    let prefetch = u16::try_from(PREFETCH).expect("small");
    // A consumer of watermarks takes ahead as many as the broker sends ahead; what is left is the queue's.
    let options = rabbitmq::Options {
        ingest_queues: QUEUES,
        lanes: 3,
        ingest_prefetch: prefetch,
        ingest_messages: 32,
        event_local_events: AT_MOST,
        watermark_messages: 32,
        watermark_prefetch: 8,
        notify_messages: 32,
        notify_prefetch: prefetch,
        ..fresh().options()
    };
    let registry = Registry::new();
    let parts = rabbitmq::connect(options, &registry).await.expect("a broker");
    let arrived = move |count: u64| {
        let registry = registry.clone();
        async move {
            while metric(&registry, "klatch_rabbitmq_received_events_total") < count {
                tokio::time::sleep(LOOK).await;
            }
        }
        .boxed()
    };
    let pass = |_| std::future::ready(()).boxed();
    Subject { bus: whole(parts), pass: Box::new(pass), arrived: Box::new(arrived) }
}

mod conformance {
    use super::open;

    klatch_tests::bus_conformance!(open; commands, events, watermarks, notifications);
}

#[tokio::test]
async fn commands_are_durable() {
    assert!(open().await.bus.commands.durable());
}

#[tokio::test]
async fn two_twins_cannot_share_a_registry() {
    let registry = Registry::new();
    let place = fresh();
    let _first = rabbitmq::connect(place.options(), &registry).await.expect("a broker");
    let second = rabbitmq::connect(place.options(), &registry).await;
    assert!(matches!(second, Err(rabbitmq::OpenError::Metrics(_))));
}

#[tokio::test]
async fn debug_shows_no_password() {
    let address = rabbitmq::BrokerAddress::parse("amqp://user:hunter2@localhost:5672/%2f").expect("an address");
    let options = rabbitmq::Options::new("test", vec![address]);
    assert!(!format!("{options:?} {}", options.brokers[0]).contains("hunter2"));
    let error = rabbitmq::BrokerAddress::parse("amqp//user:hunter2@localhost").expect_err("no address");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn every_lane_and_queue_works_when_they_live_on_several_brokers() {
    use klatch_bus::{Received, Target};
    use klatch_domain::{Incarnation, RoomId};
    use klatch_tests::conformance_bus::{batch, event, numbers};

    // Two virtual hosts do as well as two brokers.
    let (one, other) = (fresh(), fresh());
    let brokers = vec![one.address.clone(), other.address];
    let options = rabbitmq::Options { brokers, ingest_queues: 3, lanes: 4, ..one.options() };
    let parts = rabbitmq::connect(options, &Registry::new()).await.expect("brokers");
    for queue in 0..3 {
        parts.commands.publish(queue, batch([u64::from(queue)])).await.expect("there is room");
        let mut consumer = parts.commands.consume(queue).await.expect("a broker");
        let received = tokio::time::timeout(NEVER, consumer.receive()).await;
        let delivery = received.expect("a delivery never came").expect("the bus is open");
        assert_eq!(numbers(&delivery.commands), [u64::from(queue)]);
    }
    let mut receiver = parts.events.subscribe(Incarnation::from_bytes([1; 16]), true).await;
    let mut publisher = parts.events.publisher(Incarnation::from_bytes([2; 16]));
    let rooms: Vec<_> = (0..32).map(|byte| RoomId::from_bytes([byte; 16])).collect();
    publisher
        .publish(rooms.iter().map(|room| (Target::Lane(*room), vec![event(u64::from(room.as_bytes()[0]))])).collect())
        .await;
    let mut seen = Vec::new();
    while seen.len() < rooms.len() {
        match tokio::time::timeout(NEVER, receiver.receive()).await.unwrap_or_else(|_| panic!("only {seen:?} came")) {
            Some(Received::Events(events)) => {
                seen.extend(events.iter().map(klatch_tests::conformance_bus::event_number))
            }
            other => panic!("{other:?}"),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..32).collect::<Vec<_>>());
    drop((publisher, parts));
    assert_eq!(tokio::time::timeout(NEVER, receiver.receive()).await, Ok(None));
}

#[tokio::test]
async fn what_a_process_announces_that_ends_right_after_is_heard_and_nothing_is_missed() {
    use klatch_bus::Received;
    use klatch_domain::Incarnation;
    use klatch_tests::conformance_bus::{event, event_number};

    /// More than subscribers wait for a process that published and is silent.
    const SILENCE: Duration = Duration::from_secs(13);

    let place = fresh();
    let parts = rabbitmq::connect(place.options(), &Registry::new()).await.expect("a broker");
    let mut receiver = parts.events.subscribe(Incarnation::from_bytes([1; 16]), false).await;
    for number in 1..=3 {
        // As in a process that ends: nothing goes on by itself afterwards.
        let options = place.options();
        let process = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(rabbitmq::announce(options, vec![event(number)]))
        };
        tokio::task::spawn_blocking(process).await.expect("no panic").expect("a broker");
        match tokio::time::timeout(NEVER, receiver.receive()).await.expect("it is heard") {
            Some(Received::Events(events)) => assert_eq!(events.iter().map(event_number).collect::<Vec<_>>(), [number]),
            other => panic!("{other:?}"),
        }
    }
    let missed = tokio::time::timeout(SILENCE, receiver.receive()).await;
    assert!(missed.is_err(), "whoever announced is taken for dead: {missed:?}");

    let nobody = rabbitmq::BrokerAddress::parse("amqp://guest:guest@127.0.0.1:1/%2f").expect("an address");
    let options = rabbitmq::Options { brokers: vec![nobody], ..place.options() };
    let refused = rabbitmq::announce(options, vec![event(4)]).await.expect_err("there is no broker");
    assert!(refused.to_string().contains("127.0.0.1:1"), "{refused}");
}
