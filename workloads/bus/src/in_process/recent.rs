//! Recent entries in memory: the runs used last, within bounds.

use std::time::Duration;

use async_trait::async_trait;
use klatch_domain::{Position, RoomId};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{MonotonicClock, Options};
use crate::{RECENT_SECONDS, Recent, RecentEntries};

/// Runs and marks that are held: a mark takes some 100 bytes.
const ROOMS: usize = 1_024;
/// Bytes of all runs (estimated): what a small machine can spare.
const BYTES: usize = 16 * 1024 * 1024;

pub(super) struct InProcessRecentEntries {
    monotonic: MonotonicClock,
    state: Mutex<State>,
}

struct State {
    rooms: LruCache<RoomId, Kept>,
    bytes: usize,
}

struct Kept {
    /// Nothing older than this is taken.
    head: Position,
    recent: Option<Recent>,
    until: Instant,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.recent.as_ref().map_or(0, Recent::bytes)
    }

    fn len(&self) -> usize {
        self.recent.as_ref().map_or(0, |recent| recent.entries().len())
    }
}

impl InProcessRecentEntries {
    pub(super) fn new(options: &Options) -> Self {
        // Bounded in `put`; a bound given here would be allocated at once.
        let state = State { rooms: LruCache::unbounded(), bytes: 0 };
        Self { monotonic: options.monotonic.clone(), state: Mutex::new(state) }
    }

    fn put(&self, room: RoomId, head: Position, recent: Option<Recent>) {
        let now = (self.monotonic)();
        let State { rooms, bytes } = &mut *self.state.lock();
        let new = Kept { head, recent, until: now + Duration::from_secs(RECENT_SECONDS) };
        let newer = |kept: &Kept| now < kept.until && (kept.head, kept.len()) >= (head, new.len());
        if rooms.peek(&room).is_some_and(newer) {
            return;
        }
        *bytes += new.bytes();
        if let Some(old) = rooms.put(room, new) {
            *bytes -= old.bytes();
        }
        while rooms.len() > ROOMS || *bytes > BYTES {
            match rooms.pop_lru() {
                Some((_, dropped)) => *bytes -= dropped.bytes(),
                None => break,
            }
        }
    }
}

#[async_trait]
impl RecentEntries for InProcessRecentEntries {
    async fn read(&self, rooms: &[RoomId]) -> Vec<Option<Recent>> {
        let now = (self.monotonic)();
        let mut state = self.state.lock();
        let mut read = |room: &RoomId| state.rooms.get(room).filter(|kept| now < kept.until)?.recent.clone();
        rooms.iter().map(&mut read).collect()
    }

    async fn keep(&self, room: RoomId, recent: Recent) {
        self.put(room, recent.head(), Some(recent));
    }

    async fn forget(&self, rooms: &[(RoomId, Position)]) {
        for (room, head) in rooms {
            self.put(*room, *head, None);
        }
    }
}
