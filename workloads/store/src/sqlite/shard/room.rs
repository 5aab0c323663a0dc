//! Rooms: their facts, heads, members and what a room list shows.

use std::collections::HashMap;

use klatch_domain::{
    Member, MemberSet, Ordinal, Position, RoomFacts, RoomId, RoomKind, RoomName, Seq, Timestamp, UserId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{
        fault::{Step, damaged},
        sql::{self, number, ordinal, signed, time, user},
    },
    row::{self, Room},
    watermark,
};
use crate::{
    StoreError,
    shard::{Head, Overview, Standing},
};

const STEP: &str = "read a room";

/// The rooms of these ids that exist.
pub(super) fn rooms(connection: &Connection, ids: &[RoomId]) -> Result<HashMap<RoomId, RoomFacts>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for id in ids {
        let Some(room) = row::room(connection, *id)? else { continue };
        let last = last(connection, room.room_key)?;
        let mut facts = facts(connection, room)?;
        if let Some(last) = last {
            facts.head = last.seq;
            facts.head_ordinal = last.ordinal;
            facts.last_at = last.at;
        }
        facts.members = members(connection, room.room_key)?;
        found.insert(*id, facts);
    }
    Ok(found)
}

/// Head and members come from elsewhere.
fn facts(connection: &Connection, room: Room) -> Result<RoomFacts, StoreError> {
    type Columns = (i64, Option<String>, i64, i64, i64);
    let (kind, name, visibility, members_version, created_at): Columns = connection
        .prepare_cached("SELECT kind, name, visibility, members_version, created_at FROM rooms WHERE room_key = ?1")
        .and_then(|mut find| {
            find.query_row([room.room_key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        })
        .step(STEP)?;
    let name =
        name.map(|name| RoomName::parse(&name)).transpose().map_err(|error| damaged(STEP, &error.to_string()))?;
    let created_at = Timestamp::from_millis(created_at);
    let mut facts = RoomFacts::new(sql::room_kind(kind)?, name, sql::visibility(visibility), created_at);
    facts.generation = room.generation;
    facts.members_version = Seq(sql::unsigned(members_version));
    facts.deleted = room.deleted;
    Ok(facts)
}

fn members(connection: &Connection, room_key: i64) -> Result<MemberSet, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT user, role, blocking, joined_at FROM members WHERE room_key = ?1")
        .step(STEP)?;
    let mut rows = statement.query([room_key]).step(STEP)?;
    let mut members = MemberSet::new();
    while let Some(row) = rows.next().step(STEP)? {
        let (user, member) = member(row)?;
        members.insert(user, member);
    }
    Ok(members)
}

fn member(row: &Row<'_>) -> Result<(UserId, Member), StoreError> {
    let role = sql::role(row.get(1).step(STEP)?)?;
    let member = Member { role, blocking: row.get(2).step(STEP)?, joined_at: time(row, 3).step(STEP)? };
    Ok((user(row, 0).step(STEP)?, member))
}

/// The last entry of a log.
struct Last {
    seq: Seq,
    ordinal: Ordinal,
    at: Timestamp,
}

fn last(connection: &Connection, room_key: i64) -> Result<Option<Last>, StoreError> {
    connection
        .prepare_cached("SELECT seq, ordinal, at FROM entries WHERE room_key = ?1 ORDER BY seq DESC LIMIT 1")
        .and_then(|mut find| {
            find.query_row([room_key], |row| {
                Ok(Last { seq: Seq(number(row, 0)?), ordinal: ordinal(row, 1)?, at: time(row, 2)? })
            })
            .optional()
        })
        .step("read a head")
}

/// Where a log ends.
pub(super) fn head(connection: &Connection, room: Room) -> Result<Head, StoreError> {
    let last = last(connection, room.room_key)?;
    let (seq, ordinal) = last.map_or((Seq::ZERO, Ordinal(0)), |last| (last.seq, last.ordinal));
    Ok(Head { position: Position { generation: room.generation, seq }, ordinal })
}

/// Heads of the rooms that exist.
pub(super) fn heads(connection: &Connection, ids: &[RoomId]) -> Result<HashMap<RoomId, Head>, StoreError> {
    let mut heads = HashMap::with_capacity(ids.len());
    for id in ids {
        if let Some(room) = row::room(connection, *id)? {
            heads.insert(*id, head(connection, room)?);
        }
    }
    Ok(heads)
}

/// What a room list shows to this user.
pub(super) fn overviews(
    connection: &Connection,
    ids: &[RoomId],
    member: UserId,
) -> Result<HashMap<RoomId, Overview>, StoreError> {
    let mut overviews = HashMap::with_capacity(ids.len());
    for id in ids {
        if let Some(room) = row::room(connection, *id)? {
            overviews.insert(*id, overview(connection, room, member)?);
        }
    }
    Ok(overviews)
}

fn overview(connection: &Connection, room: Room, member: UserId) -> Result<Overview, StoreError> {
    let head = head(connection, room)?;
    let read = watermark::of(connection, room.room_key, member)?.read;
    let (read_seq, read_ordinal) = last_until(connection, room, read)?;
    let mut last_message = match last_message_seq(connection, room.room_key, head)? {
        Some(seq) => row::at(connection, room, seq)?.map(|read| read.entry),
        None => None,
    };
    if let Some(entry) = &mut last_message {
        row::add_reactions(connection, room, entry, None)?;
    }
    let unread_mentions = if room.deleted { 0 } else { unread_mentions(connection, room.room_key, member, read_seq)? };
    Ok(Overview { head, read, read_ordinal, unread_mentions, last_message })
}

/// The last entry at or before a position. A position of an older generation is before all of them.
fn last_until(connection: &Connection, room: Room, until: Position) -> Result<(Seq, Ordinal), StoreError> {
    if until.seq == Seq::ZERO || until.generation < room.generation {
        return Ok((Seq::ZERO, Ordinal(0)));
    }
    connection
        .prepare_cached("SELECT seq, ordinal FROM entries WHERE room_key = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1")
        .and_then(|mut find| {
            find.query_row(params![room.room_key, signed(until.seq.0)], |row| {
                Ok((Seq(number(row, 0)?), ordinal(row, 1)?))
            })
            .optional()
        })
        .map(Option::unwrap_or_default)
        .step("read an ordinal")
}

fn unread_mentions(connection: &Connection, room_key: i64, member: UserId, read: Seq) -> Result<u64, StoreError> {
    connection
        .prepare_cached(
            "SELECT count(DISTINCT seq) FROM mentions \
             WHERE room_key = ?1 AND user IN (?2, x'') AND seq > ?3 AND author <> ?2",
        )
        .and_then(|mut count| {
            count.query_row(params![room_key, member.as_bytes(), signed(read.0)], |row| number(row, 0))
        })
        .step("count mentions")
}

/// Rows looked at one by one before the search goes by ordinal: in most rooms the last message is among them.
const NEAR: i64 = 16;

/// Seq of the newest entry whose kind counts as unread.
///
/// Ordinals rise with exactly those that are not silent, so a binary search finds the last of these however many
/// reactions and joins follow it; the silent ones have a small index of their own.
fn last_message_seq(connection: &Connection, room_key: i64, head: Head) -> Result<Option<Seq>, StoreError> {
    match newest_counting(connection, room_key, "", NEAR)? {
        Search::Found(seq) => return Ok(Some(seq)),
        Search::NoMore => return Ok(None),
        Search::Limit => {}
    }
    let loud = first_of_ordinal(connection, room_key, head)?;
    match newest_counting(connection, room_key, "AND silent = 1", i64::MAX)? {
        Search::Found(silent) => Ok(loud.max(Some(silent))),
        Search::NoMore | Search::Limit => Ok(loud),
    }
}

/// What a look at the newest entries came to.
enum Search {
    Found(Seq),
    NoMore,
    Limit,
}

fn newest_counting(connection: &Connection, room_key: i64, filter: &str, limit: i64) -> Result<Search, StoreError> {
    const STEP: &str = "find the last message";
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT seq, kind FROM entries WHERE room_key = ?1 {filter} ORDER BY seq DESC LIMIT ?2"
        ))
        .step(STEP)?;
    let mut rows = statement.query(params![room_key, limit]).step(STEP)?;
    let mut looked = 0;
    while let Some(row) = rows.next().step(STEP)? {
        if row::kind(row, 1).step(STEP)??.counts_as_unread() {
            return Ok(Search::Found(Seq(number(row, 0).step(STEP)?)));
        }
        looked += 1;
    }
    Ok(if looked < limit { Search::NoMore } else { Search::Limit })
}

