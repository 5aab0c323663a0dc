//! What a shard remembers of the rooms written last: that their log reaches at least so far.
//!
//! Other writers may have gone on since, which the unique index finds; but what is in a log stays there, so an entry that
//! follows one remembered here leaves no gap. That ends when a server is replaced by one that lost entries: every batch
//! names the server's timeline, and what was remembered of another is forgotten.

use std::num::NonZeroUsize;

use klatch_domain::{Position, RoomId};
use lru::LruCache;
use parking_lot::Mutex;

/// Rooms whose head stays in memory: those that are written within some minutes, at 100 bytes each.
const ROOMS: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// Of the server's write-ahead log: another one after a failover or a restore
/// (<https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES>). Empty: not known yet.
pub(super) type Timeline = String;

struct Known {
    timeline: Timeline,
    rooms: LruCache<RoomId, Position>,
}

/// Heads of rooms.
pub(super) struct Heads {
    known: Mutex<Known>,
}

impl Heads {
    pub(super) fn new() -> Self {
        Self { known: Mutex::new(Known { timeline: Timeline::new(), rooms: LruCache::new(ROOMS) }) }
    }

    /// The timeline that all of it is of.
    pub(super) fn timeline(&self) -> Timeline {
        self.known.lock().timeline.clone()
    }

    /// The server is of this timeline; what was of another is forgotten.
    pub(super) fn set_timeline(&self, timeline: Timeline) {
        let mut known = self.known.lock();
        if known.timeline != timeline {
            known.timeline = timeline;
            known.rooms.clear();
        }
    }

    /// How far a room's log reaches at least.
    pub(super) fn of(&self, room: RoomId) -> Option<Position> {
        self.known.lock().rooms.get(&room).copied()
    }

    /// Logs reach so far on this timeline.
    pub(super) fn reached(&self, timeline: &str, heads: impl IntoIterator<Item = (RoomId, Position)>) {
        let mut known = self.known.lock();
        if known.timeline != timeline {
            return;
        }
        for (room, position) in heads {
            let furthest = known.rooms.get(&room).map_or(position, |before| position.max(*before));
            known.rooms.put(room, furthest);
        }
    }

    /// Nothing is sure about these any more.
    pub(super) fn forget(&self, rooms: impl IntoIterator<Item = RoomId>) {
        let mut known = self.known.lock();
        for room in rooms {
            known.rooms.pop(&room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_timeline_forgets_everything() {
        let (heads, room) = (Heads::new(), RoomId::from_bytes([1; 16]));
        heads.set_timeline("1".to_owned());
        heads.reached("1", [(room, Position::first(7))]);
        heads.reached("1", [(room, Position::first(5))]);
        assert_eq!(heads.of(room), Some(Position::first(7)), "a log never gets shorter");
        heads.reached("2", [(room, Position::first(9))]);
        assert_eq!(heads.of(room), Some(Position::first(7)));
        heads.set_timeline("2".to_owned());
        assert_eq!(heads.of(room), None);
    }
}
