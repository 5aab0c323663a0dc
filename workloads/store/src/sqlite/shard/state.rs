//! What the writing thread remembers of the rooms it wrote last.

use std::num::NonZeroUsize;

use klatch_domain::{Position, RoomId};
use lru::LruCache;
use rusqlite::{Connection, OptionalExtension};

use super::super::{job::State, sql::position};

/// Rooms whose head stays in memory: those that are written within some minutes, at 100 bytes each.
const ROOMS: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// A room as the next write needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// What other tables name it by.
    pub(super) room_key: i64,
    /// Of the last entry written.
    pub(super) position: Position,
}

/// Heads of rooms. True as long as this thread alone writes the file.
pub(super) struct Heads {
    known: LruCache<RoomId, Head>,
    /// Rooms whose head was moved in this transaction.
    moved: Vec<RoomId>,
}

impl Heads {
    pub(super) fn new() -> Self {
        Self { known: LruCache::new(ROOMS), moved: Vec::new() }
    }

    /// The head of a room; None when there is no such room.
    pub(super) fn of(&mut self, connection: &Connection, room: RoomId) -> rusqlite::Result<Option<Head>> {
        if let Some(head) = self.known.get(&room) {
            return Ok(Some(*head));
        }
        let head = read(connection, room)?;
        if let Some(head) = head {
            self.known.put(room, head);
        }
        Ok(head)
    }

    /// A room was written.
    pub(super) fn moved(&mut self, room: RoomId, head: Head) {
        self.moved.push(room);
        self.known.put(room, head);
    }
}

impl State for Heads {
    fn mark(&self) -> usize {
        self.moved.len()
    }

    fn undo(&mut self, mark: usize) {
        for room in self.moved.drain(mark.min(self.moved.len())..) {
            self.known.pop(&room);
        }
    }

    fn settled(&mut self) {
        self.moved.clear();
    }
}

fn read(connection: &Connection, room: RoomId) -> rusqlite::Result<Option<Head>> {
    connection
        .prepare_cached(
            "SELECT room_key, generation, \
             ifnull((SELECT max(seq) FROM entries WHERE entries.room_key = rooms.room_key), 0) \
             FROM rooms WHERE room_id = ?1",
        )?
        .query_row([room.as_bytes()], |row| Ok(Head { room_key: row.get(0)?, position: position(row, 1)? }))
        .optional()
}
