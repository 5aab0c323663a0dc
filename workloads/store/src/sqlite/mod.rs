//! The embedded twin: SQLite files in a data folder, one for the directory and one a shard.
//!
//! Each file has one thread that writes (group commit, synced before anyone is answered), some that read, and one that
//! keeps the write-ahead log short. No async thread ever waits for a disk here.

mod backup;
mod checkpointer;
mod directory;
mod fault;
mod file;
mod identity;
mod job;
mod log;
mod migration;
mod readers;
mod restore;
mod shard;
mod slot_map;
mod sql;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use klatch_domain::{ShardId, SlotMap};
use rusqlite::Connection;

pub use self::{
    backup::copy_data_folder,
    directory::SqliteDirectory,
    restore::{FileReport, examine, prepare_restored},
    shard::SqliteShard,
};
use self::{fault::Step, file::File, identity::Folder};
use crate::{Shard, Shards, StoreError};

const DIRECTORY_FILE: &str = "directory.sqlite";

/// How a data folder is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Slots of a new data folder; an old one keeps its own.
    pub slots: u16,
    /// Shards of a new data folder; an old one keeps its own.
    pub shards: u16,
    /// Threads that read, for each file.
    pub readers: usize,
}

/// Everything in a data folder.
pub struct SqliteStores {
    /// Users, sessions, friendships, projections.
    pub directory: Arc<SqliteDirectory>,
    /// The logs of the rooms.
    pub shards: Shards,
    files: Vec<Arc<SqliteShard>>,
    folder: PathBuf,
}

/// Opens a data folder, or makes it. Brings older files to the newest schema. Blocks for as long as that takes. Nothing
/// here keeps a second process away: `klatch up` holds a lock on the folder.
///
/// # Errors
/// [`StoreError::Unusable`], in words, for a newer, a damaged or an incomplete data folder;
/// [`StoreError::Unavailable`] when the disk is full or not accessible.
pub fn open(data_dir: &Path, options: Options) -> Result<SqliteStores, StoreError> {
    let new = make_folder(data_dir)?;
    let file = File::new(data_dir.join(DIRECTORY_FILE), migration::DIRECTORY);
    let connection = file.create()?;
    let (folder, map) = read_folder(&connection, options)?;
    let files = open_shards(data_dir, folder, &map, options.readers)?;
    if !folder.shards_made {
        sync_folder(data_dir, new)?;
        identity::note_shards_made(&connection)?;
    }
    let shards = files.iter().map(|file| Arc::clone(file) as Arc<dyn Shard>).collect();
    let shards = Shards::new(map, shards)?;
    let directory = Arc::new(SqliteDirectory::open(file, connection, options.readers)?);
    Ok(SqliteStores { directory, shards, files, folder: data_dir.to_owned() })
}

impl SqliteStores {
    /// Empties what was deleted, moves all logs into their files and cuts them to nothing: no removed body is left in
    /// any file's bytes. Cancel safe.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when somebody reads old states of a file all the time, or the disk is full.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        for file in &self.files {
            file.checkpoint().await?;
        }
        self.directory.checkpoint().await
    }

    /// Writes what is queued, moves the logs into their files, ends all threads. Whoever calls a store afterwards gets
    /// [`StoreError::Unavailable`].
    pub async fn close(&self) {
        let (files, directory) = (self.files.clone(), Arc::clone(&self.directory));
        let closing = tokio::task::spawn_blocking(move || {
            for file in files {
                file.stop();
            }
            directory.stop();
        });
        if let Err(error) = closing.await {
            tracing::error!(%error, "the store was not closed to its end");
        }
    }

    /// Copies the data folder while it is in use: see [`copy_data_folder`].
    ///
    /// # Errors
    /// As [`copy_data_folder`].
    pub async fn backup(&self, target_dir: &Path) -> Result<(), StoreError> {
        let (folder, target) = (self.folder.clone(), target_dir.to_owned());
        tokio::task::spawn_blocking(move || copy_data_folder(&folder, &target))
            .await
            .map_err(|error| StoreError::Unavailable { step: "back up", source_text: error.to_string() })?
    }
}

/// Makes the folder, for its owner only; answers whether it is new. Refuses shards without their directory.
fn make_folder(data_dir: &Path) -> Result<bool, StoreError> {
    const STEP: &str = "open the data folder";
    let unavailable = |error: std::io::Error| StoreError::Unavailable {
        step: STEP,
        source_text: format!("{}: {error}", data_dir.display()),
    };
    if !data_dir.exists() {
        private_folder(data_dir).map_err(unavailable)?;
        return Ok(true);
    }
    if data_dir.join(DIRECTORY_FILE).exists() {
        return Ok(false);
    }
    for entry in fs::read_dir(data_dir).map_err(unavailable)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("shard-") && name.ends_with(".sqlite") {
            return Err(StoreError::Unusable {
                step: STEP,
                detail: format!(
                    "{DIRECTORY_FILE} is missing from this data folder, but {name} is there: restore a backup"
                ),
            });
        }
    }
    Ok(true)
}

fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// What the directory says of the folder; in a new one, what it will say from now on.
fn read_folder(connection: &Connection, options: Options) -> Result<(Folder, SlotMap), StoreError> {
    const STEP: &str = "read the slot map";
    let first = SlotMap::even(options.slots, options.shards)
        .map_err(|error| StoreError::Unusable { step: STEP, detail: error.to_string() })?;
    let transaction = connection.unchecked_transaction().step(STEP)?;
    let folder = identity::folder(&transaction)?;
    let map = slot_map::init_slot_map(&transaction, &first).step(STEP)?;
    transaction.commit().step(STEP)?;
    Ok((folder, map))
}

fn open_shards(
    data_dir: &Path,
    folder: Folder,
    map: &SlotMap,
    readers: usize,
) -> Result<Vec<Arc<SqliteShard>>, StoreError> {
    let mut ids: Vec<ShardId> = map.owners().to_vec();
    ids.sort_unstable();
    ids.dedup();
    if folder.shards_made {
        for id in &ids {
            check_shard_file(&data_dir.join(shard::file_name(*id)))?;
        }
    }
    ids.into_iter().map(|id| SqliteShard::open(data_dir, id, folder.id, readers).map(Arc::new)).collect()
}

/// An empty file would pass as a new one.
fn check_shard_file(path: &Path) -> Result<(), StoreError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > 0 => Ok(()),
        Ok(_) => Err(missing(format!("{name} is empty: restore a backup"))),
        Err(error) => Err(missing(format!("{name} is missing from this data folder ({error}): restore a backup"))),
    }
}

fn missing(detail: String) -> StoreError {
    StoreError::Unusable { step: "open a shard", detail }
}

/// The names of the new files survive a power cut.
fn sync_folder(data_dir: &Path, new: bool) -> Result<(), StoreError> {
    let sync = |path: &Path| {
        fs::File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| StoreError::Unavailable {
            step: "sync the data folder",
            source_text: format!("{}: {error}", path.display()),
        })
    };
    sync(data_dir)?;
    match data_dir.parent() {
        Some(parent) if new && !parent.as_os_str().is_empty() => sync(parent),
        _ => Ok(()),
    }
}
