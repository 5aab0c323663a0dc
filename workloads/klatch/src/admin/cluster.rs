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
    process::{check, stores::open_directory},
    up::single_threaded,
};

/// Has a request carried out there.
///
/// # Errors
/// The file is wrong, or the directory that it names cannot be opened.
pub(super) fn request(file: &Path, request: UserRequest) -> anyhow::Result<Answer> {
    let mut settings: ApiProcess = read_file(file)?;
    check(&settings, file)?;
    // One question at a time, beside all that the workloads ask.
    settings.database.pools = PoolSettings { directory: 1, ..PoolSettings::default() };
    single_threaded()?.block_on(async {
        let directory = open_directory(&settings.database).await.map_err(|error| match error.downcast_ref() {
            Some(StoreError::Unavailable { .. }) => Failure::unreachable(format!("{error:#}")).into(),
            _ => error,
        })?;
        let hearers = Hearers::Cluster(Box::new(settings.broker));
        Ok(Users::new(directory, Clock::system(), hearers).perform(request).await)
    })
}
