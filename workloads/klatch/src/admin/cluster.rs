//! Reaching the users of a cluster: by the settings of its api, from wherever an api may run.

use std::path::Path;

use klatch_service_kit::Clock;
use klatch_settings::{ApiProcess, PoolSettings, read_file};
use klatch_store::StoreError;

use super::{
    request::{Answer, UserRequest},
    users::{Hearers, Users},
};
use crate::{
    failure::Failure,
    process::{check, stores},
    up::runtime,
};

/// One question at a time, beside all that the workloads ask.
const POOLS: PoolSettings = PoolSettings { directory: 1, replica: 1, shard_writers: 1, shard_readers: 1 };

/// Has a request carried out there.
///
/// # Errors
/// The file is wrong, or the databases that it names cannot be opened.
pub(super) fn request(file: &Path, request: UserRequest) -> anyhow::Result<Answer> {
    let mut settings: ApiProcess = read_file(file)?;
    check(&settings, file)?;
    let database = &mut settings.database;
    // Whoever upgrades a cluster does that.
    database.migrate = false;
    database.pools = POOLS;
    // What was changed a moment ago may not be there yet.
    database.directory.replicas.clear();
    runtime()?.block_on(async {
        let opened = stores::open(&settings.database).await.map_err(|error| match error.downcast_ref() {
            Some(StoreError::Unavailable { .. }) => Failure::unreachable(format!("{error:#}")).into(),
            _ => error,
        })?;
        let hearers = Hearers::Cluster(Box::new(settings.broker));
        let answer = Users::new(opened.stores().directory, Clock::system(), hearers).perform(request).await;
        opened.close().await;
        Ok(answer)
    })
}
