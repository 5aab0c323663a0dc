//! Opening the stores of a data folder, for whoever holds its lock, and looking at them for the doctor.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use klatch_settings::StoreSettings;
use klatch_store::{
    Directory, Shards,
    sqlite::{self, FileReport, Options, SqliteStores},
};

/// The open stores of a data folder.
#[derive(Clone)]
pub(crate) struct Stores {
    /// Users, sessions, projections.
    pub(crate) directory: Arc<dyn Directory>,
    /// The logs.
    pub(crate) shards: Shards,
    opened: Arc<SqliteStores>,
}

impl Stores {
    /// Writes what is queued and closes all files. Whoever calls a store afterwards is refused.
    pub(crate) async fn close(&self) {
        self.opened.close().await;
    }
}

/// Opens the stores of a folder whose lock the caller holds, or makes them.
///
/// # Errors
/// In words, for data that is newer than this program, damaged or incomplete.
pub(crate) async fn open(folder: &Path, settings: &StoreSettings) -> anyhow::Result<Stores> {
    let options = Options { slots: settings.slots, shards: settings.shards, readers: settings.readers };
    let path = folder.to_owned();
    let opened = tokio::task::spawn_blocking(move || sqlite::open(&path, options))
        .await
        .context("cannot open the data")?
        .with_context(|| format!("cannot open the data in {}", folder.display()))?;
    let directory: Arc<dyn Directory> = Arc::<sqlite::SqliteDirectory>::clone(&opened.directory);
    Ok(Stores { directory, shards: opened.shards.clone(), opened: Arc::new(opened) })
}

/// Opens the stores of a folder that was served before; it keeps the slots and shards it was made with.
///
/// # Errors
/// As [`open`].
pub(crate) async fn open_existing(folder: &Path) -> anyhow::Result<Stores> {
    open(folder, &StoreSettings::default()).await
}

/// How each database file is. Reads every page.
pub(crate) async fn examine(folder: &Path) -> Vec<FileReport> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || sqlite::examine(&folder)).await.unwrap_or_default()
}
