//! Rules of [`Commands`](klatch_bus::Commands).

use std::sync::Arc;

use klatch_bus::{CommandConsumer, Commands, Delivery, PublishError};
use tokio::task::JoinSet;

use super::{AT_MOST, PREFETCH, QUEUES, Subject, assert_waits, batch, numbers, within};

async fn publish(commands: &dyn Commands, which: impl IntoIterator<Item = u64>) {
    commands.publish(0, batch(which)).await.expect("there is room");
}

async fn consume(commands: &dyn Commands) -> Box<dyn CommandConsumer> {
    commands.consume(0).await.expect("the bus is there")
}

async fn receive(consumer: &mut Box<dyn CommandConsumer>) -> Delivery {
    within("a delivery", consumer.receive()).await.expect("the bus is open")
}

/// Receives, acknowledges, and answers the numbers.
async fn settle(consumer: &mut Box<dyn CommandConsumer>) -> Vec<u64> {
    let delivery = receive(consumer).await;
    consumer.acknowledge(delivery.tag).await.expect("it is ours");
    numbers(&delivery.commands)
}

/// Nothing is merged, split or reordered, and tags rise.
pub async fn a_delivery_carries_what_one_publish_carried(subject: Subject) {
    let commands = subject.bus.commands;
    publish(&*commands, [1, 2, 3]).await;
    publish(&*commands, [4]).await;
    let mut consumer = consume(&*commands).await;
    let (first, second) = (receive(&mut consumer).await, receive(&mut consumer).await);
    assert_eq!((*first.commands).clone(), batch([1, 2, 3]));
    assert_eq!((*second.commands).clone(), batch([4]));
    assert_eq!((first.redeliveries, second.redeliveries), (0, 0));
    assert!(first.tag < second.tag);
}

/// Queues share nothing.
pub async fn a_queue_carries_only_its_own_commands(subject: Subject) {
    let commands = subject.bus.commands;
    assert_eq!(commands.queues(), QUEUES);
    commands.publish(1, batch([1])).await.expect("there is room");
    commands.publish(0, batch([2])).await.expect("there is room");
    let mut other = commands.consume(1).await.expect("the bus is there");
    let mut consumer = consume(&*commands).await;
    assert_eq!(settle(&mut other).await, [1]);
    assert_eq!(settle(&mut consumer).await, [2]);
}

/// All or nothing; what was refused fits once there is room, with the same ids.
pub async fn a_full_queue_takes_all_of_a_batch_or_nothing(subject: Subject) {
    let commands = subject.bus.commands;
    let mut taken = Vec::new();
    let refused = loop {
        let first = taken.len() as u64 * 3;
        assert!(taken.len() <= AT_MOST, "the queue takes more than its bound");
        match commands.publish(0, batch(first..first + 3)).await {
            Ok(()) => taken.push(vec![first, first + 1, first + 2]),
            Err(PublishError::Full { retry_after_ms }) => {
                assert!(retry_after_ms > 0);
                break first;
            }
            Err(unknown) => panic!("{unknown}"),
        }
    };
    let mut consumer = consume(&*commands).await;
    for expected in &taken {
        assert_eq!(settle(&mut consumer).await, *expected);
    }
    // That it has room again may take a moment to reach its publishers.
    let again = async { while commands.publish(0, batch(refused..refused + 3)).await.is_err() {} };
    within("room in the queue", again).await;
    assert_eq!(settle(&mut consumer).await, [refused, refused + 1, refused + 2]);
}

/// It is confirmed and leaves no trace.
pub async fn an_empty_batch_delivers_nothing(subject: Subject) {
    let commands = subject.bus.commands;
    publish(&*commands, []).await;
    publish(&*commands, [1]).await;
    assert_eq!(settle(&mut consume(&*commands).await).await, [1]);
}

