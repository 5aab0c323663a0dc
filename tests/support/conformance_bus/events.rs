//! Rules of [`Events`](klatch_bus::Events).

use klatch_bus::{EventPublisher, EventReceiver, Received, Target};
use klatch_domain::Event;

use super::{AT_MOST, Subject, assert_waits, event, event_number, gateway, room, within};

/// Number of an event that ends what a test reads.
const LAST: u64 = 1_000_000;

fn events(which: impl IntoIterator<Item = u64>) -> Vec<Event> {
    which.into_iter().map(event).collect()
}

async fn send(publisher: &mut Box<dyn EventPublisher>, target: Target, which: impl IntoIterator<Item = u64>) {
    publisher.publish(vec![(target, events(which))]).await;
}

/// What a receiver saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Event(u64),
    Gap,
}

/// Receives until an event with this number, it included.
async fn until(receiver: &mut Box<dyn EventReceiver>, last: u64) -> Vec<Seen> {
    let mut seen = Vec::new();
    while seen.last() != Some(&Seen::Event(last)) {
        match within("an event", receiver.receive()).await.expect("the bus is open") {
            Received::Events(events) => seen.extend(events.iter().map(|one| Seen::Event(event_number(one)))),
            Received::Gap => seen.push(Seen::Gap),
        }
    }
    seen
}

/// Receives until a gap, it included.
async fn until_gap(receiver: &mut Box<dyn EventReceiver>) -> Vec<Seen> {
    let mut seen = Vec::new();
    while seen.last() != Some(&Seen::Gap) {
        match within("a gap", receiver.receive()).await.expect("the bus is open") {
            Received::Events(events) => seen.extend(events.iter().map(|one| Seen::Event(event_number(one)))),
            Received::Gap => seen.push(Seen::Gap),
        }
    }
    seen
}

fn all(which: impl IntoIterator<Item = u64>) -> Vec<Seen> {
    which.into_iter().map(Seen::Event).collect()
}

/// And no other.
pub async fn one_reaches_exactly_that_process(subject: Subject) {
    let events = subject.bus.events;
    let mut one = events.subscribe(gateway(1), true).await;
    let mut other = events.subscribe(gateway(2), true).await;
    let mut publisher = events.publisher(gateway(9));
    send(&mut publisher, Target::One(gateway(1)), [1, 2]).await;
    send(&mut publisher, Target::One(gateway(2)), [3]).await;
    assert_eq!(until(&mut one, 2).await, all([1, 2]));
    assert_eq!(until(&mut other, 3).await, all([3]));
}

/// With lanes and without.
pub async fn everyone_reaches_every_subscriber(subject: Subject) {
    let events = subject.bus.events;
    let mut with = events.subscribe(gateway(1), true).await;
    let mut without = events.subscribe(gateway(2), false).await;
    send(&mut events.publisher(gateway(9)), Target::Everyone, [1]).await;
    assert_eq!(until(&mut with, 1).await, all([1]));
    assert_eq!(until(&mut without, 1).await, all([1]));
}

/// Any room's.
pub async fn a_lane_reaches_those_who_asked_for_lanes(subject: Subject) {
    let events = subject.bus.events;
    let mut with = events.subscribe(gateway(1), true).await;
    let mut also = events.subscribe(gateway(2), true).await;
    let mut without = events.subscribe(gateway(3), false).await;
    let mut publisher = events.publisher(gateway(9));
    send(&mut publisher, Target::Lane(room(7)), [1]).await;
    send(&mut publisher, Target::One(gateway(3)), [2]).await;
    assert_eq!(until(&mut with, 1).await, all([1]));
    assert_eq!(until(&mut also, 1).await, all([1]));
    assert_eq!(until(&mut without, 2).await, all([2]));
}

/// What stands beside it arrives.
pub async fn a_target_nobody_has_harms_nobody(subject: Subject) {
    let bus_events = subject.bus.events;
    let mut receiver = bus_events.subscribe(gateway(1), false).await;
    let mut publisher = bus_events.publisher(gateway(9));
    publisher.publish(vec![(Target::One(gateway(404)), events([1])), (Target::One(gateway(1)), events([2]))]).await;
    assert_eq!(until(&mut receiver, 2).await, all([2]));
}

