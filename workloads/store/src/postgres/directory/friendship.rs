//! Friendships and blocks.

use async_trait::async_trait;
use klatch_domain::{Command, Timestamp, UserId};
use sqlx::{Error, postgres::PgRow, types::Uuid};

use super::{
    super::{
        database::Transaction,
        fault::{Step, damaged},
        sql::{enumerated, from, id, signed, small, time},
    },
    PostgresDirectory, lock, owed,
};
use crate::{
    StoreError,
    directory::{Befriending, FriendChange, FriendStatus, Friendship, Friendships},
    stored::{friend_status, friend_status_number},
};

const READ: &str = "read friendships";
const WRITE: &str = "write a friendship";

/// How two users stand to each other, each from their side.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    mine: Option<FriendStatus>,
    theirs: Option<FriendStatus>,
}

/// Nobody else changes it until the transaction ends.
async fn locked_pair(transaction: &mut Transaction, actor: UserId, other: UserId) -> Result<Pair, Error> {
    lock::pair(transaction, actor, other).await?;
    let find = "SELECT user_id, status FROM relations \
                WHERE (user_id = $1 AND other = $2) OR (user_id = $2 AND other = $1)";
    let rows = transaction.fetch(sqlx::query(find).bind(actor.uuid()).bind(other.uuid())).await?;
    let mut pair = Pair::default();
    for row in &rows {
        let status = friend_status(enumerated(row, 1)?);
        if id::<UserId>(row, 0)? == actor {
            pair.mine = status;
        } else {
            pair.theirs = status;
        }
    }
    Ok(pair)
}

async fn set(
    transaction: &mut Transaction,
    one: UserId,
    other: UserId,
    status: FriendStatus,
    since: Timestamp,
) -> Result<(), Error> {
    let statement = sqlx::query(
        "INSERT INTO relations (user_id, other, status, since) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (user_id, other) DO UPDATE SET status = excluded.status, since = excluded.since",
    )
    .bind(one.uuid())
    .bind(other.uuid())
    .bind(small(friend_status_number(status)))
    .bind(since.as_millis());
    transaction.execute(statement).await
}

async fn remove(transaction: &mut Transaction, one: UserId, other: UserId) -> Result<(), Error> {
    let remove = "DELETE FROM relations WHERE user_id = $1 AND other = $2";
    transaction.execute(sqlx::query(remove).bind(one.uuid()).bind(other.uuid())).await
}

async fn befriend(
    transaction: &mut Transaction,
    actor: UserId,
    other: UserId,
    at: Timestamp,
) -> Result<FriendChange, Error> {
    if actor == other {
        return Ok(FriendChange::Unchanged(None));
    }
    let pair = locked_pair(transaction, actor, other).await?;
    let blocked = Some(FriendStatus::Blocked);
    if pair.mine == blocked || pair.theirs == blocked {
        return Ok(FriendChange::Blocked);
    }
    let (mine, theirs) = match pair.mine {
        Some(FriendStatus::Incoming) => (FriendStatus::Accepted, FriendStatus::Accepted),
        None => (FriendStatus::Requested, FriendStatus::Incoming),
        known => return Ok(FriendChange::Unchanged(known)),
    };
    set(transaction, actor, other, mine, at).await?;
    set(transaction, other, actor, theirs, at).await?;
    Ok(FriendChange::Changed(Some(mine)))
}

/// That the other has blocked never shows.
async fn unfriend(transaction: &mut Transaction, actor: UserId, other: UserId) -> Result<FriendChange, Error> {
    match locked_pair(transaction, actor, other).await?.mine {
        known @ (None | Some(FriendStatus::Blocked)) => Ok(FriendChange::Unchanged(known)),
        Some(_) => {
            remove(transaction, actor, other).await?;
            remove(transaction, other, actor).await?;
            Ok(FriendChange::Changed(None))
        }
    }
}

async fn set_block(
    transaction: &mut Transaction,
    actor: UserId,
    other: UserId,
    on: bool,
    at: Timestamp,
) -> Result<FriendChange, Error> {
    let pair = locked_pair(transaction, actor, other).await?;
    let blocked = Some(FriendStatus::Blocked);
    if (pair.mine == blocked) == on || actor == other {
        return Ok(FriendChange::Unchanged(pair.mine));
    }
    if !on {
        remove(transaction, actor, other).await?;
        return Ok(FriendChange::Changed(None));
    }
    if pair.theirs != blocked {
        remove(transaction, other, actor).await?;
    }
    set(transaction, actor, other, FriendStatus::Blocked, at).await?;
    Ok(FriendChange::Changed(blocked))
}

async fn keep_if_changed(
    transaction: &mut Transaction,
    change: Result<FriendChange, Error>,
    owes: &[Command],
) -> Result<FriendChange, StoreError> {
    let change = change.step(WRITE)?;
    if let FriendChange::Changed(_) = change {
        owed::keep(transaction, owes).await?;
    }
    Ok(change)
}

