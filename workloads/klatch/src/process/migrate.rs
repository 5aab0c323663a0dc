//! `klatch migrate`: brings the databases of a cluster to this version's schema, and ends.

use std::path::PathBuf;

use klatch_settings::{ENV_SETTINGS, MigrateProcess, TraceSettings, read_file};

use super::{check, reach, stores};
use crate::{
    output,
    up::{runtime, start_telemetry},
};

/// `klatch migrate`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "docs/settings/migrate.yaml has every field. Call it before the workloads of a new version start, as often as you \
like: it does all that is missing in a database, or nothing, and waits for whoever migrates already."
)]
pub(crate) struct Arguments {
    /// Settings file (YAML): the databases.
    #[arg(long, value_name = "FILE", env = ENV_SETTINGS)]
    settings: PathBuf,
}

/// Makes what is missing: roles where the settings name some, then the schema, in the directory and in each shard.
///
/// # Errors
/// Which database, and why. Those before it are done.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut settings: MigrateProcess = read_file(&arguments.settings)?;
    check(&settings, &arguments.settings)?;
    // Every shard is waited for, too.
    settings.database.migrate = true;
    let runtime = runtime()?;
    let _entered = runtime.enter();
    start_telemetry("klatch-migrate", &TraceSettings::default())?;
    let map = runtime.block_on(async {
        reach::databases(&settings.database).await?;
        if let Some(roles) = &settings.roles {
            stores::make_roles(&settings.database, roles).await?;
        }
        stores::migrate(&settings.database).await
    })?;
    let shards = settings.database.shards.len();
    output::line(&format!("ready for this version: the directory and {shards} shards, {} slots", map.slots()))?;
    Ok(())
}
