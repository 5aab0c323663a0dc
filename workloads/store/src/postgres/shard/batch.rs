//! A batch before it is written: what can be told without asking the database.

use std::collections::HashMap;

use klatch_domain::{Entry, Position, RoomId};

use crate::shard::{AppendError, Effect, Write};

/// PostgreSQL's integers end at 2^63.
pub(super) fn check_numbers(batch: &[Write]) -> Result<(), AppendError> {
    let fits = |entry: &Entry| {
        let seqs = [entry.reply_to, entry.thread, entry.target].into_iter().flatten().map(|seq| seq.0);
        [entry.position.seq.0, entry.ordinal.0].into_iter().chain(seqs).all(|number| i64::try_from(number).is_ok())
    };
    match batch.iter().find(|write| !fits(&write.entry)) {
        None => Ok(()),
        Some(write) => Err(AppendError::Data(format!("a number of entry {} is too great", write.entry.message_id))),
    }
}

/// The rooms of a batch that are there already, each once, in the order they are met.
pub(super) fn old_rooms(batch: &[Write]) -> Vec<RoomId> {
    let mut seen = HashMap::with_capacity(batch.len());
    let mut old = Vec::new();
    for write in batch {
        let first = seen.insert(write.room, ()).is_none();
        if first && !matches!(write.effect, Effect::Create(_)) {
            old.push(write.room);
        }
    }
    old
}

/// The rooms whose next position is not the one the batch begins with, in the order they are met. `head` answers where a
/// room's log ends; None: there is no such room.
pub(super) fn stale_rooms(batch: &[Write], head: impl Fn(RoomId) -> Option<Position>) -> Vec<RoomId> {
    let mut within: HashMap<RoomId, Position> = HashMap::with_capacity(batch.len());
    let mut stale = Vec::new();
    for write in batch {
        let creates = matches!(write.effect, Effect::Create(_));
        let before = match within.get(&write.room) {
            // Made once, by its first write.
            Some(_) if creates => None,
            Some(place) => Some(*place),
            None => match (head(write.room), &write.effect) {
                (None, Effect::Create(facts)) => Some(Position { generation: facts.generation, seq: facts.head }),
                (Some(head), effect) if !matches!(effect, Effect::Create(_)) => Some(head),
                _ => None,
            },
        };
        let position = write.entry.position;
        match before {
            Some(before) if position == (Position { seq: before.seq.next(), ..before }) => {
                within.insert(write.room, position);
            }
            _ if stale.contains(&write.room) => {}
            _ => stale.push(write.room),
        }
    }
    stale
}

/// Where the logs of a batch end once it is written.
pub(super) fn reached(batch: &[Write]) -> HashMap<RoomId, Position> {
    batch.iter().map(|write| (write.room, write.entry.position)).collect()
}
