//! The stores on the real part: PostgreSQL.

use std::sync::Arc;

use anyhow::Context;
use klatch_domain::{ShardId, SlotMap};
use klatch_settings::{
    DatabaseSettings, ENV_DIRECTORY_PASSWORD, ENV_SHARD_PASSWORD, PoolerMode, PostgresSettings, RoleSettings,
    RolesSettings, TlsMode, secret,
};
use klatch_store::postgres::{
    self, Endpoint, Options, PoolSizes, Pooler, PostgresDirectory, PostgresStores, Roles, Secret, Tls,
};

use super::needed;
use crate::workload::Stores;

/// The open databases of a cluster.
pub(crate) struct Opened(PostgresStores);

impl Opened {
    /// For a workload.
    pub(crate) fn stores(&self) -> Stores {
        Stores { directory: Arc::<PostgresDirectory>::clone(&self.0.directory), shards: self.0.shards.clone() }
    }

    /// Ends all connections, once what is on its way is done.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// Opens a cluster's databases, and makes them first where the settings say so.
///
/// # Errors
/// Which database cannot be used, and why.
pub(crate) async fn open(settings: &DatabaseSettings) -> anyhow::Result<Opened> {
    if settings.migrate {
        migrate(settings).await?;
    }
    Ok(Opened(postgres::open(options(settings)?).await.context("cannot open the databases")?))
}

/// Opens the directory alone.
///
/// # Errors
/// Why it cannot be used; [`StoreError`](klatch_store::StoreError) is what it came from.
pub(crate) async fn open_directory(settings: &DatabaseSettings) -> anyhow::Result<Arc<PostgresDirectory>> {
    postgres::open_directory(&options(settings)?).await.context("cannot open the directory")
}

/// Brings a cluster's databases to this version's schema, and makes their slots where there are none.
pub(super) async fn migrate(settings: &DatabaseSettings) -> anyhow::Result<SlotMap> {
    postgres::migrate(&options(settings)?, settings.slots).await.context("cannot migrate the databases")
}

/// Makes the roles that workloads sign in by, where the settings say so.
pub(super) async fn make_roles(databases: &DatabaseSettings, settings: &RolesSettings) -> anyhow::Result<()> {
    let login = |role: &RoleSettings| {
        let password = needed(Some(&role.password_file), ENV_SHARD_PASSWORD, "a role's password")?;
        Ok((role.name.clone(), Secret::new(password.reveal())))
    };
    let all = |roles: &[RoleSettings]| roles.iter().map(login).collect::<anyhow::Result<_>>();
    let (superusers, logins) = (all(&settings.superusers)?, all(&settings.logins)?);
    let roles = Roles { owner: settings.owner.clone(), superusers, logins };
    let directory = settings.directory.then(|| endpoint(&databases.directory.primary, ENV_DIRECTORY_PASSWORD));
    let shards = databases.shards.iter().filter(|shard| settings.shards.contains(&shard.id));
    for endpoint in directory.into_iter().chain(shards.map(|shard| endpoint(&shard.primary, ENV_SHARD_PASSWORD))) {
        let endpoint = endpoint?;
        let host = &endpoint.host;
        postgres::make_roles(&endpoint, &roles).await.with_context(|| format!("cannot make the roles at {host}"))?;
    }
    Ok(())
}

fn options(settings: &DatabaseSettings) -> anyhow::Result<Options> {
    let directory = |one| endpoint(one, ENV_DIRECTORY_PASSWORD);
    let shards = settings
        .shards
        .iter()
        .map(|shard| endpoint(&shard.primary, ENV_SHARD_PASSWORD).map(|endpoint| (ShardId(shard.id), endpoint)));
    Ok(Options {
        directory: directory(&settings.directory.primary)?,
        replicas: settings.directory.replicas.iter().map(directory).collect::<anyhow::Result<_>>()?,
        shards: shards.collect::<anyhow::Result<_>>()?,
        pools: PoolSizes {
            directory: settings.pools.directory,
            replica: settings.pools.replica,
            shard_writers: settings.pools.shard_writers,
            shard_readers: settings.pools.shard_readers,
        },
    })
}

fn endpoint(settings: &PostgresSettings, variable: &'static str) -> anyhow::Result<Endpoint> {
    let password = secret(settings.password_file.as_deref(), variable)?;
    Ok(Endpoint {
        password: password.map(|password| Secret::new(password.reveal())),
        tls: match settings.tls.mode {
            TlsMode::Off => Tls::Disabled,
            TlsMode::Verify => Tls::Full { ca_file: settings.tls.ca_file.clone() },
        },
        pooler: match settings.pooler {
            PoolerMode::None => Pooler::None,
            PoolerMode::Prepared => Pooler::Prepared,
            PoolerMode::Unprepared => Pooler::Unprepared,
        },
        ..Endpoint::new(&settings.host, settings.port, &settings.database, &settings.user)
    })
}
