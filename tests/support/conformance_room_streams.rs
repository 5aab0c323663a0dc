//! What every twin of the streams of very large rooms must do, rule by rule.

#![allow(clippy::expect_used, clippy::panic, reason = "rules are tests that stand in a library")]

use std::{sync::Arc, time::Duration};

use klatch_bus::{ROOM_EVENTS, RoomNews, RoomPublisher, RoomStreams, RoomSubscriber};
use klatch_domain::{Event, Incarnation, RoomId};

use crate::conformance_bus::{event, event_number};

/// No rule waits for time to pass; this only ends a test whose subject never answers.
const NEVER: Duration = Duration::from_secs(60);

/// Makes one test of every rule; `$open`, an async function, opens streams that nobody else uses.
#[macro_export]
macro_rules! room_stream_conformance {
    ($open:ident) => {
        $crate::room_stream_conformance! { @ $open:
            events_reach_those_who_hear_the_room_in_order,
            rooms_are_kept_apart,
            who_has_left_hears_nothing_more,
            what_was_published_before_joining_is_no_gap,
            a_full_subscriber_sees_one_gap_and_costs_no_other_anything,
            publishers_are_numbered_apart,
            whoever_waits_hears_of_the_end,
        }
    };
    (@ $open:ident: $($rule:ident,)+) => {
        $(
            #[tokio::test]
            async fn $rule() {
                $crate::conformance_room_streams::$rule($open().await).await;
            }
        )+
    };
}

fn room(which: u8) -> RoomId {
    RoomId::from_bytes([which; 16])
}

async fn publish(publisher: &mut dyn RoomPublisher, to: u8, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        publisher.publish(room(to), vec![event(number)]).await.expect("it can be sent");
    }
}

/// What comes next.
///
/// # Panics
/// When nothing does.
pub async fn next(subscriber: &dyn RoomSubscriber) -> RoomNews {
    let next = tokio::time::timeout(NEVER, subscriber.receive()).await;
    next.expect("news").expect("the streams are open")
}

/// The numbers of the next so many events, all of one room and without a gap.
///
/// # Panics
/// When they are not.
pub async fn numbers(subscriber: &dyn RoomSubscriber, of: RoomId, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        match next(subscriber).await {
            RoomNews::Events(room, events) if room == of => numbers.extend(events.iter().map(event_number)),
            other => panic!("expected events of {of}: {other:?}"),
        }
    }
    numbers
}

async fn hears(streams: &dyn RoomStreams, rooms: &[u8]) -> Box<dyn RoomSubscriber> {
    let subscriber = streams.subscribe();
    for which in rooms {
        subscriber.join(room(*which)).await.expect("a connection");
    }
    subscriber
}

/// All of them, each once.
pub async fn events_reach_those_who_hear_the_room_in_order(streams: Arc<dyn RoomStreams>) {
    let (one, other) = (hears(&*streams, &[1]).await, hears(&*streams, &[1, 1]).await);
    let mut publisher = streams.publisher(Incarnation::now());
    publish(&mut *publisher, 1, 0..20).await;
    for subscriber in [&one, &other] {
        assert_eq!(numbers(&**subscriber, room(1), 20).await, (0..20).collect::<Vec<_>>());
    }
}

/// Their numbers, too.
pub async fn rooms_are_kept_apart(streams: Arc<dyn RoomStreams>) {
    let (one, both) = (hears(&*streams, &[1]).await, hears(&*streams, &[1, 2]).await);
    let mut publisher = streams.publisher(Incarnation::now());
    for number in 0..5 {
        publish(&mut *publisher, 1, [number]).await;
        publish(&mut *publisher, 2, [number + 100]).await;
    }
    assert_eq!(numbers(&*one, room(1), 5).await, [0, 1, 2, 3, 4]);
    let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
    while of_one.len() + of_two.len() < 10 {
        match next(&*both).await {
            RoomNews::Events(from, events) if from == room(1) => of_one.extend(events.iter().map(event_number)),
            RoomNews::Events(_, events) => of_two.extend(events.iter().map(event_number)),
            gap @ RoomNews::Gap(_) => panic!("{gap:?}"),
        }
    }
    assert_eq!((of_one, of_two), (vec![0, 1, 2, 3, 4], vec![100, 101, 102, 103, 104]));
}

