//! `klatch backup FILE`: one file with a consistent copy of a data folder, running or stopped.

mod archive;
mod snapshot;

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use klatch_domain::Timestamp;
use klatch_service_kit::Clock;
use klatch_settings::DEFAULT_DATA;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

pub(crate) use archive::{Manifest, unpack};
pub(crate) use snapshot::{Snapshots, clear_left_over};

use crate::{
    admin::{Answer, Reached, Request, reach},
    failure::Failure,
    output,
    up::single_threaded,
};

/// Bytes gathered before they go to the file.
const BUFFER_BYTES: usize = 1024 * 1024;

/// `klatch backup`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file to make; one that is there is not overwritten.
    file: PathBuf,
    /// The data folder, in use or not.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

/// Runs it.
///
/// # Errors
/// What stands in the way; no file is left behind then.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { file, data } = arguments;
    if file.exists() {
        return Err(exists(file).into());
    }
    let taken_at = Timestamp::from_millis(Clock::system().millis());
    let manifest = match reach(data)? {
        Reached::Running(mut connection) => match connection.ask(&Request::Backup)? {
            // The copy is there as long as the connection is.
            Answer::Copied { folder } => write(&folder, taken_at, file)?,
            Answer::Refused { detail } => return Err(Failure::local(detail).into()),
            Answer::Done { .. } | Answer::Unfinished { .. } => {
                return Err(Failure::local("the running klatch gave an answer that does not fit").into());
            }
        },
        Reached::Stopped(folder) => {
            clear_left_over(folder.path())?;
            let copy = single_threaded()?.block_on(Snapshots::new(folder.path()).copy())?;
            write(copy.folder(), taken_at, file)?
        }
    };
    output::remark(&format!("{}: {} MB", file.display(), manifest.bytes().div_ceil(1_000_000)));
    Ok(())
}

/// Packs the copy into FILE.tmp, syncs it, and gives it its name.
fn write(copy: &Path, taken_at: Timestamp, file: &Path) -> anyhow::Result<Manifest> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".tmp");
    let unfinished = PathBuf::from(unfinished);
    let out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&unfinished)
        .with_context(|| format!("cannot make {}", unfinished.display()))?;
    flock(&out, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Failure::local(format!("another backup into {} is under way", file.display())))?;
    let packed = pack_into(&out, copy, taken_at, &unfinished, file);
    if packed.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    packed
}

fn pack_into(out: &File, copy: &Path, taken_at: Timestamp, unfinished: &Path, file: &Path) -> anyhow::Result<Manifest> {
    // Of a backup that was killed.
    out.set_len(0).context("cannot empty the unfinished file")?;
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, out);
    let manifest = archive::pack(copy, taken_at, &mut buffered)?;
    buffered.flush().context("cannot write the backup")?;
    drop(buffered);
    out.sync_all().context("cannot sync the backup")?;
    match renameat_with(CWD, unfinished, CWD, file, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Err(exists(file).into()),
        // A file system that cannot promise it: looked at the moment before.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !file.exists() => {
            fs::rename(unfinished, file).context("cannot name the backup")?;
        }
        Err(error) => return Err(error).context("cannot name the backup"),
    }
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|folder| folder.sync_all()).context("cannot sync the backup's folder")?;
    Ok(manifest)
}

fn exists(file: &Path) -> Failure {
    Failure::local(format!("{} is there already, and a backup never overwrites; give another name", file.display()))
}
