//! Rules of [`Signals`](klatch_bus::Signals).

use std::sync::Arc;

use klatch_bus::{Signal, SignalReceiver};

use super::{AT_MOST, Subject, assert_waits, gateway, number, room, user, within};

const LAST: u64 = 1_000_000;

fn signals(which: impl IntoIterator<Item = u64>) -> Vec<Signal> {
    let kind: Arc<str> = Arc::from("typing");
    which
        .into_iter()
        .map(|which| Signal::Room { room: room(which), user: user(1), kind: Arc::clone(&kind), payload: None })
        .collect()
}

/// The numbers in all signals until this one, it included.
async fn until(receiver: &mut Box<dyn SignalReceiver>, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        for signal in within("a signal", receiver.receive()).await.expect("the bus is open") {
            match signal {
                Signal::Room { room, .. } => seen.push(number(room.as_bytes())),
                other @ Signal::Presence { .. } => panic!("nobody sent {other:?}"),
            }
        }
    }
    seen
}

/// But not the one it comes from.
pub async fn a_signal_reaches_every_other_gateway_in_order(subject: Subject) {
    let bus = subject.bus.signals;
    let mut one = bus.subscribe(gateway(1)).await;
    let mut two = bus.subscribe(gateway(2)).await;
    let mut three = bus.subscribe(gateway(3)).await;
    bus.publish(gateway(1), signals([1, 2])).await;
    bus.publish(gateway(1), signals([3])).await;
    bus.publish(gateway(2), signals([4])).await;
    assert_eq!(until(&mut two, 3).await, [1, 2, 3]);
    assert_eq!(until(&mut three, 4).await, [1, 2, 3, 4]);
    assert_eq!(until(&mut one, 4).await, [4]);
}

/// Whatever is kept stays in order, and what comes when there is room arrives. Another gateway, which reads, misses nothing.
pub async fn a_full_queue_drops_and_goes_on(subject: Subject) {
    let bus = subject.bus.signals;
    let mut receiver = bus.subscribe(gateway(1)).await;
    let mut reader = bus.subscribe(gateway(3)).await;
    for which in 0..4 * AT_MOST as u64 {
        bus.publish(gateway(2), signals([which])).await;
        // When it is here, it has come to the full queue too.
        assert_eq!(until(&mut reader, which).await, [which]);
    }
    let first = within("a signal", receiver.receive()).await.expect("the bus is open");
    bus.publish(gateway(2), signals([LAST])).await;
    let seen = until(&mut receiver, LAST).await;
    assert!(first.len() + seen.len() - 1 <= AT_MOST);
    assert!(seen.is_sorted());
}

/// Waiting comes before publishing.
pub async fn a_waiting_receiver_hears_of_a_publish(subject: Subject) {
    let bus = subject.bus.signals;
    let mut receiver = bus.subscribe(gateway(1)).await;
    let (seen, ()) = tokio::join!(biased; until(&mut receiver, 1), bus.publish(gateway(2), signals([1])));
    assert_eq!(seen, [1]);
}

/// Before and after something came.
pub async fn a_cancelled_receive_loses_nothing(subject: Subject) {
    let bus = subject.bus.signals;
    let mut receiver = bus.subscribe(gateway(1)).await;
    for which in 0..3 {
        assert_waits("nothing was published", receiver.receive()).await;
        bus.publish(gateway(2), signals([which])).await;
        drop(receiver.receive());
        assert_eq!(until(&mut receiver, which).await, [which]);
    }
}

/// Who subscribes again starts anew.
pub async fn dropping_the_receiver_unsubscribes(subject: Subject) {
    let bus = subject.bus.signals;
    let receiver = bus.subscribe(gateway(1)).await;
    bus.publish(gateway(2), signals([1])).await;
    drop(receiver);
    let mut receiver = bus.subscribe(gateway(1)).await;
    bus.publish(gateway(2), signals([2])).await;
    assert_eq!(until(&mut receiver, 2).await, [2]);
}

/// Once no gateway can publish.
pub async fn receivers_get_what_waits_and_then_the_end(subject: Subject) {
    let bus = subject.bus.signals;
    let mut receiver = bus.subscribe(gateway(1)).await;
    bus.publish(gateway(2), signals([1])).await;
    drop(bus);
    assert_eq!(until(&mut receiver, 1).await, [1]);
    assert_eq!(within("the end", receiver.receive()).await, None);
}

/// And not before.
pub async fn whoever_waits_hears_of_the_end(subject: Subject) {
    let bus = subject.bus.signals;
    let mut receiver = bus.subscribe(gateway(1)).await;
    let (end, ()) =
        within("the end", async { tokio::join!(biased; receiver.receive(), async move { drop(bus) }) }).await;
    assert_eq!(end, None);
}