/// Neither to publish nor to consume.
pub async fn a_queue_that_does_not_exist_takes_nothing(subject: Subject) {
    let commands = subject.bus.commands;
    assert!(matches!(commands.publish(QUEUES, batch([1])).await, Err(PublishError::Unknown(_))));
    assert!(matches!(commands.consume(QUEUES).await, Err(PublishError::Unknown(_))));
}

/// Many publish at once, each batch after the confirm of its last; they try again when the queue is full.
pub async fn every_publisher_keeps_its_order(subject: Subject) {
    const PUBLISHERS: u64 = 4;
    const EACH: u64 = 100;
    let commands = subject.bus.commands;
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let commands = Arc::clone(&commands);
        publishers.spawn(async move {
            for which in (publisher * 1_000)..(publisher * 1_000 + EACH) {
                while commands.publish(0, batch([which])).await.is_err() {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let mut consumer = consume(&*commands).await;
    let mut next: Vec<u64> = (0..PUBLISHERS).map(|publisher| publisher * 1_000).collect();
    for _ in 0..PUBLISHERS * EACH {
        let got = settle(&mut consumer).await;
        let expected = &mut next[usize::try_from(got[0] / 1_000).expect("small")];
        assert_eq!(got, [*expected]);
        *expected += 1;
    }
}

/// Waiting comes before publishing.
pub async fn a_waiting_consumer_hears_of_a_publish(subject: Subject) {
    let commands = subject.bus.commands;
    let mut consumer = consume(&*commands).await;
    let (delivery, ()) = tokio::join!(biased; receive(&mut consumer), publish(&*commands, [1]));
    assert_eq!(numbers(&delivery.commands), [1]);
}

/// Before and after something came.
pub async fn a_cancelled_receive_loses_nothing(subject: Subject) {
    let commands = subject.bus.commands;
    let mut consumer = consume(&*commands).await;
    assert_waits("nothing was published", consumer.receive()).await;
    publish(&*commands, [1]).await;
    assert_eq!(settle(&mut consumer).await, [1]);
    assert_waits("nothing more was published", consumer.receive()).await;
    publish(&*commands, [2]).await;
    drop(consumer.receive());
    assert_eq!(settle(&mut consumer).await, [2]);
}

/// In whatever order it was acknowledged; a second acknowledgement is refused.
pub async fn what_is_acknowledged_never_comes_again(subject: Subject) {
    let commands = subject.bus.commands;
    for which in 1..=4 {
        publish(&*commands, [which]).await;
    }
    let mut consumer = consume(&*commands).await;
    let mut tags = Vec::new();
    for _ in 0..4 {
        tags.push(receive(&mut consumer).await.tag);
    }
    for place in [2, 0, 3] {
        consumer.acknowledge(tags[place]).await.expect("it is ours");
    }
    drop(consumer);
    publish(&*commands, [5]).await;
    let mut consumer = consume(&*commands).await;
    assert_eq!(settle(&mut consumer).await, [2]);
    assert_eq!(settle(&mut consumer).await, [5]);
}

/// In front of what was never handed out, whatever was acknowledged in between.
pub async fn what_a_dropped_consumer_held_comes_back_in_front_in_order(subject: Subject) {
    let commands = subject.bus.commands;
    for which in 1..=6 {
        publish(&*commands, [which]).await;
    }
    let mut consumer = consume(&*commands).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(receive(&mut consumer).await.tag);
    }
    consumer.acknowledge(held[1]).await.expect("it is ours");
    drop(consumer);
    let mut next = consume(&*commands).await;
    // The fifth may have been on its way to the first consumer already.
    for (which, redeliveries) in [(1, 1..=1), (3, 1..=1), (4, 1..=1), (5, 0..=1), (6, 0..=0)] {
        let delivery = receive(&mut next).await;
        assert_eq!(numbers(&delivery.commands), [which]);
        assert!(redeliveries.contains(&delivery.redeliveries), "{which}: {}", delivery.redeliveries);
        next.acknowledge(delivery.tag).await.expect("it is ours");
    }
}

/// One more each time.
pub async fn every_return_counts_as_a_redelivery(subject: Subject) {
    let commands = subject.bus.commands;
    publish(&*commands, [1]).await;
    for returns in 0..5 {
        let delivery = receive(&mut consume(&*commands).await).await;
        assert_eq!((numbers(&delivery.commands), delivery.redeliveries), (vec![1], returns));
    }
}

/// An acknowledgement makes room for the next.
pub async fn a_consumer_holds_at_most_its_prefetch(subject: Subject) {
    let commands = subject.bus.commands;
    for which in 0..=PREFETCH as u64 {
        publish(&*commands, [which]).await;
    }
    let mut consumer = consume(&*commands).await;
    let mut first = None;
    for _ in 0..PREFETCH {
        let tag = receive(&mut consumer).await.tag;
        first.get_or_insert(tag);
    }
    assert_eq!(consumer.try_receive(), None);
    assert_waits("the prefetch is used up", consumer.receive()).await;
    consumer.acknowledge(first.expect("one came")).await.expect("it is ours");
    assert_eq!(numbers(&receive(&mut consumer).await.commands), [PREFETCH as u64]);
}

/// Also while more waits than the active one holds.
pub async fn a_standby_waits_until_the_active_consumer_is_dropped(subject: Subject) {
    let commands = subject.bus.commands;
    publish(&*commands, [1]).await;
    publish(&*commands, [2]).await;
    let mut active = consume(&*commands).await;
    let mut standby = consume(&*commands).await;
    assert_eq!(numbers(&receive(&mut active).await.commands), [1]);
    assert_eq!(standby.try_receive(), None);
    assert_waits("another consumer is active", standby.receive()).await;
    let (delivery, ()) = tokio::join!(biased; receive(&mut standby), async move { drop(active) });
    assert_eq!((numbers(&delivery.commands), delivery.redeliveries), (vec![1], 1));
    assert_eq!(settle(&mut standby).await, [2]);
}

/// One at a time, and the next only when that one is gone.
pub async fn standbys_take_over_in_turn(subject: Subject) {
    let commands = subject.bus.commands;
    publish(&*commands, [1]).await;
    let mut first = consume(&*commands).await;
    let mut second = consume(&*commands).await;
    let mut third = consume(&*commands).await;
    receive(&mut first).await;
    drop(first);
    assert_eq!(receive(&mut second).await.redeliveries, 1);
    assert_waits("another consumer is active", third.receive()).await;
    drop(second);
    assert_eq!(receive(&mut third).await.redeliveries, 2);
}

/// The active one goes on undisturbed.
pub async fn a_dropped_standby_takes_nothing_along(subject: Subject) {
    let commands = subject.bus.commands;
    let mut active = consume(&*commands).await;
    let standby = consume(&*commands).await;
    publish(&*commands, [1]).await;
    let held = receive(&mut active).await;
    drop(standby);
    active.acknowledge(held.tag).await.expect("still ours");
    publish(&*commands, [2]).await;
    assert_eq!(settle(&mut active).await, [2]);
}

/// What was confirmed is handed out even when every publisher is gone.
pub async fn consumers_get_what_waits_and_then_the_end(subject: Subject) {
    let commands = subject.bus.commands;
    publish(&*commands, [1]).await;
    let mut consumer = consume(&*commands).await;
    drop(commands);
    assert_eq!(settle(&mut consumer).await, [1]);
    assert_eq!(within("the end", consumer.receive()).await, None);
    assert_eq!(consumer.try_receive(), None);
}

/// Standbys too.
pub async fn whoever_waits_hears_of_the_end(subject: Subject) {
    let commands = subject.bus.commands;
    let mut active = consume(&*commands).await;
    let mut standby = consume(&*commands).await;
    let ends = async { tokio::join!(active.receive(), standby.receive()) };
    let (ends, ()) = within("the end", async { tokio::join!(biased; ends, async move { drop(commands) }) }).await;
    assert_eq!(ends, (None, None));
}
