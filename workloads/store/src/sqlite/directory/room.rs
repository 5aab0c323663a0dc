//! Rooms and members as lists and searches need them.

use async_trait::async_trait;
use klatch_domain::{Command, Preferences, RoomId, RoomKind, RoomName, Seq, UserId};
use rusqlite::{Connection, Row, params};

use super::{
    super::{
        fault::{Step, damaged},
        sql::{self, number, signed, time, user},
        writer::Weight,
    },
    SqliteDirectory,
    owed::{self, OwingError},
    projection::{project_member, project_room},
};
use crate::{
    MemberToNotify, Notifiable, StoreError,
    directory::{MemberProjection, RoomOfUser, RoomProjection, RoomProjections},
    prefix::{end_of, fold},
    stored::{notify, notify_number},
};

const READ: &str = "read rooms";
const WRITE: &str = "write rooms";

/// Columns 0 to 6 are a room, 7 its member count.
const ROOM: &str = "r.room_id, r.kind, r.name, r.visibility, r.version, r.created_at, r.deleted, r.member_count";

fn room(row: &Row<'_>) -> Result<RoomProjection, StoreError> {
    let name: Option<String> = row.get(2).step(READ)?;
    Ok(RoomProjection {
        id: RoomId::from_bytes(row.get(0).step(READ)?),
        kind: sql::room_kind(row.get(1).step(READ)?)?,
        name: name.map(|name| RoomName::parse(&name)).transpose().map_err(|error| damaged(READ, &error.to_string()))?,
        visibility: sql::visibility(row.get(3).step(READ)?),
        version: Seq(number(row, 4).step(READ)?),
        created_at: time(row, 5).step(READ)?,
        deleted: row.get(6).step(READ)?,
    })
}

