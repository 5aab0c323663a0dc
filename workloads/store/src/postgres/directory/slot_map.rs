//! The slot map in the directory.

use async_trait::async_trait;
use klatch_domain::{ShardId, SlotMap};

use super::{
    super::{
        database::Database,
        fault::{Step, damaged},
        sql::{get, number, signed},
    },
    PostgresDirectory,
};
use crate::{StoreError, directory::SlotMaps};

const READ: &str = "read the slot map";
const STORE: &str = "store the slot map";

/// One statement, so that map and epoch are of one moment.
const MAP: &str = "SELECT m.epoch, o.shard FROM slot_map m CROSS JOIN slot_owners o ORDER BY o.slot";

async fn read_slot_map(database: &Database) -> Result<Option<SlotMap>, StoreError> {
    let rows = database.read(READ, sqlx::query(MAP)).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let epoch = number(first, 0).step(READ)?;
    let shard = |row| {
        let shard: i32 = get(row, 1).step(READ)?;
        u16::try_from(shard).map(ShardId).map_err(|_| damaged(READ, "a shard's number"))
    };
    let owners = rows.iter().map(shard).collect::<Result<Vec<_>, _>>()?;
    Ok(SlotMap::from_owners(epoch, owners).ok())
}

/// Stores the first slot map; one that is there stays. Answers what stands there now.
pub(in super::super) async fn init_slot_map(database: &Database, map: &SlotMap) -> Result<SlotMap, StoreError> {
    let statement = sqlx::query(
        "WITH first AS (INSERT INTO slot_map (epoch) VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1) \
         INSERT INTO slot_owners (slot, shard) \
         SELECT o.slot - 1, o.shard FROM unnest($2::integer[]) WITH ORDINALITY o (shard, slot), first",
    )
    .bind(signed(map.epoch()))
    .bind(map.owners().iter().map(|shard| i32::from(shard.0)).collect::<Vec<_>>());
    database.write(STORE, statement).await?;
    read_slot_map(database).await?.ok_or_else(|| damaged(STORE, "a slot map without slots"))
}

#[async_trait]
impl SlotMaps for PostgresDirectory {
    async fn slot_map(&self) -> Result<Option<SlotMap>, StoreError> {
        read_slot_map(&self.primary).await
    }

    async fn init_slot_map(&self, map: &SlotMap) -> Result<SlotMap, StoreError> {
        init_slot_map(&self.primary, map).await
    }
}
