//! The data folder, held by one process at a time with a kernel lock: it goes with the process, however that ends.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::failure::Failure;

/// The file whose lock means "in use".
pub(crate) const LOCK_FILE: &str = "lock";
/// Folder of signing keys.
pub(crate) const KEYS_FOLDER: &str = "keys";
/// Socket on which a running `klatch up` takes the owner's commands.
pub(crate) const ADMIN_SOCKET: &str = "admin.sock";
/// Where a restore puts its files before it is done. A folder that holds this is no data folder yet.
pub(crate) const RESTORING: &str = "restoring";
/// Start of the names of folders that hold a copy for a backup under way.
pub(crate) const SNAPSHOT_PREFIX: &str = "snapshot-";

/// How long a start waits for another holder to go. A killed process gives its lock back within a scheduler tick, and
/// `klatch doctor` holds it for microseconds when it looks.
const WAIT: Duration = Duration::from_millis(500);
/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// A data folder this process holds.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    // The lock lives as long as this descriptor.
    _lock: File,
}

/// Who holds a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody.
    Nobody,
    /// A process; its number, when it could be read.
    Process(Option<u32>),
}

impl DataFolder {
    /// Makes the folder (mode 0700) if it is not there, and takes its lock.
    ///
    /// # Errors
    /// When another process holds it, when something else lives in it, or when a restore into it did not finish. Nothing is
    /// changed then.
    pub(crate) fn take_or_make(path: &Path) -> anyhow::Result<Self> {
        check_content(path)?;
        make_folder(path)?;
        Self::lock_data(path)
    }

    /// Takes the lock of a folder that holds data.
    ///
    /// # Errors
    /// As [`Self::take_or_make`], and when there is no data.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        check_exists(path)?;
        Self::lock_data(path)
    }

    /// Looks at the content under the lock, so that no restore begins in between.
    fn lock_data(path: &Path) -> anyhow::Result<Self> {
        let folder = Self::lock(path)?;
        check_content(path)?;
        Ok(folder)
    }

    /// Takes the lock whatever is in the folder: for restore, which looks for itself.
    ///
    /// # Errors
    /// When another process holds it, or the lock file cannot be made.
    pub(crate) fn lock(path: &Path) -> anyhow::Result<Self> {
        let file_path = path.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file_path)
            .with_context(|| format!("cannot open {}", file_path.display()))?;
        let since = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if since.elapsed() < WAIT => std::thread::sleep(TRY_EVERY),
                Err(Errno::WOULDBLOCK) => return Err(in_use(path, read_pid(&mut file)).into()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot lock {}", file_path.display())),
            }
        }
        // Only to say who it is: the lock is what counts.
        file.set_len(0).and_then(|()| file.rewind()).context("cannot write the lock file")?;
        writeln!(file, "{}", std::process::id()).context("cannot write the lock file")?;
        let path = fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))?;
        Ok(Self { path, _lock: file })
    }

    /// Where it is, from the root.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Who holds the folder just now.
pub(crate) fn holder(path: &Path) -> std::io::Result<Holder> {
    let mut file = match File::open(path.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Holder::Nobody),
        Err(Errno::WOULDBLOCK) => Ok(Holder::Process(read_pid(&mut file))),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a folder that does not exist.
pub(crate) fn check_exists(path: &Path) -> Result<(), Failure> {
    if path.join(LOCK_FILE).exists() {
        return Ok(());
    }
    Err(Failure::local(format!(
        "there is no Klatch data in {}; give --data the folder that 'klatch up' uses",
        path.display()
    )))
}

/// Refuses a folder that is somebody else's, or half restored. One that does not exist, or is empty, passes.
pub(crate) fn check_content(path: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read the folder {}", path.display())),
    };
    let mut others = false;
    for entry in entries {
        let name = entry.with_context(|| format!("cannot read the folder {}", path.display()))?.file_name();
        if name == RESTORING {
            return Err(Failure::local(format!(
                "a restore into {} did not finish; run 'klatch restore' again",
                path.display()
            ))
            .into());
        }
        // A fresh file system has this folder at its root.
        others |= name != "lost+found";
    }
    if others && !path.join(LOCK_FILE).exists() {
        return Err(Failure::local(format!(
            "the folder {} has other things in it; give --data a new or empty folder",
            path.display()
        ))
        .into());
    }
    Ok(())
}

/// Makes the folder for its owner only, when it is not there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_folder(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the data folder {}; give --data another one", path.display()))
}

fn read_pid(file: &mut File) -> Option<u32> {
    // Longer than any process number: a lock file is never read without a bound.
    const PID_BYTES: u64 = 20;
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(PID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn in_use(path: &Path, pid: Option<u32>) -> Failure {
    let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    Failure::local(format!(
        "the data folder {} is in use by another klatch{pid}; stop it first, or give --data another folder",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        assert!(DataFolder::take(&path).is_err(), "no folder, no data");
        let held = DataFolder::take_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = DataFolder::take_or_make(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by another klatch (pid {})", std::process::id())), "{refused}");
        assert_eq!(holder(&path).unwrap(), Holder::Process(Some(std::process::id())));
        drop(held);
        assert_eq!(holder(&path).unwrap(), Holder::Nobody);
        DataFolder::take(&path).unwrap();
    }

    #[test]
    fn foreign_folders_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "words").unwrap();
        let refused = DataFolder::take_or_make(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("has other things in it"), "{refused}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::remove_file(folder.path().join("thesis.tex")).unwrap();
        fs::create_dir(folder.path().join(RESTORING)).unwrap();
        assert!(DataFolder::take_or_make(folder.path()).unwrap_err().to_string().contains("did not finish"));
    }
}
