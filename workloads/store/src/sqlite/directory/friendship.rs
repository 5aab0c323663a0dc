//! Friendships and blocks.

use async_trait::async_trait;
use klatch_domain::{Command, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::{
        fault::{Step, damaged},
        sql::{signed, time, user},
    },
    SqliteDirectory,
    owed::{self, OwingError},
};
use crate::{
    StoreError,
    directory::{Befriending, FriendChange, FriendStatus, Friendship, Friendships},
    stored::{friend_status as status, friend_status_number as number},
};

const READ: &str = "read friendships";
const WRITE: &str = "write a friendship";

/// How `one` stands to `other`.
fn between(connection: &Connection, one: UserId, other: UserId) -> rusqlite::Result<Option<FriendStatus>> {
    Ok(connection
        .prepare_cached("SELECT status FROM relations WHERE user = ?1 AND other = ?2")?
        .query_row(params![one.as_bytes(), other.as_bytes()], |row| row.get(0))
        .optional()?
        .and_then(status))
}

fn set(
    connection: &Connection,
    one: UserId,
    other: UserId,
    status: FriendStatus,
    since: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO relations (user, other, status, since) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (user, other) DO UPDATE SET status = excluded.status, since = excluded.since",
        )?
        .execute(params![one.as_bytes(), other.as_bytes(), number(status), since.as_millis()])?;
    Ok(())
}

fn remove(connection: &Connection, one: UserId, other: UserId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM relations WHERE user = ?1 AND other = ?2")?
        .execute(params![one.as_bytes(), other.as_bytes()])?;
    Ok(())
}

fn befriend(connection: &Connection, actor: UserId, other: UserId, at: Timestamp) -> rusqlite::Result<FriendChange> {
    if actor == other {
        return Ok(FriendChange::Unchanged(None));
    }
    let mine = between(connection, actor, other)?;
    let theirs = between(connection, other, actor)?;
    if mine == Some(FriendStatus::Blocked) || theirs == Some(FriendStatus::Blocked) {
        return Ok(FriendChange::Blocked);
    }
    let (mine, theirs) = match mine {
        Some(FriendStatus::Incoming) => (FriendStatus::Accepted, FriendStatus::Accepted),
        None => (FriendStatus::Requested, FriendStatus::Incoming),
        known => return Ok(FriendChange::Unchanged(known)),
    };
    set(connection, actor, other, mine, at)?;
    set(connection, other, actor, theirs, at)?;
    Ok(FriendChange::Changed(Some(mine)))
}

/// That the other has blocked never shows.
fn unfriend(connection: &Connection, actor: UserId, other: UserId) -> rusqlite::Result<FriendChange> {
    match between(connection, actor, other)? {
        known @ (None | Some(FriendStatus::Blocked)) => Ok(FriendChange::Unchanged(known)),
        Some(_) => {
            remove(connection, actor, other)?;
            remove(connection, other, actor)?;
            Ok(FriendChange::Changed(None))
        }
    }
}

fn set_block(
    connection: &Connection,
    actor: UserId,
    other: UserId,
    on: bool,
    at: Timestamp,
) -> rusqlite::Result<FriendChange> {
    let known = between(connection, actor, other)?;
    let blocked = known == Some(FriendStatus::Blocked);
    if blocked == on || actor == other {
        return Ok(FriendChange::Unchanged(known));
    }
    if !on {
        remove(connection, actor, other)?;
        return Ok(FriendChange::Changed(None));
    }
    if between(connection, other, actor)? != Some(FriendStatus::Blocked) {
        remove(connection, other, actor)?;
    }
    set(connection, actor, other, FriendStatus::Blocked, at)?;
    Ok(FriendChange::Changed(Some(FriendStatus::Blocked)))
}

fn keep_if_changed(
    connection: &Connection,
    change: FriendChange,
    owes: &[Command],
) -> Result<FriendChange, OwingError> {
    if let FriendChange::Changed(_) = change {
        owed::keep(connection, owes)?;
    }
    Ok(change)
}

