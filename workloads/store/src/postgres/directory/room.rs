//! Rooms and members as lists and searches need them.

use async_trait::async_trait;
use klatch_domain::{Command, Preferences, RoomId, RoomKind, RoomName, Seq, UserId};
use sqlx::{postgres::PgRow, types::Uuid};

use super::{
    super::{
        database::Transaction,
        fault::{Step, damaged},
        sql::{self, enumerated, from, get, holdable, id, maybe_time, number, signed, small, time},
    },
    PostgresDirectory, lock, owed,
    projection::{project_members, project_room, rooms_of},
};
use crate::{
    MemberToNotify, Notifiable, StoreError,
    directory::{MemberProjection, RoomOfUser, RoomProjection, RoomProjections},
    prefix::{end_of, fold},
    stored::{notify, notify_number},
};

const READ: &str = "read rooms";
const WRITE: &str = "write rooms";
const PROJECT: &str = "project rooms";

/// Columns 0 to 6 are a room, 7 its member count.
macro_rules! room {
    ($rest:literal) => {
        concat!(
            "SELECT r.room, r.kind, r.name, r.visibility, r.version, r.created_at, r.deleted, r.member_count FROM rooms r ",
            $rest
        )
    };
}

/// 1 is a direct room.
macro_rules! of_user {
    ($rest:literal) => {
        concat!(
            "SELECT r.room, r.kind, r.name, r.visibility, r.version, r.created_at, r.deleted, r.member_count, m.role, \
             m.notify, m.hidden, m.marked_unread, CASE WHEN r.kind = 1 THEN (SELECT p.user_id FROM room_members p \
             WHERE p.room = m.room AND p.role IS NOT NULL AND p.user_id <> m.user_id ORDER BY p.user_id LIMIT 1) END \
             FROM room_members m JOIN rooms r ON r.room = m.room \
             WHERE m.user_id = $1 AND m.role IS NOT NULL AND NOT r.deleted AND ",
            $rest
        )
    };
}

fn room(row: &PgRow) -> Result<RoomProjection, StoreError> {
    let name: Option<String> = get(row, 2).step(READ)?;
    Ok(RoomProjection {
        id: id(row, 0).step(READ)?,
        kind: sql::room_kind(enumerated(row, 1).step(READ)?)?,
        name: name.map(|name| RoomName::parse(&name)).transpose().map_err(|error| damaged(READ, &error.to_string()))?,
        visibility: sql::visibility(enumerated(row, 3).step(READ)?),
        version: Seq(number(row, 4).step(READ)?),
        created_at: time(row, 5).step(READ)?,
        deleted: get(row, 6).step(READ)?,
    })
}

fn room_of_user(row: &PgRow) -> Result<RoomOfUser, StoreError> {
    Ok(RoomOfUser {
        room: room(row)?,
        member_count: number(row, 7).step(READ)?,
        role: sql::role(enumerated(row, 8).step(READ)?)?,
        preferences: Preferences {
            notify: notify(enumerated(row, 9).step(READ)?),
            hidden: get(row, 10).step(READ)?,
            marked_unread: get(row, 11).step(READ)?,
        },
        peer: get::<Option<Uuid>>(row, 12).step(READ)?.map(UserId::from),
    })
}

fn member_to_notify(row: &PgRow) -> Result<MemberToNotify, StoreError> {
    Ok(MemberToNotify {
        user: id(row, 0).step(READ)?,
        notify: notify(enumerated(row, 1).step(READ)?),
        do_not_disturb_until: maybe_time(row, 2).step(READ)?,
        disabled: get(row, 3).step(READ)?,
    })
}

fn member(row: &PgRow) -> Result<MemberProjection, StoreError> {
    Ok(MemberProjection {
        room: id(row, 0).step(READ)?,
        user: id(row, 1).step(READ)?,
        role: Some(sql::role(enumerated(row, 2).step(READ)?)?),
        joined_at: time(row, 3).step(READ)?,
        version: Seq(number(row, 4).step(READ)?),
    })
}

const PUBLIC: &str = room!(
    "WHERE r.visibility = 1 AND r.kind = 2 AND NOT r.deleted AND r.name_folded >= $1 AND r.name_folded < $2 \
     AND (r.name_folded, r.room) >= ($3, $4) AND ($6 OR (r.name_folded, r.room) <> ($3, $4)) ORDER BY r.name_folded, r.room LIMIT $5"
);

async fn project(
    transaction: &mut Transaction,
    rooms: &[RoomProjection],
    members: &[MemberProjection],
) -> Result<(), StoreError> {
    lock::rooms(transaction, rooms_of(rooms, members)).await.step(PROJECT)?;
    for room in rooms.iter().filter(|room| room.kind != RoomKind::Inbox) {
        project_room(transaction, room).await.step(PROJECT)?;
    }
    project_members(transaction, members).await.step(PROJECT)
}

async fn set_preferences(
    transaction: &mut Transaction,
    user: UserId,
    room: RoomId,
    preferences: Preferences,
    owes: &[Command],
) -> Result<bool, StoreError> {
    let statement = sqlx::query(
        "UPDATE room_members SET notify = $3, hidden = $4, marked_unread = $5 \
         WHERE user_id = $1 AND room = $2 AND role IS NOT NULL RETURNING 1",
    )
    .bind(user.uuid())
    .bind(room.uuid())
    .bind(small(notify_number(preferences.notify)))
    .bind(preferences.hidden)
    .bind(preferences.marked_unread);
    let changed = !transaction.fetch(statement).await.step(WRITE)?.is_empty();
    if changed {
        owed::keep(transaction, owes).await?;
    }
    Ok(changed)
}

