//! The snapshot on disk: whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::core::Snapshot;

/// A file that holds one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The snapshot; an empty one when there is no file yet.
    pub(crate) fn read(&self) -> io::Result<Snapshot> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Snapshot::default()),
            Err(error) => Err(error),
        }
    }

    /// On disk when it returns: written beside, synced, moved over the old one, the move synced.
    pub(crate) fn write(&self, snapshot: &Snapshot) -> io::Result<()> {
        let text = serde_json::to_vec(snapshot)?;
        let mut beside = self.path.clone().into_os_string();
        // Added, not put in the extension's place: two files of one stem must not meet.
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let mut file = open_private(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Messages stand in it: for its owner only.
fn open_private(path: &Path) -> io::Result<File> {
    // What a crash has left may be open to others, and would stay so.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