/// Nothing stands between this user and anyone any more.
pub(super) fn forget(connection: &Connection, id: UserId) -> rusqlite::Result<()> {
    let others: Vec<UserId> = connection
        .prepare_cached("SELECT other FROM relations WHERE user = ?1")?
        .query_map([id.as_bytes()], |row| user(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    for other in others {
        remove(connection, id, other)?;
        if between(connection, other, id)? != Some(FriendStatus::Blocked) {
            remove(connection, other, id)?;
        }
    }
    Ok(())
}

fn friendships(
    connection: &Connection,
    id: UserId,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<Friendship>, StoreError> {
    // Every id is above the empty one.
    let after: &[u8] = after.as_ref().map_or(&[], |after| after.as_bytes());
    let rows: Vec<(UserId, i64, Timestamp)> = connection
        .prepare_cached(
            "SELECT other, status, since FROM relations WHERE user = ?1 AND other > ?2 ORDER BY other LIMIT ?3",
        )
        .and_then(|mut find| {
            find.query_map(params![id.as_bytes(), after, signed(limit as u64)], |row| {
                Ok((user(row, 0)?, row.get(1)?, time(row, 2)?))
            })?
            .collect()
        })
        .step(READ)?;
    rows.into_iter()
        .map(|(user, number, since)| {
            let status = status(number).ok_or_else(|| damaged(READ, "unknown status"))?;
            Ok(Friendship { user, status, since })
        })
        .collect()
}

fn shares_a_room(connection: &Connection, one: UserId, other: UserId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM room_members a JOIN room_members b ON b.user = ?2 AND b.room = a.room \
             WHERE a.user = ?1 AND a.role IS NOT NULL AND b.role IS NOT NULL",
        )?
        .exists(params![one.as_bytes(), other.as_bytes()])
}

fn is_acquainted(connection: &Connection, one: UserId, other: UserId) -> rusqlite::Result<bool> {
    let mine = between(connection, one, other)?;
    let blocked = Some(FriendStatus::Blocked);
    if mine == blocked || between(connection, other, one)? == blocked {
        return Ok(false);
    }
    Ok(mine == Some(FriendStatus::Accepted) || shares_a_room(connection, one, other)?)
}

#[async_trait]
impl Friendships for SqliteDirectory {
    async fn befriend(
        &self,
        actor: UserId,
        other: UserId,
        at: Timestamp,
        owes: Befriending<'_>,
    ) -> Result<FriendChange, StoreError> {
        let (requested, accepted) = (owes.requested.to_vec(), owes.accepted.to_vec());
        self.write(WRITE, move |turn| {
            let change = befriend(turn.connection, actor, other, at).step(WRITE)?;
            match change {
                FriendChange::Changed(Some(FriendStatus::Requested)) => owed::keep(turn.connection, &requested)?,
                FriendChange::Changed(_) => owed::keep(turn.connection, &accepted)?,
                FriendChange::Unchanged(_) | FriendChange::Blocked => {}
            }
            Ok::<_, OwingError>(change)
        })
        .await
        .map_err(StoreError::from)
    }

    async fn unfriend(&self, actor: UserId, other: UserId, owes: &[Command]) -> Result<FriendChange, StoreError> {
        let owes = owes.to_vec();
        self.write(WRITE, move |turn| {
            let change = unfriend(turn.connection, actor, other).step(WRITE)?;
            keep_if_changed(turn.connection, change, &owes)
        })
        .await
        .map_err(StoreError::from)
    }

    async fn set_block(
        &self,
        actor: UserId,
        other: UserId,
        on: bool,
        at: Timestamp,
        owes: &[Command],
    ) -> Result<FriendChange, StoreError> {
        let owes = owes.to_vec();
        self.write(WRITE, move |turn| {
            let change = set_block(turn.connection, actor, other, on, at).step(WRITE)?;
            keep_if_changed(turn.connection, change, &owes)
        })
        .await
        .map_err(StoreError::from)
    }

    async fn friendships(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Friendship>, StoreError> {
        self.read(READ, move |connection| friendships(connection, user, after, limit)).await
    }

    async fn blocks_between(&self, user: UserId, others: &[UserId]) -> Result<Vec<(UserId, UserId)>, StoreError> {
        let others = others.to_vec();
        self.read(READ, move |connection| {
            let mut blocks = Vec::new();
            for other in others {
                for (by, blocked) in [(user, other), (other, user)] {
                    if between(connection, by, blocked).step(READ)? == Some(FriendStatus::Blocked) {
                        blocks.push((by, blocked));
                    }
                }
            }
            Ok(blocks)
        })
        .await
    }

    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        let others = others.to_vec();
        self.read(READ, move |connection| {
            let mut acquainted = Vec::with_capacity(others.len());
            for other in others {
                if is_acquainted(connection, user, other).step(READ)? {
                    acquainted.push(other);
                }
            }
            Ok(acquainted)
        })
        .await
    }
}
