//! `klatch restore FILE`: a data folder from a backup.
//!
//! Everything is unpacked and checked in a folder of its own inside the new data folder, and moved to its place only then.
//! While that folder is there, nothing else opens the data folder; a restore that was killed is done again from the start.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use anyhow::Context;
use klatch_settings::DEFAULT_DATA;
use klatch_store::sqlite::prepare_restored;

use crate::{
    backup::{Manifest, unpack},
    failure::Failure,
    output,
    up::lock::{DataFolder, LOCK_FILE, RESTORING, make_folder},
};

/// `klatch restore`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The backup.
    file: PathBuf,
    /// The data folder to make; it must not exist, or be empty.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

/// Runs it.
///
/// # Errors
/// What is wrong with the backup or the folder; nothing is left behind then.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { file, data } = arguments;
    let archive = File::open(file).with_context(|| format!("cannot open the backup {}", file.display()))?;
    check_free(data)?;
    let made = !data.exists();
    make_folder(data)?;
    let folder = DataFolder::lock(data)?;
    // Again, now that nobody else can put anything there.
    check_free(data)?;
    match restore(archive, &folder) {
        Ok(manifest) => {
            output::remark(&format!(
                "restored the backup of {} into {}: everything acknowledged before then. Clients fetch their rooms anew.",
                manifest.taken_at,
                data.display()
            ));
            Ok(())
        }
        Err(error) => {
            clear(&folder, made);
            Err(error)
        }
    }
}

/// Refuses a folder with anything in it but what an earlier, unfinished restore put there.
fn check_free(data: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read the folder {}", data.display())),
    };
    let names: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot read the folder {}", data.display()))?;
    let unfinished = names.iter().any(|name| name == RESTORING);
    if unfinished || names.iter().all(|name| name == LOCK_FILE || name == "lost+found") {
        return Ok(());
    }
    Err(Failure::local(format!(
        "{} is not empty, and a restore never overwrites; give --data a new folder, or move this one away",
        data.display()
    ))
    .into())
}

fn restore(archive: File, folder: &DataFolder) -> anyhow::Result<Manifest> {
    let staging = folder.path().join(RESTORING);
    // Of an unfinished restore: what it had moved is not known, so all of it goes.
    if staging.exists() {
        clear_content(folder.path()).context("cannot clear what an unfinished restore left")?;
    }
    fs::create_dir(&staging).context("cannot make the folder to restore in")?;
    let manifest = unpack(BufReader::new(archive), &staging)?;
    prepare_restored(&staging).context("the backup cannot be used")?;
    sync_tree(&staging).context("cannot sync the restored files")?;
    move_up(&staging, folder.path()).context("cannot move the restored files to their place")?;
    Ok(manifest)
}

/// Moves what is in `staging` one level up. The empty folder goes last: until then the data folder counts as unfinished.
fn move_up(staging: &Path, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(staging)? {
        let entry = entry?;
        fs::rename(entry.path(), folder.join(entry.file_name()))?;
    }
    sync_folder(folder)?;
    fs::remove_dir(staging)?;
    sync_folder(folder)
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// After a failure: leaves the folder as it was found, or empty but for its lock. What cannot be removed is said by the next
/// restore.
fn clear(folder: &DataFolder, made: bool) {
    let cleared = clear_content(folder.path());
    if made && cleared.is_ok() {
        let _ = fs::remove_file(folder.path().join(LOCK_FILE));
        let _ = fs::remove_dir(folder.path());
    }
}

/// Removes everything but the lock, the mark of being unfinished last.
fn clear_content(folder: &Path) -> io::Result<()> {
    let staging = folder.join(RESTORING);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == LOCK_FILE || name == RESTORING || name == "lost+found" {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    if staging.exists() { fs::remove_dir_all(staging) } else { Ok(()) }
}
