//! What became of commands lately: a command that names the one before it is stored only once that one is settled.

use std::num::NonZeroUsize;

use klatch_domain::{MessageId, RoomId};
use lru::LruCache;

/// Settled commands remembered by one track: several seconds of a busy shard, some 6 MB.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Stored, or refused for good: what comes after it may go on.
    Settled,
    /// Refused for now: it comes again, and what comes after it waits for that.
    RefusedForNow,
}

/// Commands by room and id. The room belongs to the key: an id is its sender's choice.
#[derive(Debug)]
pub(crate) struct Settlements(LruCache<(RoomId, MessageId), Settlement>);

impl Settlements {
    pub(crate) fn new() -> Self {
        Self(LruCache::new(REMEMBERED))
    }

    pub(crate) fn of(&self, room: RoomId, id: MessageId) -> Option<Settlement> {
        self.0.peek(&(room, id)).copied()
    }

    pub(crate) fn note(&mut self, room: RoomId, id: MessageId, settlement: Settlement) {
        self.0.put((room, id), settlement);
    }
}
