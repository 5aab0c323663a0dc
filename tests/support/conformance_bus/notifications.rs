//! Rules of [`Notifications`](klatch_bus::Notifications).

use klatch_bus::{NotificationConsumer, NotifyCommand, NotifyDelivery};
use klatch_domain::{Audience, Kind, Mentions, MessageId, Ordinal, Position, Sender, SessionId, Timestamp};

use super::{AT_MOST, PREFETCH, Subject, assert_waits, bytes, number, room, user, within};

const LAST: u64 = 1_000_000;

/// A notify command.
#[must_use]
pub fn notify(which: u64) -> NotifyCommand {
    NotifyCommand {
        room: room(1),
        position: Position::first(which),
        ordinal: Ordinal(which),
        message_id: MessageId::from_bytes(bytes(which)),
        sender: Sender { user: user(1), session: SessionId::from_bytes(bytes(1)) },
        kind: Kind::Text,
        mentions: which.is_multiple_of(2).then(|| Mentions { users: vec![user(2)], room: false }),
        silent: which.is_multiple_of(3),
        audience: if which.is_multiple_of(5) { Audience::Room } else { Audience::Members([user(1), user(2)].into()) },
        at: Timestamp::from_millis(1_795_512_600_000),
    }
}

fn batch(which: impl IntoIterator<Item = u64>) -> Vec<NotifyCommand> {
    which.into_iter().map(notify).collect()
}

fn numbers(delivery: &NotifyDelivery) -> Vec<u64> {
    delivery.commands.iter().map(|command| number(command.message_id.as_bytes())).collect()
}

async fn receive(consumer: &mut Box<dyn NotificationConsumer>) -> NotifyDelivery {
    within("a delivery", consumer.receive()).await.expect("the bus is open")
}

async fn settle(consumer: &mut Box<dyn NotificationConsumer>) -> Vec<u64> {
    let delivery = receive(consumer).await;
    consumer.acknowledge(delivery.tag).await.expect("it is ours");
    numbers(&delivery)
}

/// With everything that is said of a message.
pub async fn a_delivery_carries_what_one_publish_carried(subject: Subject) {
    let notifications = subject.bus.notifications;
    notifications.publish(batch(1..=6)).await;
    let delivery = receive(&mut notifications.consume().await).await;
    assert_eq!((delivery.commands, delivery.redeliveries), (batch(1..=6), 0));
}

/// It leaves no trace.
pub async fn an_empty_batch_delivers_nothing(subject: Subject) {
    let notifications = subject.bus.notifications;
    notifications.publish(batch([])).await;
    notifications.publish(batch([1])).await;
    assert_eq!(settle(&mut notifications.consume().await).await, [1]);
}

/// Not to both.
pub async fn a_delivery_goes_to_one_of_the_consumers(subject: Subject) {
    let notifications = subject.bus.notifications;
    let mut one = notifications.consume().await;
    let mut other = notifications.consume().await;
    notifications.publish(batch([1])).await;
    let taken = async {
        tokio::select! {
            taken = one.receive() => taken,
            taken = other.receive() => taken,
        }
    };
    let taken = within("a delivery", taken).await.expect("the bus is open");
    assert_eq!(numbers(&taken), [1]);
    assert_waits("it was handed out", one.receive()).await;
    assert_waits("it was handed out", other.receive()).await;
}

/// A second acknowledgement is refused.
pub async fn what_is_acknowledged_never_comes_again(subject: Subject) {
    let notifications = subject.bus.notifications;
    notifications.publish(batch([1])).await;
    notifications.publish(batch([2])).await;
    let mut consumer = notifications.consume().await;
    let first = receive(&mut consumer).await;
    receive(&mut consumer).await;
    consumer.acknowledge(first.tag).await.expect("it is ours");
    assert!(consumer.acknowledge(first.tag).await.is_err());
    drop(consumer);
    let mut consumer = notifications.consume().await;
    assert_eq!(settle(&mut consumer).await, [2]);
}

/// And says that it comes again.
pub async fn what_a_dropped_consumer_held_comes_to_another(subject: Subject) {
    let notifications = subject.bus.notifications;
    notifications.publish(batch([1, 2])).await;
    let mut consumer = notifications.consume().await;
    assert_eq!(receive(&mut consumer).await.redeliveries, 0);
    drop(consumer);
    let again = receive(&mut notifications.consume().await).await;
    assert_eq!((numbers(&again), again.redeliveries), (vec![1, 2], 1));
}

/// An acknowledgement makes room for the next.
pub async fn a_consumer_holds_at_most_its_prefetch(subject: Subject) {
    let notifications = subject.bus.notifications;
    for which in 0..=PREFETCH as u64 {
        notifications.publish(batch([which])).await;
    }
    let mut consumer = notifications.consume().await;
    let mut first = None;
    for _ in 0..PREFETCH {
        let tag = receive(&mut consumer).await.tag;
        first.get_or_insert(tag);
    }
    assert_waits("the prefetch is used up", consumer.receive()).await;
    consumer.acknowledge(first.expect("one came")).await.expect("it is ours");
    assert_eq!(numbers(&receive(&mut consumer).await), [PREFETCH as u64]);
}

/// What is there stays, nobody is held up, and what comes when there is room arrives.
pub async fn a_full_queue_skips_and_goes_on(subject: Subject) {
    let notifications = subject.bus.notifications;
    for which in 0..4 * AT_MOST as u64 {
        within("a publish", notifications.publish(batch([which]))).await;
    }
    let mut consumer = notifications.consume().await;
    let mut kept = 0;
    loop {
        notifications.publish(batch([LAST])).await;
        let taken = settle(&mut consumer).await;
        if taken == [LAST] {
            break;
        }
        assert_eq!(taken, [kept], "the first ones stay, in order");
        kept += 1;
    }
    assert!(kept > 0 && kept <= AT_MOST as u64, "{kept} were kept");
}

/// Waiting comes before publishing.
pub async fn a_waiting_consumer_hears_of_a_publish(subject: Subject) {
    let notifications = subject.bus.notifications;
    let mut consumer = notifications.consume().await;
    let (taken, ()) = tokio::join!(biased; settle(&mut consumer), notifications.publish(batch([1])));
    assert_eq!(taken, [1]);
}

/// Before and after something came.
pub async fn a_cancelled_receive_loses_nothing(subject: Subject) {
    let notifications = subject.bus.notifications;
    let mut consumer = notifications.consume().await;
    for which in 0..3 {
        assert_waits("nothing was published", consumer.receive()).await;
        notifications.publish(batch([which])).await;
        drop(consumer.receive());
        assert_eq!(settle(&mut consumer).await, [which]);
    }
}

/// All of the consumers.
pub async fn consumers_get_what_waits_and_then_the_end(subject: Subject) {
    let notifications = subject.bus.notifications;
    let mut one = notifications.consume().await;
    notifications.publish(batch([1])).await;
    drop(notifications);
    assert_eq!(settle(&mut one).await, [1]);
    assert!(within("the end", one.receive()).await.is_none());
}

/// All of the consumers.
pub async fn whoever_waits_hears_of_the_end(subject: Subject) {
    let notifications = subject.bus.notifications;
    let mut one = notifications.consume().await;
    let mut other = notifications.consume().await;
    let ends = async { tokio::join!(one.receive(), other.receive()) };
    let (ends, ()) = within("the end", async { tokio::join!(biased; ends, async move { drop(notifications) }) }).await;
    assert!(ends.0.is_none() && ends.1.is_none());
}
