//! How far members have come.

use klatch_domain::{Position, RoomId, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{
        fault::Step,
        job::Turn,
        sql::{position, signed, user},
    },
    row,
    state::Heads,
};
use crate::{StoreError, shard::Watermark};

fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Watermark> {
    Ok(Watermark { read: position(row, column)?, delivered: position(row, column + 2)? })
}

/// A user's watermark, whether they are a member or were one.
pub(super) fn of(connection: &Connection, room_key: i64, user: UserId) -> Result<Watermark, StoreError> {
    connection
        .prepare_cached(
            "SELECT read_generation, read_seq, delivered_generation, delivered_seq FROM watermarks \
             WHERE room_key = ?1 AND user = ?2",
        )
        .and_then(|mut find| find.query_row(params![room_key, user.as_bytes()], |row| read(row, 0)).optional())
        .map(Option::unwrap_or_default)
        .step("read a watermark")
}

/// Of all members, in the order of their ids; who has read nothing is there with nothing.
pub(super) fn of_members(
    connection: &Connection,
    room: RoomId,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<(UserId, Watermark)>, StoreError> {
    let Some(room) = row::room(connection, room)? else { return Ok(Vec::new()) };
    // Every id is above the empty one.
    let after: &[u8] = after.as_ref().map_or(&[], |user| user.as_bytes());
    connection
        .prepare_cached(
            "SELECT m.user, ifnull(w.read_generation, 0), ifnull(w.read_seq, 0), ifnull(w.delivered_generation, 0), \
             ifnull(w.delivered_seq, 0) FROM members m \
             LEFT JOIN watermarks w ON w.room_key = m.room_key AND w.user = m.user \
             WHERE m.room_key = ?1 AND m.user > ?2 ORDER BY m.user LIMIT ?3",
        )
        .and_then(|mut find| {
            find.query_map(params![room.room_key, after, signed(limit as u64)], |row| {
                Ok((user(row, 0)?, read(row, 1)?))
            })?
            .collect()
        })
        .step("read watermarks")
}

/// Moves watermarks forward; answers those that moved as they stand now, each once.
pub(super) fn advance(
    turn: &mut Turn<'_, Heads>,
    moves: &[(RoomId, UserId, Watermark)],
) -> rusqlite::Result<Vec<(RoomId, UserId, Watermark)>> {
    let mut moved: Vec<(RoomId, UserId, Watermark)> = Vec::with_capacity(moves.len());
    for (room, user, wanted) in moves {
        let Some(head) = turn.state.of(turn.connection, *room)? else { continue };
        let Some(known) = of_member(turn.connection, head.room_key, *user)? else { continue };
        let now = forward(known, *wanted, head.position);
        if now != known {
            set(turn.connection, head.room_key, *user, now)?;
            moved.retain(|(earlier, whose, _)| (earlier, whose) != (room, user));
            moved.push((*room, *user, now));
        }
    }
    Ok(moved)
}

/// Greatest wins, nothing is above the head, delivered is never below read.
fn forward(known: Watermark, wanted: Watermark, head: Position) -> Watermark {
    let read = known.read.max(wanted.read.min(head));
    Watermark { read, delivered: known.delivered.max(wanted.delivered.min(head)).max(read) }
}

/// None when the user is no member.
fn of_member(connection: &Connection, room_key: i64, user: UserId) -> rusqlite::Result<Option<Watermark>> {
    connection
        .prepare_cached(
            "SELECT ifnull(w.read_generation, 0), ifnull(w.read_seq, 0), ifnull(w.delivered_generation, 0), \
             ifnull(w.delivered_seq, 0) FROM members m \
             LEFT JOIN watermarks w ON w.room_key = m.room_key AND w.user = m.user \
             WHERE m.room_key = ?1 AND m.user = ?2",
        )?
        .query_row(params![room_key, user.as_bytes()], |row| read(row, 0))
        .optional()
}

fn set(connection: &Connection, room_key: i64, user: UserId, watermark: Watermark) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO watermarks (room_key, user, read_generation, read_seq, delivered_generation, delivered_seq) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (room_key, user) DO UPDATE \
             SET read_generation = excluded.read_generation, read_seq = excluded.read_seq, \
             delivered_generation = excluded.delivered_generation, delivered_seq = excluded.delivered_seq",
        )?
        .execute(params![
            room_key,
            user.as_bytes(),
            signed(watermark.read.generation.0),
            signed(watermark.read.seq.0),
            signed(watermark.delivered.generation.0),
            signed(watermark.delivered.seq.0),
        ])?;
    Ok(())
}
