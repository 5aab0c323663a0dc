//! Appending: the hot path. Rows go to the end of their table, and no other row is touched for a plain message.

use std::collections::{HashMap, HashSet};

use klatch_domain::{Entry, MessageId, Position, RoomId};
use rusqlite::{Connection, params};

use super::{
    super::{
        fault::{fault, is_unique_violation},
        job::Turn,
        sql::{kind_number, signed},
    },
    effect, follow_up,
    state::{Head, Heads},
};
use crate::shard::{AppendError, Effect, Write};

const STEP: &str = "append";

/// Writes a batch in the running transaction.
pub(super) fn append(turn: &mut Turn<'_, Heads>, batch: &[Write]) -> Result<(), AppendError> {
    check_numbers(batch)?;
    let stale = stale_rooms(turn, batch).map_err(|error| refused(&error))?;
    if turn.careful || !stale.is_empty() {
        check_ids(turn.connection, batch)?;
    }
    if !stale.is_empty() {
        return Err(AppendError::StaleHead(stale));
    }
    for write in batch {
        if let Effect::Create(facts) = &write.effect {
            let head = effect::create_room(turn.connection, write.room, facts).map_err(|error| refused(&error))?;
            turn.state.moved(write.room, head);
        }
        add(turn, write)?;
    }
    Ok(())
}

/// A statement that the database refuses, for its data or for its own reasons.
pub(super) fn refused(error: &rusqlite::Error) -> AppendError {
    use rusqlite::{ErrorCode, ffi};
    match error {
        rusqlite::Error::SqliteFailure(
            ffi::Error { code: ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch, .. },
            _,
        ) => AppendError::Data(error.to_string()),
        _ => AppendError::Store(fault(STEP, error)),
    }
}

/// SQLite's integers end at 2^63.
fn check_numbers(batch: &[Write]) -> Result<(), AppendError> {
    let fits = |entry: &Entry| {
        let seqs = [entry.reply_to, entry.thread, entry.target].into_iter().flatten().map(|seq| seq.0);
        [entry.position.seq.0, entry.ordinal.0].into_iter().chain(seqs).all(|number| i64::try_from(number).is_ok())
    };
    match batch.iter().find(|write| !fits(&write.entry)) {
        None => Ok(()),
        Some(write) => Err(AppendError::Data(format!("a number of entry {} is too great", write.entry.message_id))),
    }
}

/// The rooms whose next position is not the one the batch begins with, in the order they are met. Writes nothing.
fn stale_rooms(turn: &mut Turn<'_, Heads>, batch: &[Write]) -> rusqlite::Result<Vec<RoomId>> {
    // Only a room that comes twice needs its place within the batch.
    let mut within: HashMap<RoomId, Position> = HashMap::with_capacity(batch.len());
    let mut stale = Vec::new();
    for write in batch {
        let creates = matches!(write.effect, Effect::Create(_));
        let before = match within.get(&write.room) {
            // Made once, by its first write.
            Some(_) if creates => None,
            Some(place) => Some(*place),
            None => match (turn.state.of(turn.connection, write.room)?, &write.effect) {
                (None, Effect::Create(facts)) => Some(Position { generation: facts.generation, seq: facts.head }),
                (Some(head), effect) if !matches!(effect, Effect::Create(_)) => Some(head.position),
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
    Ok(stale)
}

/// Which ids of the batch are stored. Writes nothing.
fn check_ids(connection: &Connection, batch: &[Write]) -> Result<(), AppendError> {
    let stored = stored_ids(connection, batch).map_err(|error| refused(&error))?;
    if !stored.is_empty() {
        return Err(AppendError::Duplicate(stored));
    }
    let mut seen = HashSet::with_capacity(batch.len());
    match batch.iter().find(|write| !seen.insert((write.room, write.entry.message_id))) {
        None => Ok(()),
        Some(write) => {
            Err(AppendError::Data(format!("the batch holds {} twice in room {}", write.entry.message_id, write.room)))
        }
    }
}

fn stored_ids(connection: &Connection, batch: &[Write]) -> rusqlite::Result<Vec<(RoomId, MessageId)>> {
    let mut find = connection.prepare_cached(
        "SELECT 1 FROM entries WHERE message_id = ?1 AND room_key = (SELECT room_key FROM rooms WHERE room_id = ?2)",
    )?;
    let mut stored = Vec::new();
    for write in batch {
        if find.exists(params![write.entry.message_id.as_bytes(), write.room.as_bytes()])? {
            stored.push((write.room, write.entry.message_id));
        }
    }
    Ok(stored)
}

fn add(turn: &mut Turn<'_, Heads>, write: &Write) -> Result<(), AppendError> {
    let connection = turn.connection;
    let Some(head) = turn.state.of(connection, write.room).map_err(|error| refused(&error))? else {
        return Err(AppendError::StaleHead(vec![write.room]));
    };
    insert(connection, head.room_key, &write.entry).map_err(|error| {
        if is_unique_violation(&error) {
            // The id, as the seq was checked. The group runs again with savepoints, and then the ids are looked up.
            AppendError::Duplicate(vec![(write.room, write.entry.message_id)])
        } else {
            refused(&error)
        }
    })?;
    turn.state.moved(write.room, Head { room_key: head.room_key, position: write.entry.position });
    follow_up::leave(connection, head.room_key, write).map_err(|error| refused(&error))?;
    turn.erased |= effect::apply(connection, head.room_key, write)?;
    Ok(())
}

fn insert(connection: &Connection, room_key: i64, entry: &Entry) -> rusqlite::Result<()> {
    let known_kind = kind_number(&entry.kind);
    let named_kind = if known_kind.is_none() { Some(entry.kind.name()) } else { None };
    let content_type =
        if entry.content_type == entry.kind.default_content_type() { None } else { Some(&*entry.content_type) };
    let attachments = entry.attachments.as_ref().and_then(|files| serde_json::to_string(files).ok());
    let mentions = entry.mentions.as_ref().map(crate::stored::mentions_bytes);
    connection
        .prepare_cached(
            "INSERT INTO entries (room_key, seq, ordinal, message_id, sender_user, sender_session, at, kind, content, \
             content_type, reply_to, thread, target, mentions, silent, attachments, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ifnull(?8, ?9), ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .execute(params![
            room_key,
            signed(entry.position.seq.0),
            signed(entry.ordinal.0),
            entry.message_id.as_bytes(),
            entry.sender.user.as_bytes(),
            entry.sender.session.as_bytes(),
            entry.at.as_millis(),
            known_kind,
            named_kind,
            entry.content.as_str(),
            content_type,
            entry.reply_to.map(|seq| signed(seq.0)),
            entry.thread.map(|seq| signed(seq.0)),
            entry.target.map(|seq| signed(seq.0)),
            mentions,
            entry.silent.then_some(1),
            attachments,
            entry.expires_at.map(klatch_domain::Timestamp::as_millis),
        ])?;
    if let Some(at) = entry.expires_at {
        connection
            .prepare_cached("INSERT INTO expiries (expires_at, entry_key) VALUES (?1, last_insert_rowid())")?
            .execute([at.as_millis()])?;
    }
    if let Some(mentions) = &entry.mentions {
        effect::add_mentions(connection, room_key, entry, mentions)?;
    }
    Ok(())
}
