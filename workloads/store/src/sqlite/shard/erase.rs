//! Replacing and removing bodies, so that the old one is gone from the file's bytes.
//!
//! A body is overwritten in place by as many spaces. Rows of `entries` and `replaced_contents` never change their size,
//! so SQLite never moves them; nothing of them is left behind anywhere but in the log, which the next cut removes.

use klatch_domain::{Content, Entry, Fingerprint, Kind, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::sql::{EDIT, maybe_seq, signed},
    row,
};

/// Entries emptied in one transaction when a room was deleted: some 20 ms, so that other rooms hardly wait.
const EMPTIED_AT_ONCE: i64 = 1000;

/// A stored entry whose content is about to change.
pub(super) struct Target {
    pub(super) entry_key: i64,
    pub(super) seq: i64,
    expires_at: Option<i64>,
    /// NULL in the file: its own; 0: none any more; else a replaced content.
    content_from: Option<i64>,
    deleted: bool,
    /// What a repeat of the first send must match; None when it stands in the file already.
    fingerprint: Option<Fingerprint>,
}

const TARGET: &str = "SELECT e.entry_key, e.seq, e.expires_at, c.content_from, ifnull(c.deleted, 0), \
    c.first_fingerprint IS NOT NULL, e.kind, e.content, e.content_type, e.reply_to, e.thread, e.target, e.mentions \
    FROM entries e LEFT JOIN changes c ON c.entry_key = e.entry_key ";

fn read_target(row: &Row<'_>) -> rusqlite::Result<Target> {
    let kept: bool = row.get(5)?;
    Ok(Target {
        entry_key: row.get(0)?,
        seq: row.get(1)?,
        expires_at: row.get(2)?,
        content_from: row.get(3)?,
        deleted: row.get(4)?,
        fingerprint: if kept { None } else { first_fingerprint(row)? },
    })
}

/// None for a row that this program cannot read: a repeat of it is then a conflict, which changes nothing.
fn first_fingerprint(row: &Row<'_>) -> rusqlite::Result<Option<Fingerprint>> {
    let kind = row::kind(row, 6)?;
    let content_type: Option<String> = row.get(8)?;
    let mentions = row::mentions(row, 12)?;
    Ok(match (kind, Content::parse(&row.get::<_, String>(7)?)) {
        (Ok(kind), Ok(content)) => Some(Fingerprint::of(
            &kind,
            &content,
            content_type.as_deref().unwrap_or_else(|| Kind::default_content_type(&kind)),
            maybe_seq(row, 9)?,
            maybe_seq(row, 10)?,
            maybe_seq(row, 11)?,
            mentions.as_ref(),
        )),
        _ => None,
    })
}

/// The entry of this seq.
pub(super) fn find(connection: &Connection, room_key: i64, seq: Seq) -> rusqlite::Result<Option<Target>> {
    connection
        .prepare_cached(&format!("{TARGET} WHERE e.room_key = ?1 AND e.seq = ?2"))?
        .query_row(params![room_key, signed(seq.0)], read_target)
        .optional()
}

/// The target says from now on what `edit` says. A deleted one stays empty.
pub(super) fn replace(connection: &Connection, target: &Target, edit: &Entry) -> rusqlite::Result<()> {
    let content_from = if target.deleted {
        0
    } else {
        overwrite(connection, target)?;
        connection
            .prepare_cached("INSERT INTO replaced_contents (content) VALUES (?1)")?
            .execute([edit.content.as_str()])?;
        connection.last_insert_rowid()
    };
    connection
        .prepare_cached(
            "INSERT INTO changes (entry_key, changed_seq, edited_at, content_from, first_fingerprint) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (entry_key) DO UPDATE \
             SET changed_seq = excluded.changed_seq, edited_at = excluded.edited_at, \
             content_from = excluded.content_from, \
             first_fingerprint = ifnull(first_fingerprint, excluded.first_fingerprint)",
        )?
        .execute(params![
            target.entry_key,
            signed(edit.position.seq.0),
            edit.at.as_millis(),
            content_from,
            target.fingerprint.map(|fingerprint| fingerprint.0)
        ])?;
    Ok(())
}

/// The target and all its edits are empty from now on, and the target says that it was deleted.
pub(super) fn delete(connection: &Connection, room_key: i64, target: &Target, changed: Seq) -> rusqlite::Result<()> {
    empty(connection, target, true, Some(changed))?;
    empty_edits(connection, room_key, target.seq)
}

fn empty_edits(connection: &Connection, room_key: i64, seq: i64) -> rusqlite::Result<()> {
    let edits: Vec<Target> = connection
        .prepare_cached(&format!("{TARGET} WHERE e.room_key = ?1 AND e.target = ?2 AND e.kind = {EDIT}"))?
        .query_map(params![room_key, seq], read_target)?
        .collect::<rusqlite::Result<_>>()?;
    for edit in &edits {
        empty(connection, edit, false, None)?;
    }
    Ok(())
}

