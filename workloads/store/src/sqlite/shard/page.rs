//! Pages of a room's log, and rows by their id.

use std::collections::HashMap;

use klatch_domain::{Entry, MessageId, RoomId, Seq, UserId, limits::HISTORY_PAGE};
use rusqlite::{Connection, params};

use super::{
    super::{fault::Step, sql::signed},
    erase,
    row::{self, ENTRY, Read, Room},
};
use crate::{
    StoreError,
    shard::{Known, Page, Range},
};

/// One entry as it is now.
pub(super) fn entry(connection: &Connection, room: RoomId, seq: Seq) -> Result<Option<Entry>, StoreError> {
    let Some(room) = row::room(connection, room)? else { return Ok(None) };
    let Some(Read { mut entry, .. }) = row::at(connection, room, seq)? else { return Ok(None) };
    row::add_reactions(connection, room, &mut entry, None)?;
    Ok(Some(entry))
}

/// A page, ascending.
pub(super) fn page(
    connection: &Connection,
    room: RoomId,
    range: Range,
    limit: usize,
    thread: Option<Seq>,
    viewer: Option<UserId>,
) -> Result<Page, StoreError> {
    let Some(room) = row::room(connection, room)? else { return Ok(Page::default()) };
    let limit = limit.min(HISTORY_PAGE);
    // One more than asked for says whether there is more.
    let mut found = match thread {
        None => of_log(connection, room, range, limit + 1)?,
        Some(thread) => of_thread(connection, room, range, limit + 1, thread)?,
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let mut entries: Vec<Entry> = found.into_iter().map(|read| read.entry).collect();
    if !matches!(range, Range::After(_)) {
        entries.reverse();
    }
    for entry in &mut entries {
        row::add_reactions(connection, room, entry, viewer)?;
    }
    Ok(Page { entries, more })
}

/// The seqs beyond which a range begins, and its direction away from there.
fn bounds(range: Range) -> (i64, &'static str, &'static str) {
    match range {
        Range::Newest => (i64::MAX, "<", "DESC"),
        Range::Before(seq) => (signed(seq.0), "<", "DESC"),
        Range::After(seq) => (signed(seq.0), ">", "ASC"),
    }
}

fn of_log(connection: &Connection, room: Room, range: Range, limit: usize) -> Result<Vec<Read>, StoreError> {
    let (from, side, direction) = bounds(range);
    let statement = format!("{ENTRY} WHERE e.room_key = ?1 AND e.seq {side} ?2 ORDER BY e.seq {direction} LIMIT ?3");
    row::entries(connection, room, &statement, params![room.room_key, from, signed(limit as u64)])
}

/// The thread's first entry belongs to it although it does not name it.
fn of_thread(
    connection: &Connection,
    room: Room,
    range: Range,
    limit: usize,
    thread: Seq,
) -> Result<Vec<Read>, StoreError> {
    let (from, side, direction) = bounds(range);
    let statement = format!(
        "{ENTRY} WHERE e.room_key = ?1 AND e.seq IN (SELECT seq FROM (\
         SELECT seq FROM entries WHERE room_key = ?1 AND thread = ?4 AND seq <> ?4 AND seq {side} ?2 \
         UNION ALL SELECT ?4 WHERE ?4 {side} ?2) ORDER BY seq {direction} LIMIT ?3) ORDER BY e.seq {direction}"
    );
    let parameters = params![room.room_key, from, signed(limit as u64), signed(thread.0)];
    row::entries(connection, room, &statement, parameters)
}

/// The stored rows of these ids.
pub(super) fn known(
    connection: &Connection,
    ids: &[(RoomId, MessageId)],
) -> Result<HashMap<(RoomId, MessageId), Known>, StoreError> {
    let mut known = HashMap::with_capacity(ids.len());
    let statement = format!("{ENTRY} WHERE e.message_id = ?2 AND e.room_key = ?1");
    for (id, message_id) in ids {
        let Some(room) = row::room(connection, *id)? else { continue };
        let parameters = params![room.room_key, message_id.as_bytes()];
        let Some(mut read) = row::entries(connection, room, &statement, parameters)?.pop() else { continue };
        row::add_reactions(connection, room, &mut read.entry, None)?;
        if read.hidden && read.first_fingerprint.is_none() {
            let seq = read.entry.position.seq;
            read.first_fingerprint = erase::fingerprint_of(connection, room.room_key, seq).step("look up an id")?;
        }
        known.insert((*id, *message_id), Known { entry: read.entry, first_fingerprint: read.first_fingerprint });
    }
    Ok(known)
}
