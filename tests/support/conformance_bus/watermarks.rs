//! Rules of [`Watermarks`](klatch_bus::Watermarks).

use std::collections::HashMap;

use klatch_bus::{WatermarkConsumer, WatermarkMove};
use klatch_domain::{Position, RoomId, SessionId, UserId};

use super::{AT_MOST, Subject, assert_waits, bytes, room, user, within};

type Whose = (RoomId, UserId, SessionId);

/// A move.
#[must_use]
pub fn moved(which: u64, session: u64, read: Option<u64>, delivered: Option<u64>) -> WatermarkMove {
    WatermarkMove {
        room: room(which),
        user: user(1),
        session: SessionId::from_bytes(bytes(session)),
        read: read.map(Position::first),
        delivered: delivered.map(Position::first),
    }
}

/// Receives until the move of this room came; answers all, merged with greatest as message-service does.
async fn until(consumer: &mut Box<dyn WatermarkConsumer>, last: u64) -> HashMap<Whose, WatermarkMove> {
    let mut merged: HashMap<Whose, WatermarkMove> = HashMap::new();
    while !merged.keys().any(|(which, ..)| *which == room(last)) {
        for one in within("a move", consumer.receive()).await.expect("the bus is open") {
            let whose = (one.room, one.user, one.session);
            let entry = merged.entry(whose).or_insert(one);
            entry.read = entry.read.max(one.read);
            entry.delivered = entry.delivered.max(one.delivered);
        }
    }
    merged
}

/// Whether reports are joined on the way or not.
pub async fn the_greatest_of_every_report_arrives(subject: Subject) {
    let watermarks = subject.bus.watermarks;
    let mut consumer = watermarks.consume().await;
    watermarks.publish(vec![moved(1, 1, Some(5), None), moved(2, 1, Some(9), Some(9))]).await;
    watermarks.publish(vec![moved(1, 1, Some(3), Some(7)), moved(1, 1, None, Some(6))]).await;
    watermarks.publish(vec![moved(99, 1, Some(1), None)]).await;
    let merged = until(&mut consumer, 99).await;
    for expected in [moved(1, 1, Some(5), Some(7)), moved(2, 1, Some(9), Some(9))] {
        assert_eq!(merged.get(&(expected.room, expected.user, expected.session)), Some(&expected));
    }
}

/// A session's report says who else of the user must hear of it.
pub async fn members_and_sessions_are_kept_apart(subject: Subject) {
    let watermarks = subject.bus.watermarks;
    let mut consumer = watermarks.consume().await;
    let mut other_user = moved(1, 1, Some(3), None);
    other_user.user = user(2);
    let reports = [moved(1, 1, Some(1), None), moved(1, 2, Some(2), None), other_user];
    watermarks.publish(reports.to_vec()).await;
    watermarks.publish(vec![moved(99, 1, Some(1), None)]).await;
    let merged = until(&mut consumer, 99).await;
    for expected in reports {
        assert_eq!(merged.get(&(expected.room, expected.user, expected.session)), Some(&expected));
    }
}

/// Not to both.
pub async fn a_move_goes_to_one_of_the_consumers(subject: Subject) {
    let watermarks = subject.bus.watermarks;
    let mut one = watermarks.consume().await;
    let mut other = watermarks.consume().await;
    watermarks.publish(vec![moved(1, 1, Some(1), None)]).await;
    let taken = tokio::select! {
        taken = one.receive() => taken,
        taken = other.receive() => taken,
    };
    assert_eq!(taken, Some(vec![moved(1, 1, Some(1), None)]));
    assert_waits("it was handed out", one.receive()).await;
    assert_waits("it was handed out", other.receive()).await;
    drop(one);
    watermarks.publish(vec![moved(2, 1, Some(1), None)]).await;
    assert_eq!(until(&mut other, 2).await.len(), 1);
}

/// What is there stays; what comes when there is room arrives.
pub async fn a_full_queue_drops_and_goes_on(subject: Subject) {
    let watermarks = subject.bus.watermarks;
    let mut consumer = watermarks.consume().await;
    for which in 0..4 * AT_MOST as u64 {
        watermarks.publish(vec![moved(which, 1, Some(1), None)]).await;
    }
    let first = within("moves", consumer.receive()).await.expect("the bus is open");
    assert!(!first.is_empty());
    // What was taken makes room for the next, perhaps not at once.
    let mut kept = first.len();
    loop {
        watermarks.publish(vec![moved(1_000_000, 1, Some(1), None)]).await;
        let more = within("moves", consumer.receive()).await.expect("the bus is open");
        if more.iter().any(|one| one.room == room(1_000_000)) {
            kept += more.len() - 1;
            break;
        }
        kept += more.len();
    }
    assert!(kept <= AT_MOST);
}

/// Waiting comes before publishing.
pub async fn a_waiting_consumer_hears_of_a_publish(subject: Subject) {
    let watermarks = subject.bus.watermarks;
    let mut consumer = watermarks.consume().await;
    let report = vec![moved(1, 1, Some(1), None)];
    let (seen, ()) = tokio::join!(biased; until(&mut consumer, 1), watermarks.publish(report));
    assert_eq!(seen.len(), 1);
}

/// Before and after something came.
pub async fn a_cancelled_receive_loses_nothing(subject: Subject) {
    let watermarks = subject.bus.watermarks;
    let mut consumer = watermarks.consume().await;
    for which in 0..3 {
        assert_waits("nothing was published", consumer.receive()).await;
        watermarks.publish(vec![moved(which, 1, Some(1), None)]).await;
        drop(consumer.receive());
        assert_eq!(until(&mut consumer, which).await.len(), 1);
    }
}

/// All of the consumers.
pub async fn consumers_get_what_waits_and_then_the_end(subject: Subject) {
    let watermarks = subject.bus.watermarks;
    let mut one = watermarks.consume().await;
    let mut other = watermarks.consume().await;
    watermarks.publish(vec![moved(1, 1, Some(1), None)]).await;
    drop(watermarks);
    assert_eq!(until(&mut one, 1).await.len(), 1);
    assert_eq!(within("the end", one.receive()).await, None);
    assert_eq!(within("the end", other.receive()).await, None);
}

/// All of the consumers.
pub async fn whoever_waits_hears_of_the_end(subject: Subject) {
    let watermarks = subject.bus.watermarks;
    let mut one = watermarks.consume().await;
    let mut other = watermarks.consume().await;
    let ends = async { tokio::join!(one.receive(), other.receive()) };
    let (ends, ()) = within("the end", async { tokio::join!(biased; ends, async move { drop(watermarks) }) }).await;
    assert_eq!(ends, (None, None));
}
