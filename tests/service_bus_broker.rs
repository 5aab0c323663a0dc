//! What a broker may do to the RabbitMQ twin: lack something, refuse, be killed, freeze, lose messages, speak TLS only.

use std::{collections::BTreeSet, time::Duration};

use klatch_bus::{
    EventReceiver, OwnershipLost, PublishError, Received, Target,
    payload::commands as payload,
    rabbitmq::{self, OpenError, Options, RabbitmqParts, Topology, TopologyError},
};
use klatch_domain::{Command, ConnectionId, Content, Draft, Event, Incarnation, Kind, Outcome, ReplyAddress, RoomId};
use klatch_tests::{
    conformance_bus::{batch, command, event, event_number, numbers},
    services::{
        proxy::Proxy,
        rabbitmq::{Place, Rabbitmq, Start, fresh},
    },
};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions},
    types::FieldTable,
};
use prometheus::Registry;
use tokio::time::timeout;

use crate::service_bus_rabbitmq::metric;

/// Nothing here takes longer unless it never comes.
const NEVER: Duration = Duration::from_secs(120);
const ONE: Incarnation = Incarnation::from_bytes([1; 16]);
const TWO: Incarnation = Incarnation::from_bytes([2; 16]);

async fn within<T>(what: &str, answer: impl Future<Output = T>) -> T {
    timeout(NEVER, answer).await.unwrap_or_else(|_| panic!("{what} never came"))
}

async fn connect(options: Options) -> RabbitmqParts {
    rabbitmq::connect(options, &Registry::new()).await.expect("a broker")
}

