//! What each workload does all day, by its own login; and what none may.

use klatch_bus::{
    Received, Target,
    rabbitmq::{self, Options, RabbitmqParts},
};
use klatch_domain::{Incarnation, RoomId};
use klatch_tests::conformance_bus::{batch, event, notifications::notify, numbers, watermarks::moved};
use lapin::{
    Connection, ConnectionProperties,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};
use prometheus::Registry;

/// Nothing here takes that long; this only ends a test that waits for what never comes.
const NEVER: std::time::Duration = std::time::Duration::from_secs(60);

async fn within<T>(what: &str, answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(NEVER, answer).await.unwrap_or_else(|_| panic!("{what} never came"))
}

/// The addresses are those of every login.
pub(super) async fn rights(addresses: &[String], options: impl Fn(&str) -> Options) {
    for address in addresses {
        may_declare_nothing(address).await;
    }
    let of = |role: &str| addresses.iter().find(|address| address.contains(&format!(".{role}-a:"))).unwrap();
    let connect = async |role: &str| rabbitmq::connect(options(of(role)), &Registry::new()).await.unwrap();
    let (gateway, api) = (connect("gateway").await, connect("api").await);
    let (writer, notifier) = (connect("message-service").await, connect("notification-service").await);
    commands_go_in(&[&gateway, &api], &writer).await;
    events_come_out(&[&gateway, &api], &writer).await;
    what_may_be_lost_goes(&gateway, &writer, &notifier).await;
}

async fn commands_go_in(publishers: &[&RabbitmqParts], writer: &RabbitmqParts) {
    let mut consumer = writer.commands.consume(0).await.unwrap();
    for (number, publisher) in (1..).zip(publishers) {
        publisher.commands.publish(0, batch([number])).await.unwrap();
        let delivery = within("a command", consumer.receive()).await.unwrap();
        assert_eq!(numbers(&delivery.commands), [number]);
        consumer.acknowledge(delivery.tag).await.unwrap();
    }
}

async fn events_come_out(subscribers: &[&RabbitmqParts], writer: &RabbitmqParts) {
    let incarnation = |number: u8| Incarnation::from_bytes([number; 16]);
    let mut publisher = writer.events.publisher(incarnation(9));
    for (number, subscriber) in (1..).zip(subscribers) {
        let mut receiver = subscriber.events.subscribe(incarnation(number), true).await;
        let targets = [Target::One(incarnation(number)), Target::Lane(RoomId::from_bytes([1; 16])), Target::Everyone];
        for target in targets {
            within("a confirm", publisher.publish(vec![(target, vec![event(7)])]).await).await;
            let mut received = within("an event", receiver.receive()).await.unwrap();
            // A stream that somebody joins late begins with a gap.
            while matches!(received, Received::Gap) {
                received = within("an event", receiver.receive()).await.unwrap();
            }
            assert!(matches!(received, Received::Events(events) if events == [event(7)]));
        }
    }
}

async fn what_may_be_lost_goes(gateway: &RabbitmqParts, writer: &RabbitmqParts, notifier: &RabbitmqParts) {
    let mut moves = writer.watermarks.consume().await;
    gateway.watermarks.publish(vec![moved(1, 1, Some(5), None)]).await;
    assert_eq!(within("a move", moves.receive()).await.unwrap(), [moved(1, 1, Some(5), None)]);
    let mut notifications = notifier.notifications.consume().await;
    writer.notifications.publish(vec![notify(3)]).await;
    let delivery = within("a notify command", notifications.receive()).await.unwrap();
    assert_eq!(delivery.commands, [notify(3)]);
    notifications.acknowledge(delivery.tag).await.unwrap();
}

async fn may_declare_nothing(address: &str) {
    let connection = Connection::connect(address, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = channel.queue_declare("mine".into(), QueueDeclareOptions::durable(), FieldTable::default()).await;
    assert!(queue.unwrap_err().to_string().contains("ACCESS_REFUSED"), "{address}");
    let channel = connection.create_channel().await.unwrap();
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let kind = lapin::ExchangeKind::Fanout;
    let exchange = channel.exchange_declare("events.lane.0".into(), kind, options, FieldTable::default()).await;
    assert!(exchange.unwrap_err().to_string().contains("ACCESS_REFUSED"), "{address}");
}
