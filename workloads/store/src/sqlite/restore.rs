//! Making a data folder out of the files of a backup, and looking at one without changing it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{
    DIRECTORY_FILE,
    fault::{Step, damaged},
    file::File,
    migration::{self, Schema, check_schema},
    shard,
    slot_map::read_slot_map,
};
use crate::StoreError;

const STEP: &str = "restore";

/// Makes the restored files of `data_dir` fit to be served: newest schema, whole, and **every log in a new generation**, as
/// entries that clients have seen may be missing from the backup. All entries, old ones too, then stand in the room's new
/// generation, and so do the watermarks, which are within the log. Blocks; nobody else may have the folder open.
///
/// # Errors
/// [`StoreError::Unusable`], in words, for newer, damaged or missing files. The folder is of no use then.
pub fn prepare_restored(data_dir: &Path) -> Result<(), StoreError> {
    let directory = File::new(data_dir.join(DIRECTORY_FILE), migration::DIRECTORY);
    check_there(directory.path())?;
    let connection = directory.create()?;
    check_whole(&connection, "integrity_check")?;
    let map = read_slot_map(&connection).step(STEP)?.ok_or_else(|| damaged(STEP, "there is no slot map"))?;
    close(connection)?;
    let mut shards = map.owners().to_vec();
    shards.sort_unstable();
    shards.dedup();
    for id in shards {
        let file = File::new(data_dir.join(shard::file_name(id)), migration::SHARD);
        check_there(file.path())?;
        let connection = file.create()?;
        check_whole(&connection, "integrity_check")?;
        raise_generations(&connection)?;
        close(connection)?;
    }
    Ok(())
}

fn check_there(path: &Path) -> Result<(), StoreError> {
    let empty = std::fs::metadata(path).map_or(0, |metadata| metadata.len()) == 0;
    if empty {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        return Err(StoreError::Unusable { step: STEP, detail: format!("{name} is missing from the backup") });
    }
    Ok(())
}

/// A position of generation 0 is "nothing yet" and stays so.
fn raise_generations(connection: &Connection) -> Result<(), StoreError> {
    connection
        .execute_batch(
            "BEGIN IMMEDIATE; \
             UPDATE rooms SET generation = generation + 1; \
             UPDATE watermarks SET read_generation = read_generation + 1 WHERE read_generation > 0; \
             UPDATE watermarks SET delivered_generation = delivered_generation + 1 WHERE delivered_generation > 0; \
             COMMIT",
        )
        .step(STEP)
}

/// Everything into the file, so that it stands for itself.
fn close(connection: Connection) -> Result<(), StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).step(STEP)?;
    connection.close().map_err(|(_, error)| error).step(STEP)
}

/// `PRAGMA quick_check` or `integrity_check`: the first fault in words.
fn check_whole(connection: &Connection, pragma: &str) -> Result<(), StoreError> {
    let found: String = connection.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0)).step(STEP)?;
    if found == "ok" { Ok(()) } else { Err(damaged(STEP, &found)) }
}

/// How one file of a data folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Its name in the data folder.
    pub name: String,
    /// Schema number of a file that is whole, or what is wrong with it.
    pub outcome: Result<usize, StoreError>,
}

/// Looks whether every file of a data folder is there, of a version this program reads, and whole (`PRAGMA quick_check`).
/// Changes nothing, whoever uses the folder. Blocks for as long as reading every page takes.
#[must_use]
pub fn examine(data_dir: &Path) -> Vec<FileReport> {
    let (report, map) = examine_directory(data_dir);
    let mut reports = vec![report];
    let mut shards = map.map(|map| map.owners().to_vec()).unwrap_or_default();
    shards.sort_unstable();
    shards.dedup();
    for id in shards {
        let name = shard::file_name(id);
        let outcome = examine_file(data_dir.join(&name), migration::SHARD).map(|(_, schema)| schema);
        reports.push(FileReport { name, outcome });
    }
    reports
}

fn examine_directory(data_dir: &Path) -> (FileReport, Option<klatch_domain::SlotMap>) {
    let name = DIRECTORY_FILE.to_owned();
    match examine_file(data_dir.join(&name), migration::DIRECTORY) {
        Err(error) => (FileReport { name, outcome: Err(error) }, None),
        Ok((connection, schema)) => {
            let map = read_slot_map(&connection).ok().flatten();
            (FileReport { name, outcome: Ok(schema) }, map)
        }
    }
}

fn examine_file(path: PathBuf, schema: Schema) -> Result<(Connection, usize), StoreError> {
    const STEP: &str = "look at a file";
    if !path.is_file() {
        return Err(StoreError::Unusable { step: STEP, detail: "it is missing from this data folder".to_owned() });
    }
    let connection = File::new(path, schema).read()?;
    let number = check_schema(&connection, &schema)?;
    check_whole(&connection, "quick_check")?;
    Ok((connection, number))
}
