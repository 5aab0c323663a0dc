//! Entries as they are read.

use std::borrow::Cow;

use klatch_domain::{
    Content, Entry, Fingerprint, Generation, Kind, Mentions, MessageId, Position, ReactionCount, RoomId, Sender, Seq,
    SessionId, Timestamp, UserId,
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};

use super::super::{
    fault::{Step, damaged},
    sql::{self, maybe_seq, maybe_time, number, ordinal, signed, time, user},
};
use crate::{StoreError, stored};

const STEP: &str = "read an entry";

/// Every column of an entry with what has changed it. The last is when the target of an edit expires: with the target's
/// content that of its edits goes too.
pub(super) const ENTRY: &str = "SELECT e.seq, e.ordinal, e.message_id, e.sender_user, \
    e.sender_session, e.at, e.kind, e.content, e.content_type, e.reply_to, e.thread, e.target, e.mentions, e.silent, \
    e.attachments, e.expires_at, c.changed_seq, c.edited_at, c.content_from, ifnull(c.deleted, 0), \
    c.first_fingerprint, r.content, CASE WHEN e.kind = 3 THEN \
    (SELECT t.expires_at FROM entries t WHERE t.room_key = e.room_key AND t.seq = e.target) END \
    FROM entries e LEFT JOIN changes c ON c.entry_key = e.entry_key \
    LEFT JOIN replaced_contents r ON r.content_key = c.content_from ";

/// A room as reads need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) room_key: i64,
    pub(super) generation: Generation,
    /// All its contents read as `{}`, whether they are emptied already or not.
    pub(super) deleted: bool,
}

/// The room of this id.
pub(super) fn room(connection: &Connection, room: RoomId) -> Result<Option<Room>, StoreError> {
    connection
        .prepare_cached("SELECT room_key, generation, deleted FROM rooms WHERE room_id = ?1")
        .and_then(|mut find| {
            find.query_row([room.as_bytes()], |row| {
                Ok(Room { room_key: row.get(0)?, generation: Generation(number(row, 1)?), deleted: row.get(2)? })
            })
            .optional()
        })
        .step("find a room")
}

/// An entry as it is now, and what was first sent under its id if that is another content.
pub(super) struct Read {
    pub(super) entry: Entry,
    pub(super) first_fingerprint: Option<Fingerprint>,
    /// Its content is `{}` although nothing has emptied it yet.
    pub(super) hidden: bool,
}

/// The rows of a query that begins with [`ENTRY`], without reactions.
pub(super) fn entries(
    connection: &Connection,
    room: Room,
    statement: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Read>, StoreError> {
    let now = sql::now();
    let mut statement = connection.prepare_cached(statement).step(STEP)?;
    let mut rows = statement.query(parameters).step(STEP)?;
    let mut read = Vec::new();
    while let Some(row) = rows.next().step(STEP)? {
        read.push(entry(row, room, now)?);
    }
    Ok(read)
}

/// The entry of this seq, without reactions.
pub(super) fn at(connection: &Connection, room: Room, seq: Seq) -> Result<Option<Read>, StoreError> {
    let statement = format!("{ENTRY} WHERE e.room_key = ?1 AND e.seq = ?2");
    Ok(entries(connection, room, &statement, params![room.room_key, signed(seq.0)])?.pop())
}

/// Reactions change the row they are on, so only changed rows are looked up.
pub(super) fn add_reactions(
    connection: &Connection,
    room: Room,
    entry: &mut Entry,
    viewer: Option<UserId>,
) -> Result<(), StoreError> {
    const STEP: &str = "count reactions";
    if entry.changed_seq.is_none() || room.deleted {
        return Ok(());
    }
    let nobody = [0u8; 0];
    let asking: &[u8] = viewer.as_ref().map_or(&nobody, |user| user.as_bytes());
    let mut count = connection
        .prepare_cached(
            "SELECT emoji, count(*), max(user = ?3) FROM reactions WHERE room_key = ?1 AND seq = ?2 GROUP BY emoji",
        )
        .step(STEP)?;
    entry.reactions = count
        .query_map(params![room.room_key, signed(entry.position.seq.0), asking], |row| {
            Ok(ReactionCount {
                emoji: row.get(0)?,
                count: row.get(1)?,
                mine: if viewer.is_some() { Some(row.get(2)?) } else { None },
            })
        })
        .and_then(Iterator::collect)
        .step(STEP)?;
    Ok(())
}

fn entry(row: &Row<'_>, room: Room, now: Timestamp) -> Result<Read, StoreError> {
    let content_from: Option<i64> = row.get(18).step(STEP)?;
    let expires_at = maybe_time(row, 15).step(STEP)?;
    let over = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    let expired = over(expires_at);
    let hidden = expired || room.deleted || over(maybe_time(row, 22).step(STEP)?);
    let empty = hidden || content_from == Some(0);
    let mut entry = plain(row, room).step(STEP)??;
    entry.expires_at = expires_at;
    entry.deleted = expired || row.get(19).step(STEP)?;
    if !empty {
        let text = if content_from.is_some() { 21 } else { 7 };
        let text = row.get_ref(text).step(STEP)?.as_str().map_err(|error| damaged(STEP, &error.to_string()))?;
        entry.content = sql::content(text)?;
        entry.attachments = attachments(row)?;
    }
    let first_fingerprint = row.get::<_, Option<[u8; 16]>>(20).step(STEP)?.map(Fingerprint);
    Ok(Read { entry, first_fingerprint, hidden })
}

/// Everything but content and what hides it.
fn plain(row: &Row<'_>, room: Room) -> rusqlite::Result<Result<Entry, StoreError>> {
    let kind = match kind(row, 6)? {
        Ok(kind) => kind,
        Err(error) => return Ok(Err(error)),
    };
    let seq = number(row, 0)?;
    Ok(Ok(Entry {
        // After a restore the whole log, older entries too, stands in the room's new generation.
        position: Position { generation: room.generation, seq: Seq(seq) },
        prev_seq: Seq(seq.saturating_sub(1)),
        ordinal: ordinal(row, 1)?,
        message_id: MessageId::from_bytes(row.get(2)?),
        sender: Sender { user: user(row, 3)?, session: SessionId::from_bytes(row.get(4)?) },
        at: time(row, 5)?,
        content_type: match row.get::<_, Option<String>>(8)? {
            Some(given) => Cow::Owned(given),
            None => Cow::Borrowed(kind.default_content_type()),
        },
        kind,
        content: Content::empty(),
        reply_to: maybe_seq(row, 9)?,
        thread: maybe_seq(row, 10)?,
        target: maybe_seq(row, 11)?,
        changed_seq: maybe_seq(row, 16)?,
        mentions: mentions(row, 12)?,
        silent: row.get::<_, Option<bool>>(13)?.unwrap_or(false),
        attachments: None,
        expires_at: None,
        edited_at: maybe_time(row, 17)?,
        deleted: false,
        reactions: Vec::new(),
    }))
}

/// A number for known kinds, else the name.
pub(super) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<Result<Kind, StoreError>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => sql::kind(number),
        ValueRef::Text(name) => Ok(Kind::from_name(&String::from_utf8_lossy(name))),
        _ => Err(damaged(STEP, "a kind that is neither number nor text")),
    })
}

fn attachments(row: &Row<'_>) -> Result<Option<Vec<Content>>, StoreError> {
    let text: Option<String> = row.get(14).step(STEP)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| damaged(STEP, &error.to_string()))).transpose()
}

/// A column that [`stored::mentions_bytes`] wrote.
pub(super) fn mentions(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Mentions>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    Ok(bytes.map(|bytes| stored::mentions(&bytes)))
}