/// Nothing stands between this user and anyone any more; that others have blocked them stays. 4 is a block.
pub(super) async fn forget(transaction: &mut Transaction, id: UserId) -> Result<(), Error> {
    let statement = sqlx::query(
        "WITH mine AS (DELETE FROM relations WHERE user_id = $1 RETURNING other) \
         DELETE FROM relations r USING mine WHERE r.user_id = mine.other AND r.other = $1 AND r.status <> 4",
    )
    .bind(id.uuid());
    transaction.execute(statement).await
}

fn friendship(row: &PgRow) -> Result<Friendship, StoreError> {
    let status = friend_status(enumerated(row, 1).step(READ)?).ok_or_else(|| damaged(READ, "unknown status"))?;
    Ok(Friendship { user: id(row, 0).step(READ)?, status, since: time(row, 2).step(READ)? })
}

/// Both directions of a block by their keys. 4 is a block.
const BLOCKS: &str = "SELECT user_id, other FROM relations WHERE user_id = $1 AND other = ANY($2) AND status = 4 \
    UNION SELECT r.user_id, r.other FROM unnest($2::uuid[]) o JOIN relations r ON r.user_id = o AND r.other = $1 \
    WHERE r.status = 4";

/// 3 is a friendship.
const ACQUAINTED: &str = "SELECT o FROM unnest($2::uuid[]) o \
    LEFT JOIN relations mine ON mine.user_id = $1 AND mine.other = o \
    LEFT JOIN relations theirs ON theirs.user_id = o AND theirs.other = $1 \
    WHERE coalesce(mine.status, 0) <> 4 AND coalesce(theirs.status, 0) <> 4 AND (mine.status = 3 OR EXISTS ( \
    SELECT 1 FROM room_members a JOIN room_members b ON b.user_id = o AND b.room = a.room \
    WHERE a.user_id = $1 AND a.role IS NOT NULL AND b.role IS NOT NULL))";

fn ids(users: &[UserId]) -> Vec<Uuid> {
    users.iter().map(|user| user.uuid()).collect()
}

#[async_trait]
impl Friendships for PostgresDirectory {
    async fn befriend(
        &self,
        actor: UserId,
        other: UserId,
        at: Timestamp,
        owes: Befriending<'_>,
    ) -> Result<FriendChange, StoreError> {
        let mut transaction = self.begin(WRITE).await?;
        let change = befriend(&mut transaction, actor, other, at).await;
        let owes = match &change {
            Ok(FriendChange::Changed(Some(FriendStatus::Requested))) => owes.requested,
            _ => owes.accepted,
        };
        let outcome = keep_if_changed(&mut transaction, change, owes).await;
        self.end(WRITE, transaction, outcome).await
    }

    async fn unfriend(&self, actor: UserId, other: UserId, owes: &[Command]) -> Result<FriendChange, StoreError> {
        let mut transaction = self.begin(WRITE).await?;
        let change = unfriend(&mut transaction, actor, other).await;
        let outcome = keep_if_changed(&mut transaction, change, owes).await;
        self.end(WRITE, transaction, outcome).await
    }

    async fn set_block(
        &self,
        actor: UserId,
        other: UserId,
        on: bool,
        at: Timestamp,
        owes: &[Command],
    ) -> Result<FriendChange, StoreError> {
        let mut transaction = self.begin(WRITE).await?;
        let change = set_block(&mut transaction, actor, other, on, at).await;
        let outcome = keep_if_changed(&mut transaction, change, owes).await;
        self.end(WRITE, transaction, outcome).await
    }

    async fn friendships(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Friendship>, StoreError> {
        let (from, itself) = from(after.map(UserId::uuid));
        let statement = sqlx::query(
            "SELECT other, status, since FROM relations WHERE user_id = $1 AND other >= $2 AND ($4 OR other <> $2) \
             ORDER BY other LIMIT $3",
        )
        .bind(user.uuid())
        .bind(from)
        .bind(signed(limit as u64))
        .bind(itself);
        self.read(READ, statement).await?.iter().map(friendship).collect()
    }

    async fn blocks_between(&self, user: UserId, others: &[UserId]) -> Result<Vec<(UserId, UserId)>, StoreError> {
        let rows = self.read(READ, sqlx::query(BLOCKS).bind(user.uuid()).bind(ids(others))).await?;
        let blocks: Result<_, Error> = rows.iter().map(|row| Ok((id(row, 0)?, id(row, 1)?))).collect();
        blocks.step(READ)
    }

    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        let rows = self.read(READ, sqlx::query(ACQUAINTED).bind(user.uuid()).bind(ids(others))).await?;
        rows.iter().map(|row| id(row, 0).step(READ)).collect()
    }
}
