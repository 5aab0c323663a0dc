//! What entries change beside adding their row.

use klatch_domain::{Entry, Member, Mentions, Ordinal, Position, RoomFacts, RoomId, Seq, UserId};
use rusqlite::{Connection, params};

use super::{
    super::sql::{role_number, room_kind_number, signed, visibility_number},
    append::refused,
    erase::{self, Target},
    state::Head,
};
use crate::shard::{AppendError, Effect, Write};

/// Makes the row of a room, and the members its facts name.
pub(super) fn create_room(connection: &Connection, room: RoomId, facts: &RoomFacts) -> rusqlite::Result<Head> {
    connection
        .prepare_cached(
            "INSERT INTO rooms (room_id, kind, name, visibility, generation, members_version, created_at, deleted) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            room.as_bytes(),
            room_kind_number(facts.kind),
            facts.name.as_ref().map(klatch_domain::RoomName::as_str),
            visibility_number(facts.visibility),
            signed(facts.generation.0),
            signed(facts.members_version.0),
            facts.created_at.as_millis(),
            facts.deleted,
        ])?;
    let room_key = connection.last_insert_rowid();
    for (user, member) in &facts.members {
        put_member(connection, room_key, *user, member)?;
    }
    Ok(Head { room_key, position: Position { generation: facts.generation, seq: facts.head } })
}

/// The effect of an entry that was just added. Answers whether a body was removed.
pub(super) fn apply(connection: &Connection, room_key: i64, write: &Write) -> Result<bool, AppendError> {
    let entry = &write.entry;
    let seq = entry.position.seq;
    match &write.effect {
        Effect::None | Effect::Create(_) => Ok(false),
        Effect::Edit { target } => {
            let target = find(connection, room_key, *target)?;
            erase::replace(connection, &target, entry).map_err(|error| refused(&error))?;
            Ok(true)
        }
        Effect::Delete { target } => {
            let target = find(connection, room_key, *target)?;
            erase::delete(connection, room_key, &target, seq).map_err(|error| refused(&error))?;
            Ok(true)
        }
        Effect::React { target, emoji, on } => {
            let target = find(connection, room_key, *target)?;
            react(connection, room_key, &target, entry, emoji, *on).map_err(|error| refused(&error))?;
            Ok(false)
        }
        other => change_room(connection, room_key, entry, other).map_err(|error| refused(&error)),
    }
}

fn change_room(connection: &Connection, room_key: i64, entry: &Entry, effect: &Effect) -> rusqlite::Result<bool> {
    let seq = entry.position.seq;
    match effect {
        Effect::PutMember { user, member } => {
            if entry.ordinal > Ordinal(0) {
                start_read(connection, room_key, *user, entry.position)?;
            }
            put_member(connection, room_key, *user, member)?;
            set_members_version(connection, room_key, seq)?;
        }
        Effect::RemoveMember { user } => {
            connection
                .prepare_cached("DELETE FROM members WHERE room_key = ?1 AND user = ?2")?
                .execute(params![room_key, user.as_bytes()])?;
            set_members_version(connection, room_key, seq)?;
        }
        Effect::ChangeRoom { name, visibility } => {
            connection
                .prepare_cached(
                    "UPDATE rooms SET name = ifnull(?2, name), visibility = ifnull(?3, visibility) WHERE room_key = ?1",
                )?
                .execute(params![
                    room_key,
                    name.as_ref().map(klatch_domain::RoomName::as_str),
                    visibility.map(visibility_number)
                ])?;
        }
        Effect::DeleteRoom => {
            erase::close_room(connection, room_key)?;
            set_members_version(connection, room_key, seq)?;
            return Ok(true);
        }
        // Handled by the caller.
        Effect::None | Effect::Create(_) | Effect::Edit { .. } | Effect::Delete { .. } | Effect::React { .. } => {}
    }
    Ok(false)
}

fn find(connection: &Connection, room_key: i64, seq: Seq) -> Result<Target, AppendError> {
    erase::find(connection, room_key, seq)
        .map_err(|error| refused(&error))?
        .ok_or_else(|| AppendError::Data(format!("the target {} is not in its room", seq.0)))
}

fn react(
    connection: &Connection,
    room_key: i64,
    target: &Target,
    entry: &Entry,
    emoji: &str,
    on: bool,
) -> rusqlite::Result<()> {
    let statement = if on {
        "INSERT OR IGNORE INTO reactions (room_key, seq, emoji, user) VALUES (?1, ?2, ?3, ?4)"
    } else {
        "DELETE FROM reactions WHERE room_key = ?1 AND seq = ?2 AND emoji = ?3 AND user = ?4"
    };
    connection.prepare_cached(statement)?.execute(params![
        room_key,
        target.seq,
        emoji,
        entry.sender.user.as_bytes()
    ])?;
    connection
        .prepare_cached(
            "INSERT INTO changes (entry_key, changed_seq) VALUES (?1, ?2) \
             ON CONFLICT (entry_key) DO UPDATE SET changed_seq = excluded.changed_seq",
        )?
        .execute(params![target.entry_key, signed(entry.position.seq.0)])?;
    Ok(())
}

/// What was said before a member came is nothing they have left unread. Before their row is there; who returns goes on from
/// where they were.
fn start_read(connection: &Connection, room_key: i64, user: UserId, at: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO watermarks (room_key, user, read_generation, read_seq, delivered_generation, delivered_seq) \
             SELECT ?1, ?2, ?3, ?4, ?3, ?4 \
             WHERE NOT EXISTS (SELECT 1 FROM members WHERE room_key = ?1 AND user = ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(params![room_key, user.as_bytes(), signed(at.generation.0), signed(at.seq.0)])?;
    Ok(())
}

fn put_member(connection: &Connection, room_key: i64, user: UserId, member: &Member) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO members (room_key, user, role, blocking, joined_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (room_key, user) DO UPDATE \
             SET role = excluded.role, blocking = excluded.blocking, joined_at = excluded.joined_at",
        )?
        .execute(params![
            room_key,
            user.as_bytes(),
            role_number(member.role),
            member.blocking,
            member.joined_at.as_millis()
        ])?;
    Ok(())
}

fn set_members_version(connection: &Connection, room_key: i64, seq: Seq) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE rooms SET members_version = ?2 WHERE room_key = ?1")?
        .execute(params![room_key, signed(seq.0)])?;
    Ok(())
}

/// One row a user called, and one with an empty user for the whole room.
pub(super) fn add_mentions(
    connection: &Connection,
    room_key: i64,
    entry: &Entry,
    mentions: &Mentions,
) -> rusqlite::Result<()> {
    let mut add = connection
        .prepare_cached("INSERT OR IGNORE INTO mentions (room_key, user, seq, author) VALUES (?1, ?2, ?3, ?4)")?;
    let (seq, author) = (signed(entry.position.seq.0), entry.sender.user);
    for user in &mentions.users {
        add.execute(params![room_key, user.as_bytes(), seq, author.as_bytes()])?;
    }
    if mentions.room {
        add.execute(params![room_key, &[0u8; 0], seq, author.as_bytes()])?;
    }
    Ok(())
}
