//! A consistent copy of a data folder, in a folder of its own beside the data, for as long as somebody packs it.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use klatch_store::sqlite::copy_data_folder;
use tokio::sync::Mutex;

use crate::up::lock::{KEYS_FOLDER, SNAPSHOT_PREFIX};

/// Makes copies of one data folder, one at a time.
pub(crate) struct Snapshots {
    folder: PathBuf,
    copying: Mutex<()>,
}

/// A copy; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Snapshot {
    folder: PathBuf,
}

impl Snapshots {
    /// Of this data folder, whose lock the process holds.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), copying: Mutex::new(()) }
    }

    /// Databases as of one moment, and the keys. Needs as much free space as the data takes.
    ///
    /// # Errors
    /// What could not be copied; nothing is left behind.
    pub(crate) async fn copy(&self) -> anyhow::Result<Snapshot> {
        let _one = self.copying.lock().await;
        let source = self.folder.clone();
        let copied = tokio::task::spawn_blocking(move || copy(&source)).await;
        copied.context("the copy was broken off")?
    }
}

fn copy(source: &Path) -> anyhow::Result<Snapshot> {
    let folder = source.join(format!("{SNAPSHOT_PREFIX}{}", uuid::Uuid::new_v4()));
    DirBuilder::new().mode(0o700).create(&folder).context("cannot make a folder for the copy")?;
    let snapshot = Snapshot { folder };
    copy_data_folder(source, &snapshot.folder).context("cannot copy the databases")?;
    copy_keys(&source.join(KEYS_FOLDER), &snapshot.folder.join(KEYS_FOLDER)).context("cannot copy the keys")?;
    Ok(snapshot)
}

/// The keys are written whole and never changed, so they are copied one by one.
fn copy_keys(source: &Path, target: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(target)?;
    let entries = match fs::read_dir(source) {
        Ok(entries) => entries,
        // A folder that was made offline and never served has none yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if entry.file_type()?.is_file() && !hidden {
            fs::copy(entry.path(), target.join(entry.file_name()))?;
        }
    }
    Ok(())
}

impl Snapshot {
    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "cannot remove a copy; the next start does");
        }
    }
}

/// Removes the copies of processes that were killed. The caller holds the folder's lock.
///
/// # Errors
/// When one cannot be removed.
pub(crate) fn clear_left_over(folder: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_name().as_encoded_bytes().starts_with(SNAPSHOT_PREFIX.as_bytes()) {
            fs::remove_dir_all(entry.path())
                .with_context(|| format!("cannot remove the left-over copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
