//! Sending moves the sender's own read watermark: noted here by rounds, written a little later by the watermark task.

use std::collections::HashMap;

use klatch_domain::{Position, RoomId, UserId};
use parking_lot::Mutex;

/// Moves that wait, one a member: some 100 bytes each, a second of a busy writer.
const WAITING: usize = 65_536;

#[derive(Default)]
pub(crate) struct OwnReads(Mutex<HashMap<(RoomId, UserId), Position>>);

impl OwnReads {
    /// Notes the moves of a round; answers how many did not fit. (What is dropped costs a wrong unread count until the
    /// member reads or sends again.)
    pub(crate) fn note(&self, moves: &[(RoomId, UserId, Position)]) -> u64 {
        if moves.is_empty() {
            return 0;
        }
        let mut dropped = 0;
        let mut held = self.0.lock();
        for (room, user, position) in moves {
            let full = held.len() >= WAITING;
            match held.get_mut(&(*room, *user)) {
                Some(known) => *known = (*known).max(*position),
                None if full => dropped += 1,
                None => {
                    held.insert((*room, *user), *position);
                }
            }
        }
        dropped
    }

    pub(crate) fn take(&self) -> HashMap<(RoomId, UserId), Position> {
        std::mem::take(&mut *self.0.lock())
    }
}