/// What `read` makes of each row.
fn collect<T>(
    connection: &Connection,
    statement: &str,
    parameters: impl rusqlite::Params,
    read: fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(statement).step(READ)?;
    let mut rows = statement.query(parameters).step(READ)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().step(READ)? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn room_of_user(row: &Row<'_>) -> Result<RoomOfUser, StoreError> {
    Ok(RoomOfUser {
        room: room(row)?,
        member_count: number(row, 7).step(READ)?,
        role: sql::role(row.get(8).step(READ)?)?,
        preferences: Preferences {
            notify: notify(row.get(9).step(READ)?),
            hidden: row.get(10).step(READ)?,
            marked_unread: row.get(11).step(READ)?,
        },
        peer: row.get::<_, Option<[u8; 16]>>(12).step(READ)?.map(UserId::from_bytes),
    })
}

/// 1 is a direct room.
fn of_user(rest: &str) -> String {
    format!(
        "SELECT {ROOM}, m.role, m.notify, m.hidden, m.marked_unread, CASE WHEN r.kind = 1 THEN \
         (SELECT p.user FROM room_members p WHERE p.room = m.room AND p.role IS NOT NULL AND p.user <> m.user LIMIT 1) END \
         FROM room_members m JOIN rooms r ON r.room_id = m.room \
         WHERE m.user = ?1 AND m.role IS NOT NULL AND r.deleted = 0 AND {rest}"
    )
}

fn member(row: &Row<'_>) -> Result<MemberProjection, StoreError> {
    Ok(MemberProjection {
        room: RoomId::from_bytes(row.get(0).step(READ)?),
        user: user(row, 1).step(READ)?,
        role: Some(sql::role(row.get(2).step(READ)?)?),
        joined_at: time(row, 3).step(READ)?,
        version: Seq(number(row, 4).step(READ)?),
    })
}

fn member_to_notify(row: &Row<'_>) -> Result<MemberToNotify, StoreError> {
    Ok(MemberToNotify {
        user: user(row, 0).step(READ)?,
        notify: notify(row.get(1).step(READ)?),
        do_not_disturb_until: sql::maybe_time(row, 2).step(READ)?,
        disabled: row.get(3).step(READ)?,
    })
}

fn public_rooms(
    connection: &Connection,
    query: &str,
    after: Option<&(String, RoomId)>,
    limit: usize,
) -> Result<Vec<(RoomProjection, u64)>, StoreError> {
    let (name, id): (&str, &[u8]) = after.map_or(("", &[]), |(name, id)| (name, id.as_bytes()));
    // Nothing stored begins with U+10FFFF twice: names have no such characters that anyone could want to find.
    let end = end_of(query).unwrap_or_else(|| "\u{10FFFF}\u{10FFFF}".to_owned());
    collect(
        connection,
        &format!(
            "SELECT {ROOM} FROM rooms r WHERE r.visibility = 1 AND r.kind = 2 AND r.deleted = 0 \
             AND r.name_folded >= ?1 AND r.name_folded < ?2 AND (r.name_folded, r.room_id) > (?3, ?4) \
             ORDER BY r.name_folded, r.room_id LIMIT ?5"
        ),
        params![query, end, name, id, signed(limit as u64)],
        |row| Ok((room(row)?, number(row, 7).step(READ)?)),
    )
}

#[async_trait]
impl RoomProjections for SqliteDirectory {
    async fn project(&self, rooms: &[RoomProjection], members: &[MemberProjection]) -> Result<(), StoreError> {
        let (rooms, members) = (rooms.to_vec(), members.to_vec());
        let weight = Weight { rows: rooms.len() + members.len(), bytes: 0 };
        self.writer
            .write("project rooms", weight, move |turn| {
                for room in rooms.iter().filter(|room| room.kind != RoomKind::Inbox) {
                    project_room(turn.connection, room).step(WRITE)?;
                }
                for member in &members {
                    project_member(turn.connection, member).step(WRITE)?;
                }
                Ok(())
            })
            .await
    }

    async fn rooms_of(&self, user: UserId, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomOfUser>, StoreError> {
        self.read(READ, move |connection| {
            // Every id is above the empty one.
            let after: &[u8] = after.as_ref().map_or(&[], |after| after.as_bytes());
            let statement = of_user("m.room > ?2 ORDER BY m.room LIMIT ?3");
            collect(connection, &statement, params![user.as_bytes(), after, signed(limit as u64)], room_of_user)
        })
        .await
    }

    async fn rooms_of_among(&self, user: UserId, rooms: &[RoomId]) -> Result<Vec<RoomOfUser>, StoreError> {
        let rooms = rooms.to_vec();
        self.read(READ, move |connection| {
            let statement = of_user("m.room = ?2");
            let mut found = Vec::with_capacity(rooms.len());
            for room in rooms {
                found.extend(collect(connection, &statement, params![user.as_bytes(), room.as_bytes()], room_of_user)?);
            }
            Ok(found)
        })
        .await
    }

    async fn rooms_above(&self, users: &[UserId], members: u64) -> Result<Vec<(UserId, RoomId)>, StoreError> {
        let users = users.to_vec();
        self.read("read large rooms", move |connection| {
            let mut found = Vec::new();
            for user in users {
                let rooms = collect(
                    connection,
                    "SELECT m.room FROM room_members m JOIN rooms r ON r.room_id = m.room \
                     WHERE m.user = ?1 AND m.role IS NOT NULL AND r.deleted = 0 AND r.member_count > ?2",
                    params![user.as_bytes(), signed(members)],
                    |row| Ok(RoomId::from_bytes(row.get(0).step(READ)?)),
                )?;
                found.extend(rooms.into_iter().map(|room| (user, room)));
            }
            Ok(found)
        })
        .await
    }

    async fn room(&self, id: RoomId) -> Result<Option<RoomProjection>, StoreError> {
        self.read(READ, move |connection| {
            let statement = format!("SELECT {ROOM} FROM rooms r WHERE r.room_id = ?1");
            Ok(collect(connection, &statement, [id.as_bytes()], room)?.pop())
        })
        .await
    }

    async fn members_of(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<MemberProjection>, StoreError> {
        self.read("read members", move |connection| {
            // Every id is above the empty one.
            let after: &[u8] = after.as_ref().map_or(&[], |after| after.as_bytes());
            collect(
                connection,
                "SELECT room, user, role, joined_at, version FROM room_members \
                 WHERE room = ?1 AND user > ?2 AND role IS NOT NULL ORDER BY user LIMIT ?3",
                params![room.as_bytes(), after, signed(limit as u64)],
                member,
            )
        })
        .await
    }

    async fn public_rooms(
        &self,
        query: &str,
        after: Option<(&str, RoomId)>,
        limit: usize,
    ) -> Result<Vec<(RoomProjection, u64)>, StoreError> {
        let (query, after) = (fold(query), after.map(|(name, id)| (fold(name), id)));
        self.read("search rooms", move |connection| public_rooms(connection, &query, after.as_ref(), limit)).await
    }

    async fn set_preferences(
        &self,
        user: UserId,
        room: RoomId,
        preferences: Preferences,
        owes: &[Command],
    ) -> Result<bool, StoreError> {
        let owes = owes.to_vec();
        self.write(WRITE, move |turn| {
            let changed = turn
                .connection
                .prepare_cached(
                    "UPDATE room_members SET notify = ?3, hidden = ?4, marked_unread = ?5 \
                     WHERE user = ?1 AND room = ?2 AND role IS NOT NULL",
                )
                .and_then(|mut statement| {
                    statement.execute(params![
                        user.as_bytes(),
                        room.as_bytes(),
                        notify_number(preferences.notify),
                        preferences.hidden,
                        preferences.marked_unread
                    ])
                })
                .step(WRITE)?;
            if changed > 0 {
                owed::keep(turn.connection, &owes)?;
            }
            Ok::<_, OwingError>(changed > 0)
        })
        .await
        .map_err(StoreError::from)
    }
}

#[async_trait]
impl Notifiable for SqliteDirectory {
    async fn members_to_notify(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<MemberToNotify>, StoreError> {
        self.read("read members to notify", move |connection| {
            // Every id is above the empty one.
            let after: &[u8] = after.as_ref().map_or(&[], |after| after.as_bytes());
            collect(
                connection,
                "SELECT m.user, m.notify, u.do_not_disturb_until, u.disabled \
                 FROM room_members m JOIN users u ON u.user_id = m.user \
                 WHERE m.room = ?1 AND m.user > ?2 AND m.role IS NOT NULL ORDER BY m.user LIMIT ?3",
                params![room.as_bytes(), after, signed(limit as u64)],
                member_to_notify,
            )
        })
        .await
    }
}