#[async_trait]
impl RoomProjections for PostgresDirectory {
    async fn project(&self, rooms: &[RoomProjection], members: &[MemberProjection]) -> Result<(), StoreError> {
        let mut transaction = self.begin(PROJECT).await?;
        let outcome = project(&mut transaction, rooms, members).await;
        self.end(PROJECT, transaction, outcome).await
    }

    async fn rooms_of(&self, user: UserId, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomOfUser>, StoreError> {
        let (from, itself) = from(after.map(RoomId::uuid));
        let statement = sqlx::query(of_user!("m.room >= $2 AND ($4 OR m.room <> $2) ORDER BY m.room LIMIT $3"))
            .bind(user.uuid())
            .bind(from)
            .bind(signed(limit as u64))
            .bind(itself);
        self.read(READ, statement).await?.iter().map(room_of_user).collect()
    }

    async fn rooms_of_among(&self, user: UserId, rooms: &[RoomId]) -> Result<Vec<RoomOfUser>, StoreError> {
        let rooms: Vec<_> = rooms.iter().map(|room| room.uuid()).collect();
        let statement = sqlx::query(of_user!("m.room = ANY($2)")).bind(user.uuid()).bind(rooms);
        self.read(READ, statement).await?.iter().map(room_of_user).collect()
    }

    async fn rooms_above(&self, users: &[UserId], members: u64) -> Result<Vec<(UserId, RoomId)>, StoreError> {
        let users: Vec<_> = users.iter().map(|user| user.uuid()).collect();
        let statement = sqlx::query(
            "SELECT m.user_id, m.room FROM room_members m JOIN rooms r ON r.room = m.room \
             WHERE m.user_id = ANY($1) AND m.role IS NOT NULL AND NOT r.deleted AND r.member_count > $2",
        )
        .bind(users)
        .bind(signed(members));
        let rows = self.read("read large rooms", statement).await?;
        rows.iter().map(|row| Ok((id(row, 0).step(READ)?, id(row, 1).step(READ)?))).collect()
    }

    async fn room(&self, id: RoomId) -> Result<Option<RoomProjection>, StoreError> {
        let rows = self.read(READ, sqlx::query(room!("WHERE r.room = $1")).bind(id.uuid())).await?;
        rows.first().map(room).transpose()
    }

    async fn members_of(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<MemberProjection>, StoreError> {
        let (from, itself) = from(after.map(UserId::uuid));
        let statement = sqlx::query(
            "SELECT room, user_id, role, joined_at, version FROM room_members \
             WHERE room = $1 AND user_id >= $2 AND ($4 OR user_id <> $2) AND role IS NOT NULL ORDER BY user_id LIMIT $3",
        )
        .bind(room.uuid())
        .bind(from)
        .bind(signed(limit as u64))
        .bind(itself);
        self.read("read members", statement).await?.iter().map(member).collect()
    }

    async fn public_rooms(
        &self,
        query: &str,
        after: Option<(&str, RoomId)>,
        limit: usize,
    ) -> Result<Vec<(RoomProjection, u64)>, StoreError> {
        if !holdable(query) || after.is_some_and(|(name, _)| !holdable(name)) {
            return Ok(Vec::new());
        }
        let begin = fold(query);
        // Nothing stored begins with U+10FFFF twice: names have no such characters that anyone could want to find.
        let end = end_of(&begin).unwrap_or_else(|| "\u{10FFFF}\u{10FFFF}".to_owned());
        let name = after.map(|(name, _)| fold(name)).unwrap_or_default();
        let (from, itself) = from(after.map(|(_, room)| room.uuid()));
        let statement = || {
            sqlx::query(PUBLIC)
                .bind(begin.clone())
                .bind(end.clone())
                .bind(name.clone())
                .bind(from)
                .bind(signed(limit as u64))
                .bind(itself)
        };
        let rows = self.read_anywhere("search rooms", statement).await?;
        rows.iter().map(|row| Ok((room(row)?, number(row, 7).step(READ)?))).collect()
    }

    async fn set_preferences(
        &self,
        user: UserId,
        room: RoomId,
        preferences: Preferences,
        owes: &[Command],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin(WRITE).await?;
        let outcome = set_preferences(&mut transaction, user, room, preferences, owes).await;
        self.end(WRITE, transaction, outcome).await
    }
}

#[async_trait]
impl Notifiable for PostgresDirectory {
    async fn members_to_notify(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<MemberToNotify>, StoreError> {
        let (from, itself) = from(after.map(UserId::uuid));
        let statement = sqlx::query(
            "SELECT m.user_id, m.notify, u.do_not_disturb_until, u.disabled \
             FROM room_members m JOIN users u ON u.user_id = m.user_id \
             WHERE m.room = $1 AND m.user_id >= $2 AND ($4 OR m.user_id <> $2) AND m.role IS NOT NULL \
             ORDER BY m.user_id LIMIT $3",
        )
        .bind(room.uuid())
        .bind(from)
        .bind(signed(limit as u64))
        .bind(itself);
        self.read("read members to notify", statement).await?.iter().map(member_to_notify).collect()
    }
}
