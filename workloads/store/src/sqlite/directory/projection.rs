//! Taking over what the logs have decided, where it is newer.

use klatch_domain::{RoomId, RoomName};
use rusqlite::{Connection, OptionalExtension, params};

use super::super::sql::{number, role_number, room_kind_number, signed, visibility_number};
use crate::{
    directory::{MemberProjection, RoomProjection},
    prefix::fold,
};

/// A room of the directory.
struct Known {
    version: u64,
    deleted: bool,
}

fn known(connection: &Connection, room: RoomId) -> rusqlite::Result<Option<Known>> {
    connection
        .prepare_cached("SELECT version, deleted FROM rooms WHERE room_id = ?1")?
        .query_row([room.as_bytes()], |row| Ok(Known { version: number(row, 0)?, deleted: row.get(1)? }))
        .optional()
}

/// Takes over a room.
pub(super) fn project_room(connection: &Connection, room: &RoomProjection) -> rusqlite::Result<()> {
    if known(connection, room.id)?.is_some_and(|known| known.version >= room.version.0) {
        return Ok(());
    }
    let name = room.name.as_ref().map(RoomName::as_str);
    // A room may come after its members.
    connection
        .prepare_cached(
            "INSERT INTO rooms (room_id, kind, name, name_folded, visibility, version, created_at, deleted, member_count) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
             (SELECT count(*) FROM room_members WHERE room = ?1 AND role IS NOT NULL)) \
             ON CONFLICT (room_id) DO UPDATE SET name = excluded.name, name_folded = excluded.name_folded, \
             visibility = excluded.visibility, version = excluded.version, deleted = excluded.deleted",
        )?
        .execute(params![
            room.id.as_bytes(),
            room_kind_number(room.kind),
            name,
            name.map(fold),
            visibility_number(room.visibility),
            signed(room.version.0),
            room.created_at.as_millis(),
            room.deleted,
        ])?;
    if room.deleted { remove_all(connection, room) } else { Ok(()) }
}

fn remove_all(connection: &Connection, room: &RoomProjection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE room_members SET role = NULL, version = max(version, ?2) WHERE room = ?1 AND role IS NOT NULL",
        )?
        .execute(params![room.id.as_bytes(), signed(room.version.0)])?;
    connection.prepare_cached("UPDATE rooms SET member_count = 0 WHERE room_id = ?1")?.execute([room.id.as_bytes()])?;
    Ok(())
}

/// Takes over a member. Nobody is a member of a deleted room, however late the news of their join.
pub(super) fn project_member(connection: &Connection, member: &MemberProjection) -> rusqlite::Result<()> {
    let before = connection
        .prepare_cached("SELECT version, role IS NOT NULL FROM room_members WHERE user = ?1 AND room = ?2")?
        .query_row(params![member.user.as_bytes(), member.room.as_bytes()], |row| {
            Ok((number(row, 0)?, row.get::<_, bool>(1)?))
        })
        .optional()?;
    if before.is_some_and(|(version, _)| version >= member.version.0) {
        return Ok(());
    }
    let closed = known(connection, member.room)?.is_some_and(|room| room.deleted);
    let role = if closed { None } else { member.role };
    connection
        .prepare_cached(
            "INSERT INTO room_members (user, room, role, joined_at, version) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (user, room) DO UPDATE \
             SET role = excluded.role, joined_at = excluded.joined_at, version = excluded.version",
        )?
        .execute(params![
            member.user.as_bytes(),
            member.room.as_bytes(),
            role.map(role_number),
            member.joined_at.as_millis(),
            signed(member.version.0),
        ])?;
    let change = i64::from(role.is_some()) - i64::from(before.is_some_and(|(_, there)| there));
    if change != 0 {
        connection
            .prepare_cached("UPDATE rooms SET member_count = member_count + ?2 WHERE room_id = ?1")?
            .execute(params![member.room.as_bytes(), change])?;
    }
    Ok(())
}
