//! The twin for many processes: one PostgreSQL database for the directory, one a shard (PostgreSQL 15 or newer).
//!
//! [`migrate`] makes and upgrades them; whoever opens them only checks. Between two calls nothing rests on a connection:
//! no session setting, no session lock, no LISTEN, so a PgBouncer in transaction mode may stand in between ([`Pooler`]).
//!
//! The rows of a room stand in the leaves of its slot. A shard refuses writers of slots it does not own
//! ([`AppendError::Fenced`](crate::shard::AppendError::Fenced)), by triggers on the leaves or because they are not there:
//! the database is the fence, not what a process believes.

mod database;
mod directory;
mod fault;
mod migration;
mod options;
mod roles;
mod shard;
mod slots;
mod sql;

use std::sync::Arc;

use klatch_domain::{ShardId, SlotMap};
use sqlx::Connection as _;

use self::{database::Database, fault::Step, shard::Connections};
pub use self::{
    directory::PostgresDirectory,
    options::{Endpoint, Options, PoolSizes, Pooler, STATEMENTS, Secret, Tls},
    roles::{Roles, make_roles},
    shard::PostgresShard,
};
use crate::{Shard, Shards, StoreError, directory::SlotMaps};

/// Everything in a cluster's databases.
pub struct PostgresStores {
    /// Users, sessions, friendships, projections.
    pub directory: Arc<PostgresDirectory>,
    /// The logs of the rooms.
    pub shards: Shards,
    databases: Vec<Database>,
}

impl PostgresStores {
    /// Ends all connections, once what is on its way is done. Whoever calls a store afterwards gets
    /// [`StoreError::Unavailable`].
    pub async fn close(&self) {
        for database in &self.databases {
            database.close().await;
        }
    }
}

/// Makes the databases of a cluster what this program needs: newest schema, slot map, leaves of the slots. The databases
/// themselves must be there. A new cluster gets `slots` slots, dealt evenly to its shards; an old one keeps its own.
/// Several may run it at once: they wait for each other. Connect to the servers themselves, not to a pooler.
///
/// Cancel safe: what was begun is rolled back, and a repeat goes on.
///
/// # Errors
/// [`StoreError::Unusable`], in words, for newer or wrong databases; [`StoreError::Unavailable`].
pub async fn migrate(options: &Options, slots: u16) -> Result<SlotMap, StoreError> {
    let mut directory = migration::connect(&options.directory).await?;
    migration::migrate(&mut directory, migration::DIRECTORY).await?;
    let cluster = migration::cluster(&mut directory).await?;
    directory.close().await.step("migrate")?;
    let pool = Database::new(&options.directory, 1);
    let first = first_map(options, slots)?;
    let map = directory::init_slot_map(&pool, &first).await;
    pool.close().await;
    let map = map?;
    for (shard, endpoint) in &options.shards {
        let mut connection = migration::connect(endpoint).await?;
        migration::migrate(&mut connection, migration::SHARD).await?;
        slots::make(&mut connection, cluster, *shard, &map).await?;
        connection.close().await.step("migrate")?;
    }
    Ok(map)
}

fn first_map(options: &Options, slots: u16) -> Result<SlotMap, StoreError> {
    let mut shards: Vec<ShardId> = options.shards.iter().map(|(shard, _)| *shard).collect();
    shards.sort_unstable();
    let owners = shards.iter().copied().cycle().take(usize::from(slots)).collect();
    SlotMap::from_owners(1, owners)
        .map_err(|error| StoreError::Unusable { step: "make the slot map", detail: error.to_string() })
}

/// Opens a cluster's directory alone, without its replicas: for who must come through whatever the shards are like.
///
/// # Errors
/// [`StoreError::Unusable`], in words, when it must be migrated first or is newer than this program; [`StoreError::Unavailable`].
pub async fn open_directory(options: &Options) -> Result<Arc<PostgresDirectory>, StoreError> {
    Ok(Arc::new(PostgresDirectory::new(primary(options).await?, Vec::new())))
}

async fn primary(options: &Options) -> Result<Database, StoreError> {
    let primary = Database::new(&options.directory, options.pools.directory);
    migration::check_schema(&primary, migration::DIRECTORY).await?;
    Ok(primary)
}

/// Opens a cluster's databases, as [`migrate`] left them. The directory must be there; a shard that is away is looked at
/// when it is back, with the first call that needs it, so that one dead shard keeps nobody from starting.
///
/// # Errors
/// [`StoreError::Unusable`], in words, when something must be migrated first, is newer than this program, or is missing
/// from the options; [`StoreError::Unavailable`] without the directory.
pub async fn open(options: Options) -> Result<PostgresStores, StoreError> {
    let primary = primary(&options).await?;
    let cluster = slots::cluster(&primary).await?;
    let replicas: Vec<_> =
        options.replicas.iter().map(|replica| Database::new(replica, options.pools.replica)).collect();
    let mut databases = vec![primary.clone()];
    databases.extend(replicas.iter().cloned());
    let directory = Arc::new(PostgresDirectory::new(primary, replicas));
    let map = directory.slot_map().await?.ok_or_else(|| StoreError::Unusable {
        step: "read the slot map",
        detail: "the directory has no slot map yet: run `klatch migrate`".to_owned(),
    })?;
    let mut shards: Vec<Arc<dyn Shard>> = Vec::with_capacity(options.shards.len());
    for (id, endpoint) in &options.shards {
        let writers = Database::new(endpoint, options.pools.shard_writers);
        let several = options.pools.shard_readers / 2;
        let readers = Database::new(endpoint, options.pools.shard_readers - several);
        // A single connection does both.
        let several = if several == 0 { readers.clone() } else { Database::planning_once(endpoint, several) };
        databases.extend([writers.clone(), readers.clone(), several.clone()]);
        let shard = PostgresShard::new(*id, cluster, map.slots(), Connections { writers, readers, several });
        match shard.ready().await {
            Ok(_) => {}
            Err(error @ StoreError::Unavailable { .. }) => {
                tracing::warn!(shard = id.0, %error, "a shard is away; its rooms wait");
            }
            Err(error) => return Err(error),
        }
        shards.push(Arc::new(shard));
    }
    Ok(PostgresStores { directory, shards: Shards::new(map, shards)?, databases })
}