/// The first entry that has the head's ordinal: the one that raised it. Seqs are dense.
fn first_of_ordinal(connection: &Connection, room_key: i64, head: Head) -> Result<Option<Seq>, StoreError> {
    const STEP: &str = "find the last message";
    if head.ordinal == Ordinal(0) {
        return Ok(None);
    }
    let wanted = head.ordinal.0;
    let mut ordinal_at =
        connection.prepare_cached("SELECT ordinal FROM entries WHERE room_key = ?1 AND seq = ?2").step(STEP)?;
    let (mut low, mut high) = (1, head.position.seq.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let ordinal = ordinal_at.query_row(params![room_key, signed(middle)], |row| number(row, 0)).step(STEP)?;
        if ordinal < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(Some(Seq(low)))
}

/// How a user stands in these rooms.
pub(super) fn standings(
    connection: &Connection,
    ids: &[RoomId],
    user: UserId,
) -> Result<HashMap<RoomId, Standing>, StoreError> {
    let mut standings = HashMap::with_capacity(ids.len());
    for id in ids {
        if let Some(room) = row::room(connection, *id)? {
            standings.insert(*id, standing(connection, room, user)?);
        }
    }
    Ok(standings)
}

/// Counts members in the key's index, without reading who they are.
fn standing(connection: &Connection, room: Room, id: UserId) -> Result<Standing, StoreError> {
    let facts = facts(connection, room)?;
    let role = connection
        .prepare_cached("SELECT role FROM members WHERE room_key = ?1 AND user = ?2")
        .and_then(|mut find| find.query_row(params![room.room_key, id.as_bytes()], |row| row.get(0)).optional())
        .step(STEP)?;
    let member_count = connection
        .prepare_cached("SELECT count(*) FROM members WHERE room_key = ?1")
        .and_then(|mut count| count.query_row([room.room_key], |row| number(row, 0)))
        .step(STEP)?;
    let peer = match facts.kind {
        RoomKind::Direct => connection
            .prepare_cached("SELECT user FROM members WHERE room_key = ?1 AND user <> ?2 ORDER BY user LIMIT 1")
            .and_then(|mut find| find.query_row(params![room.room_key, id.as_bytes()], |row| user(row, 0)).optional())
            .step(STEP)?,
        RoomKind::Group | RoomKind::Inbox => None,
    };
    Ok(Standing {
        kind: facts.kind,
        name: facts.name,
        visibility: facts.visibility,
        role: role.map(sql::role).transpose()?.filter(|_| !facts.deleted),
        member_count,
        peer,
        members_version: facts.members_version,
        deleted: facts.deleted,
    })
}

/// A member of a direct room blocks the other, or no longer does.
pub(super) fn set_blocking(connection: &Connection, room: RoomId, user: UserId, on: bool) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE members SET blocking = ?3 WHERE user = ?2 \
             AND room_key = (SELECT room_key FROM rooms WHERE room_id = ?1)",
        )?
        .execute(params![room.as_bytes(), user.as_bytes(), on])?;
    Ok(())
}
