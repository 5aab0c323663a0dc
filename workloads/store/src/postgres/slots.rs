//! Which shard a database is, and the leaves of the slots it owns.

use klatch_domain::{ShardId, SlotMap};
use sqlx::{PgConnection, types::Uuid};

use super::{
    database::Database,
    fault::{Step, damaged},
    migration,
    sql::{get, signed},
};
use crate::StoreError;

const STEP: &str = "make the slots of a shard";

/// Slots made in one transaction: each takes some 40 locks of tables and indexes, and a server has 6,400 by default
/// (max_locks_per_transaction x max_connections).
const SLOTS_AT_ONCE: usize = 32;

/// Makes the database this shard of this cluster, with leaves for the slots the map gives it. Repeating changes nothing.
///
/// # Errors
/// [`StoreError::Unusable`] when it is another shard already.
pub(super) async fn make(
    connection: &mut PgConnection,
    cluster: Uuid,
    shard: ShardId,
    map: &SlotMap,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO identity (cluster, shard) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .persistent(false)
        .bind(cluster)
        .bind(i32::from(shard.0))
        .execute(&mut *connection)
        .await
        .step(STEP)?;
    let row = sqlx::query("SELECT cluster, shard FROM identity")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .step(STEP)?;
    same(shard, (get(&row, 0).step(STEP)?, get(&row, 1).step(STEP)?), cluster)?;
    let owned: Vec<i32> =
        (0i32..).zip(map.owners()).filter(|(_, owner)| **owner == shard).map(|(slot, _)| slot).collect();
    for slots in owned.chunks(SLOTS_AT_ONCE) {
        migration::begin(connection).await?;
        // Where a row stands already, a start before this one or a move has had the slot in hand.
        sqlx::query(
            "WITH made AS (INSERT INTO slot_owner (slot, state, epoch) SELECT slot, 'active', $2 \
             FROM unnest($1::integer[]) slot ON CONFLICT DO NOTHING RETURNING slot) \
             SELECT make_slot(slot), attach_slot(slot) FROM made",
        )
        .persistent(false)
        .bind(slots.to_vec())
        .bind(signed(map.epoch()))
        .execute(&mut *connection)
        .await
        .step(STEP)?;
        migration::commit(connection).await?;
    }
    Ok(())
}

/// Whether the database is this shard of this cluster.
///
/// # Errors
/// [`StoreError::Unusable`] when it is not.
pub(super) async fn check_identity(database: &Database, cluster: Uuid, shard: ShardId) -> Result<(), StoreError> {
    const STEP: &str = "check whose shard it is";
    let rows = database.read(STEP, sqlx::query("SELECT cluster, shard FROM identity")).await?;
    let row = rows.first().ok_or_else(|| StoreError::Unusable {
        step: STEP,
        detail: format!("shard {} was never made: run `klatch migrate`", shard.0),
    })?;
    same(shard, (get(row, 0).step(STEP)?, get(row, 1).step(STEP)?), cluster)
}

fn same(shard: ShardId, (of, number): (Uuid, i32), cluster: Uuid) -> Result<(), StoreError> {
    if (of, number) == (cluster, i32::from(shard.0)) {
        return Ok(());
    }
    let whose = if of == cluster { "this cluster" } else { "another cluster" };
    Err(StoreError::Unusable {
        step: "check whose shard it is",
        detail: format!("the database of shard {} is shard {number} of {whose}: check the settings", shard.0),
    })
}

/// The id of the cluster, as its directory says.
pub(super) async fn cluster(directory: &Database) -> Result<Uuid, StoreError> {
    const STEP: &str = "read the cluster's id";
    let rows = directory.read(STEP, sqlx::query("SELECT id FROM cluster")).await?;
    let row = rows.first().ok_or_else(|| damaged(STEP, "a cluster without an id"))?;
    get(row, 0).step(STEP)
}
