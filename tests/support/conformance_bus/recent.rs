//! Rules of [`RecentEntries`](klatch_bus::RecentEntries).

use klatch_bus::{Recent, RecentEntries};
use klatch_domain::{
    Content, Draft, Entry, Generation, Kind, MessageId, Ordinal, Position, Sender, Seq, SessionId, Timestamp,
};

use super::{Subject, bytes, room, user};

fn at(seq: u64) -> Position {
    Position { generation: Generation(1), seq: Seq(seq) }
}

/// An entry of this seq.
#[must_use]
pub fn entry(seq: u64) -> Entry {
    let draft = Draft::new(Kind::Text, Content::text(&format!("ü{seq}")).expect("small"));
    let sender = Sender { user: user(1), session: SessionId::from_bytes(bytes(1)) };
    let id = MessageId::from_bytes(bytes(seq));
    Entry::of(&draft, at(seq), Ordinal(seq), id, sender, Timestamp::from_millis(1_800_000_000_000))
}

/// The run from one seq to another.
///
/// # Panics
/// When it is empty.
#[must_use]
pub fn run(from: u64, to: u64) -> Recent {
    Recent::of(&(from..=to).map(entry).collect::<Vec<_>>()).expect("not empty")
}

async fn read(recent: &dyn RecentEntries, which: u64) -> Option<Recent> {
    recent.read(&[room(which)]).await.remove(0)
}

/// Every field of it.
pub async fn what_was_kept_is_read_as_it_was(subject: Subject) {
    let recent = subject.bus.recent;
    assert_eq!(read(&*recent, 1).await, None);
    recent.keep(room(1), run(3, 9)).await;
    assert_eq!(read(&*recent, 1).await, Some(run(3, 9)));
    assert_eq!(read(&*recent, 2).await, None);
}

/// And nothing else does: readers may bring what they read a while ago.
pub async fn a_newer_head_or_a_longer_run_takes_the_place(subject: Subject) {
    let recent = subject.bus.recent;
    for (kept, stands) in [
        (run(3, 9), run(3, 9)),
        (run(1, 8), run(3, 9)),
        (run(5, 9), run(3, 9)),
        (run(2, 9), run(2, 9)),
        (run(10, 10), run(10, 10)),
        (run(9, 15), run(9, 15)),
        (run(1, 10), run(9, 15)),
    ] {
        recent.keep(room(1), kept).await;
        assert_eq!(read(&*recent, 1).await, Some(stands));
    }
}

/// Until a run ends behind what has replaced its bodies.
pub async fn what_was_forgotten_is_not_read_and_not_taken_again(subject: Subject) {
    let recent = subject.bus.recent;
    recent.keep(room(1), run(3, 9)).await;
    recent.keep(room(2), run(3, 9)).await;
    recent.forget(&[(room(1), at(10)), (room(3), at(4))]).await;
    assert_eq!((read(&*recent, 1).await, read(&*recent, 2).await), (None, Some(run(3, 9))));
    recent.keep(room(1), run(3, 9)).await;
    recent.keep(room(3), run(1, 3)).await;
    assert_eq!((read(&*recent, 1).await, read(&*recent, 3).await), (None, None), "brought by a slow reader");
    recent.keep(room(1), run(3, 10)).await;
    assert_eq!(read(&*recent, 1).await, Some(run(3, 10)), "it was read after");
    // What is behind it already was read after, too.
    recent.forget(&[(room(1), at(8))]).await;
    assert_eq!(read(&*recent, 1).await, Some(run(3, 10)));
}

/// As often as asked, known or not.
pub async fn rooms_are_answered_in_the_order_asked(subject: Subject) {
    let recent = subject.bus.recent;
    recent.keep(room(1), run(1, 1)).await;
    recent.keep(room(2), run(1, 2)).await;
    let asked = [room(2), room(404), room(1), room(2)];
    assert_eq!(recent.read(&asked).await, [Some(run(1, 2)), None, Some(run(1, 1)), Some(run(1, 2))]);
    assert_eq!(recent.read(&[]).await, []);
}