fn empty(connection: &Connection, target: &Target, deleted: bool, changed: Option<Seq>) -> rusqlite::Result<()> {
    overwrite(connection, target)?;
    connection
        .prepare_cached(
            "INSERT INTO changes (entry_key, changed_seq, content_from, deleted, first_fingerprint) \
             VALUES (?1, ?2, 0, ?3, ?4) ON CONFLICT (entry_key) DO UPDATE \
             SET changed_seq = ifnull(excluded.changed_seq, changed_seq), content_from = 0, \
             deleted = max(deleted, excluded.deleted), \
             first_fingerprint = ifnull(first_fingerprint, excluded.first_fingerprint)",
        )?
        .execute(params![
            target.entry_key,
            changed.map(|seq| signed(seq.0)),
            deleted,
            target.fingerprint.map(|fingerprint| fingerprint.0)
        ])?;
    if let Some(at) = target.expires_at {
        connection
            .prepare_cached("DELETE FROM expiries WHERE expires_at = ?1 AND entry_key = ?2")?
            .execute(params![at, target.entry_key])?;
    }
    Ok(())
}

/// As many spaces as there were bytes: the row keeps its size and its place.
fn overwrite(connection: &Connection, target: &Target) -> rusqlite::Result<()> {
    const SPACES: &str = "replace(hex(zeroblob(octet_length(content))), '00', ' ')";
    match target.content_from {
        Some(0) => Ok(()),
        Some(content_key) => connection
            .prepare_cached(&format!("UPDATE replaced_contents SET content = {SPACES} WHERE content_key = ?1"))?
            .execute([content_key])
            .map(|_| ()),
        None => connection
            .prepare_cached(&format!(
                "UPDATE entries SET content = {SPACES}, \
                 attachments = iif(attachments IS NULL, NULL, \
                 replace(hex(zeroblob(octet_length(attachments))), '00', ' ')) WHERE entry_key = ?1"
            ))?
            .execute([target.entry_key])
            .map(|_| ()),
    }
}

/// Empties entries that have expired, as a delete would, at most `limit`; answers how many.
pub(super) fn expire(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let expired: Vec<(i64, Target)> = connection
        .prepare_cached(
            "SELECT e.entry_key, e.seq, e.expires_at, c.content_from, ifnull(c.deleted, 0), \
             c.first_fingerprint IS NOT NULL, e.kind, e.content, e.content_type, e.reply_to, e.thread, e.target, \
             e.mentions, e.room_key FROM (SELECT entry_key FROM expiries WHERE expires_at <= ?1 \
             ORDER BY expires_at, entry_key LIMIT ?2) x JOIN entries e ON e.entry_key = x.entry_key \
             LEFT JOIN changes c ON c.entry_key = e.entry_key",
        )?
        .query_map(params![now.as_millis(), limit], |row| Ok((row.get(13)?, read_target(row)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (room_key, target) in &expired {
        empty(connection, target, true, None)?;
        empty_edits(connection, *room_key, target.seq)?;
    }
    Ok(expired.len())
}

/// The room is closed: from now on it reads as empty, and [`empty_rooms`] does the work in pieces.
pub(super) fn close_room(connection: &Connection, room_key: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE rooms SET deleted = 1, emptied_to = ifnull(emptied_to, 0) WHERE room_key = ?1")?
        .execute([room_key])?;
    connection.prepare_cached("DELETE FROM members WHERE room_key = ?1")?.execute([room_key])?;
    Ok(())
}

/// Empties some entries of deleted rooms; answers whether there are more.
pub(super) fn empty_rooms(connection: &Connection) -> rusqlite::Result<bool> {
    let next: Option<(i64, i64)> = connection
        .prepare_cached("SELECT room_key, emptied_to FROM rooms WHERE emptied_to IS NOT NULL LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((room_key, emptied_to)) = next else { return Ok(false) };
    let entries: Vec<Target> = connection
        .prepare_cached(&format!("{TARGET} WHERE e.room_key = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3"))?
        .query_map(params![room_key, emptied_to, EMPTIED_AT_ONCE], read_target)?
        .collect::<rusqlite::Result<_>>()?;
    for entry in &entries {
        empty(connection, entry, false, None)?;
    }
    let last = entries.last().map(|entry| entry.seq);
    if let Some(last) = last {
        connection
            .prepare_cached("DELETE FROM reactions WHERE room_key = ?1 AND seq > ?2 AND seq <= ?3")?
            .execute(params![room_key, emptied_to, last])?;
    } else {
        connection.prepare_cached("DELETE FROM mentions WHERE room_key = ?1")?.execute([room_key])?;
    }
    connection
        .prepare_cached("UPDATE rooms SET emptied_to = ?2 WHERE room_key = ?1")?
        .execute(params![room_key, last])?;
    Ok(true)
}

/// What a first send under this row's id was, when its content is hidden but not yet emptied.
pub(super) fn fingerprint_of(
    connection: &Connection,
    room_key: i64,
    seq: Seq,
) -> rusqlite::Result<Option<Fingerprint>> {
    Ok(find(connection, room_key, seq)?.and_then(|target| target.fingerprint))
}
