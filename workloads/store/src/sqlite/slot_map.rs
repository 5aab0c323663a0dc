//! The slot map in the directory.

use klatch_domain::{ShardId, SlotMap};
use rusqlite::{Connection, OptionalExtension, params};

use super::sql::{number, signed};

/// The newest slot map; None before the first start. One that cannot be used reads as none.
pub(super) fn read_slot_map(connection: &Connection) -> rusqlite::Result<Option<SlotMap>> {
    let epoch = connection.query_row("SELECT epoch FROM slot_map", [], |row| number(row, 0)).optional()?;
    let Some(epoch) = epoch else { return Ok(None) };
    let owners = connection
        .prepare_cached("SELECT shard FROM slot_owners ORDER BY slot")?
        .query_map([], |row| Ok(ShardId(row.get(0)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(SlotMap::from_owners(epoch, owners).ok())
}

/// Stores the first slot map, in the running transaction; one that is there stays. Answers what stands there now.
pub(super) fn init_slot_map(connection: &Connection, map: &SlotMap) -> rusqlite::Result<SlotMap> {
    if let Some(known) = read_slot_map(connection)? {
        return Ok(known);
    }
    connection.execute("INSERT INTO slot_map (epoch) VALUES (?1)", [signed(map.epoch())])?;
    let mut add = connection.prepare_cached("INSERT INTO slot_owners (slot, shard) VALUES (?1, ?2)")?;
    for (slot, owner) in map.owners().iter().enumerate() {
        add.execute(params![signed(slot as u64), owner.0])?;
    }
    Ok(map.clone())
}