/// Others who hear it go on.
pub async fn who_has_left_hears_nothing_more(streams: Arc<dyn RoomStreams>) {
    let (leaves, stays) = (hears(&*streams, &[1, 2]).await, hears(&*streams, &[1]).await);
    let mut publisher = streams.publisher(Incarnation::now());
    publish(&mut *publisher, 1, [1]).await;
    assert_eq!(numbers(&*leaves, room(1), 1).await, [1]);
    leaves.leave(room(1)).await;
    publish(&mut *publisher, 1, [2]).await;
    publish(&mut *publisher, 2, [3]).await;
    assert_eq!(numbers(&*leaves, room(2), 1).await, [3]);
    assert_eq!(numbers(&*stays, room(1), 2).await, [1, 2]);
    drop(stays);
    leaves.join(room(1)).await.expect("a connection");
    publish(&mut *publisher, 1, [4, 5]).await;
    assert_eq!(numbers(&*leaves, room(1), 2).await, [4, 5], "it is heard from where it was joined");
}

/// Whoever joins asks for what came before.
pub async fn what_was_published_before_joining_is_no_gap(streams: Arc<dyn RoomStreams>) {
    let mut publisher = streams.publisher(Incarnation::now());
    publish(&mut *publisher, 1, 0..7).await;
    let late = hears(&*streams, &[1]).await;
    publish(&mut *publisher, 1, [7, 8]).await;
    assert_eq!(numbers(&*late, room(1), 2).await, [7, 8]);
}

/// In its place.
pub async fn a_full_subscriber_sees_one_gap_and_costs_no_other_anything(streams: Arc<dyn RoomStreams>) {
    let (slow, fast) = (hears(&*streams, &[1]).await, hears(&*streams, &[1]).await);
    let mut publisher = streams.publisher(Incarnation::now());
    let many = |from: u64| (from..from + 1_024).map(event).collect::<Vec<Event>>();
    let batches = ROOM_EVENTS as u64 / 1_024 + 2;
    for batch in 0..batches {
        publisher.publish(room(1), many(batch * 1_024)).await.expect("it can be sent");
        assert_eq!(numbers(&*fast, room(1), 1_024).await.len(), 1_024);
    }
    assert_eq!(numbers(&*slow, room(1), ROOM_EVENTS).await.len(), ROOM_EVENTS);
    assert_eq!(next(&*slow).await, RoomNews::Gap(room(1)));
    publish(&mut *publisher, 1, [77]).await;
    assert_eq!(numbers(&*slow, room(1), 1).await, [77]);
}

/// Also those of one process.
pub async fn publishers_are_numbered_apart(streams: Arc<dyn RoomStreams>) {
    let subscriber = hears(&*streams, &[1]).await;
    let process = Incarnation::now();
    let (mut one, mut other) = (streams.publisher(process), streams.publisher(process));
    publish(&mut *one, 1, 0..3).await;
    publish(&mut *other, 1, 3..5).await;
    publish(&mut *one, 1, 5..7).await;
    assert_eq!(numbers(&*subscriber, room(1), 7).await, (0..7).collect::<Vec<_>>());
}

/// And no gap before it.
pub async fn whoever_waits_hears_of_the_end(streams: Arc<dyn RoomStreams>) {
    let subscriber = hears(&*streams, &[1]).await;
    let ended = async {
        drop(streams);
        subscriber.receive().await
    };
    assert_eq!(tokio::time::timeout(NEVER, ended).await.expect("an end"), None);
}