/// Two publishers to one target, in whatever way they mix.
pub async fn every_publisher_keeps_its_order(subject: Subject) {
    let events = subject.bus.events;
    let mut receiver = events.subscribe(gateway(1), false).await;
    let (mut one, mut other) = (events.publisher(gateway(8)), events.publisher(gateway(9)));
    for which in 0..10 {
        send(&mut one, Target::One(gateway(1)), [which * 2, which * 2 + 1]).await;
        send(&mut other, Target::One(gateway(1)), [100 + which]).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 30 {
        match within("an event", receiver.receive()).await.expect("the bus is open") {
            Received::Events(events) => seen.extend(events.iter().map(event_number)),
            Received::Gap => panic!("nothing was lost"),
        }
    }
    let (low, high): (Vec<u64>, Vec<u64>) = seen.into_iter().partition(|which| *which < 100);
    assert_eq!(low, (0..20).collect::<Vec<_>>());
    assert_eq!(high, (100..110).collect::<Vec<_>>());
}

/// Behind all that was kept, once, before all that comes later.
pub async fn a_loss_is_one_gap_in_its_place(subject: Subject) {
    let events = subject.bus.events;
    let mut receiver = events.subscribe(gateway(1), false).await;
    let mut publisher = events.publisher(gateway(9));
    for which in 0..4 * AT_MOST as u64 {
        send(&mut publisher, Target::One(gateway(1)), [which]).await;
    }
    (subject.arrived)(4 * AT_MOST as u64).await;
    let seen = until_gap(&mut receiver).await;
    let kept = (seen.len() - 1) as u64;
    assert!(kept > 0 && kept <= AT_MOST as u64);
    assert_eq!(seen[..seen.len() - 1], all(0..kept));
    send(&mut publisher, Target::One(gateway(1)), [LAST]).await;
    assert_eq!(until(&mut receiver, LAST).await, all([LAST]));
}

/// A batch too large for what is left, one that fits, one too large again: wherever numbers jump there is a gap, nowhere else.
pub async fn every_run_of_losses_is_a_gap(subject: Subject) {
    let events = subject.bus.events;
    let mut receiver = events.subscribe(gateway(1), false).await;
    let mut publisher = events.publisher(gateway(9));
    let most = AT_MOST as u64;
    let mut next = 0;
    for count in [most - 3, most, most, 1, most, 1] {
        send(&mut publisher, Target::One(gateway(1)), next..next + count).await;
        next += count;
    }
    (subject.arrived)(next).await;
    let mut seen = until_gap(&mut receiver).await;
    let after_first_gap = until_gap(&mut receiver).await;
    assert!(after_first_gap.len() > 1, "two gaps in a row");
    seen.extend(after_first_gap);
    send(&mut publisher, Target::One(gateway(1)), [next]).await;
    seen.extend(until(&mut receiver, next).await);
    let mut expected = 0;
    for pair in seen.windows(2) {
        match (pair[0], pair[1]) {
            (Seen::Event(before), Seen::Event(after)) => assert_eq!(after, before + 1, "{seen:?}"),
            (Seen::Event(before), Seen::Gap) => expected = before + 1,
            (Seen::Gap, Seen::Event(after)) => assert!(after > expected, "{seen:?}"),
            (Seen::Gap, Seen::Gap) => panic!("two gaps in a row: {seen:?}"),
        }
    }
}

/// It has its own queue.
pub async fn a_full_subscriber_costs_no_other_anything(subject: Subject) {
    let events = subject.bus.events;
    let _full = events.subscribe(gateway(1), true).await;
    let mut receiver = events.subscribe(gateway(2), true).await;
    let mut publisher = events.publisher(gateway(9));
    for which in 0..4 * AT_MOST as u64 {
        send(&mut publisher, Target::Lane(room(1)), [which]).await;
        assert_eq!(until(&mut receiver, which).await, all([which]));
    }
}

/// Waiting comes before publishing.
pub async fn a_waiting_receiver_hears_of_a_publish(subject: Subject) {
    let events = subject.bus.events;
    let mut receiver = events.subscribe(gateway(1), false).await;
    let mut publisher = events.publisher(gateway(9));
    let (seen, ()) = tokio::join!(biased; until(&mut receiver, 1), send(&mut publisher, Target::One(gateway(1)), [1]));
    assert_eq!(seen, all([1]));
}

/// Before and after something came.
pub async fn a_cancelled_receive_loses_nothing(subject: Subject) {
    let events = subject.bus.events;
    let mut receiver = events.subscribe(gateway(1), false).await;
    let mut publisher = events.publisher(gateway(9));
    for which in 0..3 {
        assert_waits("nothing was published", receiver.receive()).await;
        send(&mut publisher, Target::One(gateway(1)), [which]).await;
        drop(receiver.receive());
        assert_eq!(until(&mut receiver, which).await, all([which]));
    }
    assert_eq!(receiver.try_receive(), None);
}

/// Who subscribes again starts anew.
pub async fn dropping_the_receiver_unsubscribes(subject: Subject) {
    let events = subject.bus.events;
    let mut publisher = events.publisher(gateway(9));
    let receiver = events.subscribe(gateway(1), true).await;
    send(&mut publisher, Target::Everyone, [1]).await;
    drop(receiver);
    send(&mut publisher, Target::Everyone, [2]).await;
    let mut receiver = events.subscribe(gateway(1), true).await;
    send(&mut publisher, Target::Everyone, [3]).await;
    assert_eq!(until(&mut receiver, 3).await, all([3]));
}

/// Only when publishers are gone too.
pub async fn receivers_get_what_waits_and_then_the_end(subject: Subject) {
    let events = subject.bus.events;
    let mut receiver = events.subscribe(gateway(1), false).await;
    let mut publisher = events.publisher(gateway(9));
    drop(events);
    assert_waits("a publisher is left", receiver.receive()).await;
    send(&mut publisher, Target::One(gateway(1)), [1]).await;
    drop(publisher);
    assert_eq!(until(&mut receiver, 1).await, all([1]));
    assert_eq!(within("the end", receiver.receive()).await, None);
}

/// And not before.
pub async fn whoever_waits_hears_of_the_end(subject: Subject) {
    let events = subject.bus.events;
    let mut receiver = events.subscribe(gateway(1), false).await;
    let (end, ()) =
        within("the end", async { tokio::join!(biased; receiver.receive(), async move { drop(events) }) }).await;
    assert_eq!(end, None);
}
