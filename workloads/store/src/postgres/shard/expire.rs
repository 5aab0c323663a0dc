//! Emptying what has expired, and what stands in rooms that were deleted.

use klatch_domain::Timestamp;
use sqlx::{Error, types::Uuid};

use super::{
    super::{
        database::Transaction,
        fault::{Step, is_connection_lost},
        sql::{get, signed},
    },
    PostgresShard,
    erase::{self, Target, target},
};
use crate::StoreError;

const STEP: &str = "empty what has expired";

/// Entries of deleted rooms emptied with each call: some 20 ms, so that other rooms hardly wait.
const EMPTIED_AT_ONCE: i64 = 1000;

impl PostgresShard {
    /// Empties expired entries as a delete would, at most `limit`; answers how many. On the way, some of the entries of
    /// deleted rooms, which read as empty already. Several callers share the work.
    pub(super) async fn empty_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let active = self.active_slots().await?;
        let mut transaction = self.writers.begin(STEP).await?;
        let expired = expire(&mut transaction, &active, now, limit).await;
        let expired = ended(transaction, expired).await?;
        let mut transaction = self.writers.begin(STEP).await?;
        let emptied = empty_room(&mut transaction, &active).await;
        ended(transaction, emptied).await?;
        Ok(expired)
    }
}

async fn ended<T>(transaction: Transaction, done: Result<T, Error>) -> Result<T, StoreError> {
    match &done {
        Ok(_) => transaction.commit().await.commit_step(STEP)?,
        Err(error) if is_connection_lost(error) => drop(transaction),
        Err(_) => transaction.rollback().await,
    }
    done.step(STEP)
}

async fn expire(transaction: &mut Transaction, active: &[i32], now: Timestamp, limit: usize) -> Result<usize, Error> {
    let due = sqlx::query(target!(
        "WHERE e.slot = ANY($1) AND e.expires_at <= $2 AND e.expires_at IS NOT NULL AND NOT e.emptied \
         ORDER BY e.expires_at LIMIT $3 FOR UPDATE SKIP LOCKED"
    ))
    .bind(active.to_vec())
    .bind(now.as_millis())
    .bind(signed(limit as u64));
    let expired = erase::empty_found(transaction, due, true).await?;
    if !expired.is_empty() {
        empty_edits(transaction, &expired).await?;
    }
    Ok(expired.len())
}

async fn empty_edits(transaction: &mut Transaction, of: &[Target]) -> Result<(), Error> {
    let mut leaves: Vec<i32> = of.iter().map(|target| target.slot).collect();
    leaves.sort_unstable();
    leaves.dedup();
    let edits = sqlx::query(target!(
        "WHERE e.slot = ANY($1) AND e.kind = 3 \
         AND (e.room, e.target) IN (SELECT * FROM unnest($2::uuid[], $3::bigint[])) FOR UPDATE"
    ))
    .bind(leaves)
    .bind(of.iter().map(|target| target.room).collect::<Vec<_>>())
    .bind(of.iter().map(|target| target.seq).collect::<Vec<_>>());
    erase::empty_found(transaction, edits, false).await.map(|_| ())
}

/// Empties some entries of one deleted room.
async fn empty_room(transaction: &mut Transaction, active: &[i32]) -> Result<(), Error> {
    let next = sqlx::query(
        "SELECT slot, room, emptied_to FROM rooms WHERE slot = ANY($1) AND emptied_to IS NOT NULL \
         LIMIT 1 FOR UPDATE SKIP LOCKED",
    )
    .bind(active.to_vec());
    let rows = transaction.fetch(next).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (slot, room, emptied_to): (i32, Uuid, i64) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
    let entries =
        sqlx::query(target!("WHERE e.slot = $1 AND e.room = $2 AND e.seq > $3 ORDER BY e.seq LIMIT $4 FOR UPDATE"))
            .bind(slot)
            .bind(room)
            .bind(emptied_to)
            .bind(EMPTIED_AT_ONCE);
    let emptied = erase::empty_found(transaction, entries, false).await?;
    let last = emptied.last().map(|entry| entry.seq);
    let clear = match last {
        Some(last) => sqlx::query("DELETE FROM reactions WHERE slot = $1 AND room = $2 AND seq > $3 AND seq <= $4")
            .bind(slot)
            .bind(room)
            .bind(emptied_to)
            .bind(last),
        None => sqlx::query("DELETE FROM mentions WHERE slot = $1 AND room = $2").bind(slot).bind(room),
    };
    transaction.execute(clear).await?;
    let note = "UPDATE rooms SET emptied_to = $3 WHERE slot = $1 AND room = $2";
    transaction.execute(sqlx::query(note).bind(slot).bind(room).bind(last)).await
}
