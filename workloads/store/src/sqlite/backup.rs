//! A copy of a data folder while it is in use.
//!
//! All files are copied as of one moment: every writer is held for the milliseconds in which a snapshot of each file is
//! taken, then all go on while the snapshots are copied. So the copy is what a power cut at that moment would have left,
//! and a start from it is the same as after a crash. Copied one after the other instead, whichever order, they would not
//! fit: a directory newer than its shards would hold versions of rooms that their logs never reach again, an older one
//! would lack users who already wrote.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use klatch_domain::ShardId;
use rusqlite::{Connection, ErrorCode, backup::Backup};

use super::{
    DIRECTORY_FILE,
    fault::{Step, fault},
    file::File,
    migration, shard,
    slot_map::read_slot_map,
};
use crate::StoreError;

const STEP: &str = "back up";
/// How long the writers may be held while their snapshots are taken: long before a client would notice.
const HOLD_TIMEOUT: Duration = Duration::from_millis(500);
/// Tries to hold all writers at once.
const HOLD_TRIES: u32 = 20;
/// Between two tries to get one writer's lock: it is free for some microseconds between two transactions.
const LOCK_PAUSE: Duration = Duration::from_micros(200);
/// Between two tries to hold all: the writers catch up.
const HOLD_PAUSE: Duration = Duration::from_millis(200);

/// Copies the data folder `source`, in use or not, to `target`, which must hold no data folder. Blocks for as long as
/// copying takes: call it on a thread.
///
/// # Errors
/// [`StoreError`]; what was copied then is left behind under names that end in `.part`.
pub fn copy_data_folder(source: &Path, target: &Path) -> Result<(), StoreError> {
    check_target(target)?;
    let files = files_of(source)?;
    let snapshots = snapshots(&files)?;
    fs::create_dir_all(target).map_err(|error| refuse(format!("{}: {error}", target.display())))?;
    let mut copied = Vec::with_capacity(files.len());
    for (file, snapshot) in files.iter().zip(snapshots) {
        let name = file.path().file_name().map(PathBuf::from).unwrap_or_default();
        let part = target.join(format!("{}.part", name.display()));
        copy(&snapshot, &part)?;
        copied.push((part, target.join(name)));
    }
    // The directory comes last: without it the folder is refused, so a half copy is never taken for a whole one.
    for (part, path) in copied.into_iter().rev() {
        fs::rename(&part, &path).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
    }
    sync(target)
}

fn refuse(source_text: String) -> StoreError {
    StoreError::Unavailable { step: STEP, source_text }
}

fn check_target(target: &Path) -> Result<(), StoreError> {
    let taken = fs::read_dir(target)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().ends_with(".sqlite"));
    if taken {
        return Err(StoreError::Unusable {
            step: STEP,
            detail: format!("{} holds a data folder already", target.display()),
        });
    }
    Ok(())
}

/// The directory first, then the shards that its slot map names.
fn files_of(source: &Path) -> Result<Vec<File>, StoreError> {
    let path = source.join(DIRECTORY_FILE);
    if !path.is_file() {
        return Err(StoreError::Unusable { step: STEP, detail: format!("{} is not a data folder", source.display()) });
    }
    let directory = File::new(path, migration::DIRECTORY);
    let connection = directory.read()?;
    let schema = migration::check_schema(&connection, &migration::DIRECTORY)?;
    let map = if schema == 0 { None } else { read_slot_map(&connection).step(STEP)? };
    let map = map.ok_or_else(|| StoreError::Unusable {
        step: STEP,
        detail: "this data folder was never started to its end".to_owned(),
    })?;
    let mut shards: Vec<ShardId> = map.owners().to_vec();
    shards.sort_unstable();
    shards.dedup();
    let shards = shards.into_iter().map(|id| File::new(source.join(shard::file_name(id)), migration::SHARD));
    Ok(std::iter::once(directory).chain(shards).collect())
}

/// A connection to each file that sees it as of one common moment.
fn snapshots(files: &[File]) -> Result<Vec<Connection>, StoreError> {
    let connections = files.iter().map(File::read).collect::<Result<Vec<_>, _>>()?;
    let locks = files.iter().map(File::write).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..HOLD_TRIES {
        let held = hold_all(&locks)?;
        let taken = if held { take_snapshots(&connections) } else { Ok(()) };
        for lock in locks.iter().filter(|lock| !lock.is_autocommit()) {
            // Nothing was written under the lock.
            lock.execute_batch("ROLLBACK").step(STEP)?;
        }
        taken?;
        if held {
            return Ok(connections);
        }
        std::thread::sleep(HOLD_PAUSE);
    }
    Err(refuse("the writers could not be held together: try again when there is less to do".to_owned()))
}

/// Answers false when it takes too long.
fn hold_all(locks: &[Connection]) -> Result<bool, StoreError> {
    let until = Instant::now() + HOLD_TIMEOUT;
    for lock in locks {
        lock.busy_timeout(Duration::ZERO).step(STEP)?;
        loop {
            match lock.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => break,
                Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
                    return Err(fault(STEP, &error));
                }
                Err(_) if Instant::now() >= until => return Ok(false),
                Err(_) => std::thread::sleep(LOCK_PAUSE),
            }
        }
    }
    Ok(true)
}

/// A snapshot begins with the first read of a transaction.
fn take_snapshots(connections: &[Connection]) -> Result<(), StoreError> {
    for connection in connections {
        connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").step(STEP)?;
    }
    Ok(())
}

fn copy(snapshot: &Connection, path: &Path) -> Result<(), StoreError> {
    // Left over from a copy that did not come to its end.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(refuse(format!("{}: {error}", path.display())));
        }
        _ => {}
    }
    let mut copy = Connection::open(path).step(STEP)?;
    {
        let backup = Backup::new(snapshot, &mut copy).step(STEP)?;
        // All pages in one step: the snapshot's transaction keeps them as they are.
        let outcome = backup.step(-1).step(STEP)?;
        if outcome != rusqlite::backup::StepResult::Done {
            return Err(refuse(format!("copying ended early: {outcome:?}")));
        }
    }
    copy.close().map_err(|(_, error)| error).step(STEP)?;
    sync(path)
}

/// To the disk: a file, or the names in a folder.
fn sync(path: &Path) -> Result<(), StoreError> {
    fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| refuse(format!("{}: {error}", path.display())))
}