/// A channel past the twin, as an operator or a newer version would have.
async fn channel(place: &Place) -> (Connection, Channel) {
    let address = place.address.to_string();
    let (host, vhost) = address.split_once(" vhost ").expect("how an address is shown");
    let uri = format!("{}/{}", host.replace("amqp://", "amqp://guest:guest@"), vhost.trim_matches('"'));
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.expect("a broker");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

#[tokio::test]
async fn a_check_names_everything_that_is_missing_and_declares_nothing() {
    let place = fresh();
    let options = Options { topology: Topology::Check, ..place.options() };
    for _ in 0..2 {
        let missing = match rabbitmq::connect(options.clone(), &Registry::new()).await {
            Err(OpenError::Topology(TopologyError::Missing { names })) => names,
            other => panic!("{:?}", other.err()),
        };
        for name in ["exchange ingest", "queue ingest.0", "queue ingest.1", "exchange events.lane.0", "queue notify"] {
            assert!(missing.iter().any(|one| one.replace(&place.prefix, "") == name), "{name} in {missing:?}");
        }
    }
    let _declares = connect(place.options()).await;
    let checked = connect(options).await;
    checked.commands.publish(0, batch([1])).await.expect("it is all there");
}

#[tokio::test]
async fn what_stands_there_in_another_shape_is_an_error_that_names_it() {
    let place = fresh();
    let _first = connect(place.options()).await;
    let other = Options { ingest_messages: 7, ..place.options() };
    match rabbitmq::connect(other, &Registry::new()).await.err() {
        Some(OpenError::Topology(TopologyError::Refused { name, .. })) => assert!(name.ends_with("ingest.0"), "{name}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_no_queue_takes_is_not_confirmed() {
    let place = fresh();
    let parts = connect(place.options()).await;
    let (_connection, channel) = channel(&place).await;
    let (queue, exchange) = (format!("{}ingest.0", place.prefix), format!("{}ingest", place.prefix));
    channel.queue_unbind(queue.into(), exchange.into(), "0".into(), FieldTable::default()).await.expect("it was bound");
    match parts.commands.publish(0, batch([1])).await {
        Err(PublishError::Unknown(reason)) => assert!(reason.contains("NO_ROUTE"), "{reason}"),
        other => panic!("{other:?}"),
    }
    parts.commands.publish(1, batch([2])).await.expect("the other is bound");
}

#[tokio::test]
async fn what_a_full_queue_refuses_is_counted() {
    let place = fresh();
    let registry = Registry::new();
    let options = Options { ingest_messages: 2, notify_messages: 2, ..place.options() };
    let parts = rabbitmq::connect(options, &registry).await.expect("a broker");
    let mut refused = 0;
    while refused == 0 {
        if let Err(PublishError::Full { .. }) = parts.commands.publish(0, batch([1, 2, 3])).await {
            refused += 3;
        }
    }
    assert_eq!(metric(&registry, "klatch_rabbitmq_refused_total"), refused);
}

/// Publishes bytes as a newer or broken version would.
async fn publish_raw(channel: &Channel, place: &Place, body: &[u8]) {
    let (exchange, options) = (format!("{}ingest", place.prefix), BasicPublishOptions::default());
    let sent = channel.basic_publish(exchange.into(), "0".into(), options, body, BasicProperties::default()).await;
    drop(sent.expect("it is sent"));
}

async fn dead_letter(channel: &Channel, place: &Place) -> Vec<u8> {
    let queue = format!("{}dead-letters.ingest", place.prefix);
    let found = async {
        loop {
            let got =
                channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await.expect("a queue");
            match got {
                Some(message) => return message.delivery.data,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    within("a dead letter", found).await
}

#[tokio::test]
async fn a_command_of_a_newer_version_is_kept_and_refused_and_the_rest_goes_on() {
    let place = fresh();
    let parts = connect(place.options()).await;
    let (_connection, channel) = channel(&place).await;
    let mut waiter = parts.events.subscribe(ONE, false).await;
    let mut newer = command(7);
    newer.reply = Some(ReplyAddress { incarnation: ONE, connection: ConnectionId::from_bytes([9; 16]) });
    let body = String::from_utf8(payload::encode(&[command(1), newer, command(2)])).expect("JSON");
    let parts_of_body: Vec<_> = body.split("\"append\"").collect();
    let body = format!(
        "{}\"append\"{}\"transcribe\"{}\"append\"{}",
        parts_of_body[0], parts_of_body[1], parts_of_body[2], parts_of_body[3]
    );
    publish_raw(&channel, &place, body.as_bytes()).await;
    let mut consumer = parts.commands.consume(0).await.expect("a broker");
    let delivery = within("the rest", consumer.receive()).await.expect("the bus is open");
    assert_eq!(numbers(&delivery.commands), [1, 2]);
    let kept = payload::decode(&dead_letter(&channel, &place).await).expect("a batch");
    assert_eq!((kept.commands.len(), kept.unreadable.len()), (0, 1));
    let refused = within("the refusal", waiter.receive()).await;
    match refused {
        Some(Received::Events(events)) => match &events[..] {
            [Event::Outcome(outcome)] => {
                assert_eq!(outcome.message_id, command(7).message_id);
                assert!(matches!(&outcome.outcome, Outcome::Refused(refusal) if refusal.retryable));
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_batch_at_all_goes_to_the_dead_letters_and_holds_up_nothing() {
    let place = fresh();
    let parts = connect(place.options()).await;
    let (_connection, channel) = channel(&place).await;
    publish_raw(&channel, &place, b"\x00garbage").await;
    publish_raw(&channel, &place, br#"{"v":99,"commands":[]}"#).await;
    parts.commands.publish(0, batch([1])).await.expect("there is room");
    let mut consumer = parts.commands.consume(0).await.expect("a broker");
    let delivery = within("the next", consumer.receive()).await.expect("the bus is open");
    assert_eq!(numbers(&delivery.commands), [1]);
    let dead = BTreeSet::from([dead_letter(&channel, &place).await, dead_letter(&channel, &place).await]);
    assert!(dead.contains(&b"\x00garbage"[..]));
}

#[tokio::test]
async fn without_a_broker_a_publish_is_unknown_and_a_start_an_error() {
    let place = fresh();
    let proxy = Proxy::to(port_of(&place));
    let options =
        Options { brokers: vec![place.address.clone().by_way_of("127.0.0.1", proxy.port())], ..place.options() };
    let parts = connect(options.clone()).await;
    proxy.cut();
    assert!(matches!(parts.commands.publish(0, batch([1])).await, Err(PublishError::Unknown(_))));
    assert!(matches!(parts.commands.consume(0).await, Err(PublishError::Unknown(_))));
    let refused = rabbitmq::connect(options, &Registry::new()).await;
    assert!(matches!(refused, Err(OpenError::Topology(TopologyError::Link(_)))));
    proxy.heal();
    within("the broker", async { while parts.commands.publish(0, batch([1])).await.is_err() {} }).await;
}

/// The port in an address as it is shown.
fn port_of(place: &Place) -> u16 {
    let shown = place.address.to_string();
    let port = shown.split(':').nth(2).and_then(|rest| rest.split(' ').next()).expect("how an address is shown");
    port.parse().expect("a port")
}

#[tokio::test]
async fn a_confirm_that_does_not_come_is_unknown_and_the_same_ids_can_be_sent_again() {
    let place = fresh();
    let proxy = Proxy::to(port_of(&place));
    let brokers = vec![place.address.clone().by_way_of("127.0.0.1", proxy.port())];
    let options = Options { brokers, confirm_timeout: Duration::from_millis(300), ..place.options() };
    let parts = connect(options).await;
    within("room", async { while parts.commands.publish(0, batch([0])).await.is_err() {} }).await;
    proxy.freeze();
    assert!(matches!(parts.commands.publish(0, batch([1])).await, Err(PublishError::Unknown(_))));
    proxy.heal();
    within("the broker", async { while parts.commands.publish(0, batch([1])).await.is_err() {} }).await;
    let mut consumer = connect(place.options()).await.commands.consume(0).await.expect("a broker");
    let mut seen = BTreeSet::new();
    while !seen.contains(&1) {
        seen.extend(numbers(&within("a delivery", consumer.receive()).await.expect("the bus is open").commands));
    }
}

#[tokio::test]
async fn whoever_loses_its_connection_hears_that_the_queue_is_not_its_own_and_goes_on() {
    let place = fresh();
    let proxy = Proxy::to(port_of(&place));
    let direct = connect(place.options()).await;
    let brokers = vec![place.address.clone().by_way_of("127.0.0.1", proxy.port())];
    let parts = connect(Options { brokers, ..place.options() }).await;
    for which in 1..=3 {
        direct.commands.publish(0, batch([which])).await.expect("there is room");
    }
    let mut consumer = parts.commands.consume(0).await.expect("a broker");
    let first = within("a delivery", consumer.receive()).await.expect("the bus is open");
    // Whether the broker heard it before the cut is not known: it may come again.
    consumer.acknowledge(first.tag).await.expect("it is ours");
    let held = within("a delivery", consumer.receive()).await.expect("the bus is open");
    proxy.cut();
    proxy.heal();
    // What had been sent ahead may still come; then all that was not acknowledged comes again.
    let mut seen = Vec::new();
    while seen.iter().filter(|(which, redelivered)| *redelivered && (*which == 2 || *which == 3)).count() < 2 {
        let delivery = within("a redelivery", consumer.receive()).await.expect("the bus is open");
        seen.push((numbers(&delivery.commands)[0], delivery.redeliveries > 0));
    }
    assert_eq!(consumer.acknowledge(held.tag).await, Err(OwnershipLost));
}

#[tokio::test]
async fn every_confirmed_command_outlives_a_killed_broker_in_order() {
    const BATCHES: u64 = 300;
    let mut broker = Rabbitmq::start(Start::default());
    let place = broker.place("killed");
    let options = Options { confirm_timeout: Duration::from_secs(5), ..place.options() };
    let parts = connect(options).await;
    let commands = std::sync::Arc::clone(&parts.commands);
    let publishing = tokio::spawn(async move {
        for which in 0..BATCHES {
            while commands.publish(0, batch([which])).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    });
    let mut consumer = parts.commands.consume(0).await.expect("a broker");
    let mut firsts = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut lost, mut killed) = (0, false);
    while !seen.contains(&(BATCHES - 1)) {
        let delivery = within("a delivery", consumer.receive()).await.expect("the bus is open");
        for which in numbers(&delivery.commands) {
            if seen.insert(which) {
                firsts.push(which);
            }
        }
        lost += u32::from(consumer.acknowledge(delivery.tag).await.is_err());
        if seen.len() == 100 && !killed {
            killed = true;
            broker.kill();
            broker.restart();
        }
    }
    publishing.await.expect("the publisher");
    assert_eq!(firsts, (0..BATCHES).collect::<Vec<_>>(), "{lost} acknowledgements were refused");
}

async fn events_until(receiver: &mut Box<dyn EventReceiver>, last: u64) -> (Vec<u64>, u32) {
    let (mut seen, mut gaps) = (Vec::new(), 0);
    while !seen.contains(&last) {
        match within("an event", receiver.receive()).await.expect("the bus is open") {
            Received::Events(events) => seen.extend(events.iter().map(event_number)),
            Received::Gap => gaps += 1,
        }
    }
    (seen, gaps)
}

#[tokio::test]
async fn a_lost_subscription_is_a_gap_and_then_goes_on() {
    let place = fresh();
    let proxy = Proxy::to(port_of(&place));
    let direct = connect(place.options()).await;
    let brokers = vec![place.address.clone().by_way_of("127.0.0.1", proxy.port())];
    let parts = connect(Options { brokers, ..place.options() }).await;
    let mut receiver = parts.events.subscribe(ONE, true).await;
    let mut publisher = direct.events.publisher(TWO);
    publisher.publish(vec![(Target::Everyone, vec![event(1)])]).await;
    assert_eq!(events_until(&mut receiver, 1).await, (vec![1], 0));
    proxy.cut();
    publisher.publish(vec![(Target::One(ONE), vec![event(2)])]).await;
    assert_eq!(within("a gap", receiver.receive()).await, Some(Received::Gap));
    proxy.heal();
    // The second gap says that there is a queue again.
    assert_eq!(within("a gap", receiver.receive()).await, Some(Received::Gap));
    publisher.publish(vec![(Target::One(ONE), vec![event(3)]), (Target::Lane(RoomId::now()), vec![event(4)])]).await;
    let (mut seen, gaps) = events_until(&mut receiver, 3).await;
    if !seen.contains(&4) {
        seen.extend(events_until(&mut receiver, 4).await.0);
    }
    // One more when this machine was slow: of a stream that is older than the queue nobody knows what came first.
    assert!(seen == [3, 4] && gaps <= 1, "{seen:?}, {gaps} gaps");
}

/// A publisher whose network can be cut, beside a subscriber whose network cannot.
async fn publisher_by_proxy(place: &Place) -> (RabbitmqParts, Proxy) {
    let proxy = Proxy::to(port_of(place));
    let brokers = vec![place.address.clone().by_way_of("127.0.0.1", proxy.port())];
    let options = Options { brokers, confirm_timeout: Duration::from_millis(300), ..place.options() };
    (connect(options).await, proxy)
}

async fn gap(receiver: &mut Box<dyn EventReceiver>) {
    while within("a gap", receiver.receive()).await != Some(Received::Gap) {}
}

/// Whatever becomes of the publisher from then on.
#[tokio::test]
async fn a_receipt_comes_when_the_broker_has_it_and_not_before() {
    let place = fresh();
    let direct = connect(place.options()).await;
    let mut receiver = direct.events.subscribe(ONE, true).await;
    let (parts, proxy) = publisher_by_proxy(&place).await;
    let mut publisher = parts.events.publisher(TWO);
    let targets =
        |which| vec![(Target::One(ONE), vec![event(which)]), (Target::Lane(RoomId::now()), vec![event(which)])];
    within("a receipt", publisher.publish(targets(1)).await).await;
    for cut in [Proxy::cut, Proxy::freeze] {
        cut(&proxy);
        let mut receipt = publisher.publish(targets(2)).await;
        // Longer than any confirm is waited for: it is given up, and is still not there.
        tokio::select! {
            () = &mut receipt => panic!("nothing can have arrived"),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        proxy.heal();
        within("a receipt", receipt).await;
        // What a frozen network held may come after all.
        while match within("the event or its loss", receiver.receive()).await.expect("the bus is open") {
            Received::Events(events) => !events.iter().map(event_number).any(|number| number == 2),
            Received::Gap => false,
        } {}
    }
    within("a receipt", publisher.publish(targets(3)).await).await;
    let (seen, _) = events_until(&mut receiver, 3).await;
    assert!(seen.ends_with(&[3]), "{seen:?}");
}

/// Nobody has heard of the stream before: there is no number to compare with.
#[tokio::test]
async fn the_first_of_a_stream_that_is_lost_is_a_gap() {
    for to_one in [false, true] {
        let place = fresh();
        let (parts, proxy) = publisher_by_proxy(&place).await;
        let direct = connect(place.options()).await;
        let subscriber = Proxy::to(port_of(&place));
        let brokers = vec![place.address.clone().by_way_of("127.0.0.1", subscriber.port())];
        let through = connect(Options { brokers, ..place.options() }).await;
        let mut receiver = through.events.subscribe(ONE, true).await;
        // A queue that is not its first: it comes with a gap of its own, which is behind us.
        subscriber.cut();
        gap(&mut receiver).await;
        subscriber.heal();
        gap(&mut receiver).await;
        direct.events.publisher(TWO).publish(vec![(Target::Everyone, vec![event(1)])]).await.await;
        assert_eq!(events_until(&mut receiver, 1).await, (vec![1], 0));
        let mut publisher = parts.events.publisher(TWO);
        proxy.cut();
        let target = if to_one { Target::One(ONE) } else { Target::Lane(RoomId::now()) };
        drop(publisher.publish(vec![(target, vec![event(2)])]).await);
        proxy.heal();
        gap(&mut receiver).await;
    }
}

#[tokio::test]
async fn a_process_that_published_and_falls_silent_is_a_gap() {
    let place = fresh();
    let direct = connect(place.options()).await;
    let mut receiver = direct.events.subscribe(ONE, false).await;
    let (parts, proxy) = publisher_by_proxy(&place).await;
    parts.events.publisher(TWO).publish(vec![(Target::One(ONE), vec![event(1)])]).await.await;
    assert_eq!(events_until(&mut receiver, 1).await, (vec![1], 0));
    proxy.freeze();
    gap(&mut receiver).await;
}

#[tokio::test]
async fn a_process_that_is_not_there_is_counted() {
    let place = fresh();
    let registry = Registry::new();
    let parts = rabbitmq::connect(place.options(), &registry).await.expect("a broker");
    let mut publisher = parts.events.publisher(TWO);
    within("a receipt", publisher.publish(vec![(Target::One(ONE), vec![event(1)])]).await).await;
    within("its absence", async {
        while metric(&registry, "klatch_rabbitmq_absent_total") == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn large(which: u64) -> Event {
    use klatch_domain::{Appended, Audience, Entry, Ordinal, Position, Seq, Timestamp};
    let Command { room, message_id, sender, .. } = command(which);
    let draft = Draft::new(Kind::Text, Content::text(&"x".repeat(16 * 1024)).expect("small enough"));
    let at = Timestamp::from_millis(0);
    let entry = Entry::of(&draft, Position::first(which), Ordinal(which), message_id, sender, at);
    let (members_version, audience) = (Seq(1), Audience::Room);
    let appended = Appended { room, entry, members_version, audience, removed: None, accepted_micros: 0, trace: None };
    Event::Appended(std::sync::Arc::new(appended))
}

/// While its network stands still a subscriber's queue overflows at the broker, which says nothing: the numbers do.
#[tokio::test]
async fn what_the_broker_drops_is_a_gap() {
    const MESSAGES: u64 = 2_000;
    let place = fresh();
    let proxy = Proxy::to(port_of(&place));
    let direct = connect(place.options()).await;
    let brokers = vec![place.address.clone().by_way_of("127.0.0.1", proxy.port())];
    let options = Options { brokers, event_queue_messages: 8, event_local_bytes: usize::MAX, ..place.options() };
    let parts = connect(options).await;
    let mut receiver = parts.events.subscribe(ONE, false).await;
    let mut publisher = direct.events.publisher(TWO);
    publisher.publish(vec![(Target::One(ONE), vec![large(1)])]).await;
    assert!(matches!(within("an event", receiver.receive()).await, Some(Received::Events(_))));
    proxy.freeze();
    for which in 2..=MESSAGES {
        publisher.publish(vec![(Target::One(ONE), vec![large(which)])]).await;
    }
    proxy.heal();
    let (mut seen, mut gaps) = (vec![1], 0);
    while gaps == 0 || seen.last() != Some(&MESSAGES) {
        match within("an event or a gap", receiver.receive()).await.expect("the bus is open") {
            Received::Gap => gaps += 1,
            Received::Events(events) => {
                for event in &events {
                    let Event::Appended(appended) = event else { panic!("nobody sent {event:?}") };
                    let seq = appended.entry.position.seq.0;
                    assert!(gaps > 0 || seen.last() == Some(&(seq - 1)), "{seq} after {:?} without a gap", seen.last());
                    seen.push(seq);
                }
            }
        }
    }
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn tls_is_spoken_with_an_authority_of_ones_own_and_refused_without() {
    let broker = Rabbitmq::start(Start { tls: true });
    let (place, authority) = broker.encrypted("encrypted");
    assert!(place.address.is_encrypted());
    let unknown = rabbitmq::connect(place.options(), &Registry::new()).await;
    assert!(matches!(unknown, Err(OpenError::Topology(TopologyError::Link(_)))), "nobody knows its authority");
    let parts = connect(Options { ca_file: Some(authority), ..place.options() }).await;
    parts.commands.publish(0, batch([1])).await.expect("there is room");
    let mut consumer = parts.commands.consume(0).await.expect("a broker");
    let delivery = within("a delivery", consumer.receive()).await.expect("the bus is open");
    assert_eq!(numbers(&delivery.commands), [1]);
    let absent = Options { ca_file: Some("/nowhere/ca.pem".into()), ..place.options() };
    assert!(matches!(rabbitmq::connect(absent, &Registry::new()).await, Err(OpenError::Authorities { .. })));
}
