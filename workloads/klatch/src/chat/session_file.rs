//! The kept session: one file, its owner's alone, shared by all commands that run at the same time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use klatch_client_sdk::{Session, SharedSession};
use klatch_settings::ENV_SESSION_FILE;
use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;

/// Where the session is kept.
#[derive(Debug, Clone)]
pub(super) struct SessionFile {
    path: PathBuf,
}

impl SessionFile {
    /// `KLATCH_SESSION_FILE`, else `klatch/session.json` in `XDG_CONFIG_HOME`, else in `~/.config` (XDG Base Directory
    /// Specification 0.8).
    ///
    /// # Errors
    /// When there is no home folder.
    pub(super) fn locate() -> Result<Self, Failure> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = set(ENV_SESSION_FILE) {
            return Ok(Self { path });
        }
        let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        match config {
            Some(config) => Ok(Self { path: config.join("klatch").join("session.json") }),
            None => {
                Err(Failure::local(format!("there is no home folder to keep a session in; set {ENV_SESSION_FILE}")))
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The session, if one is kept.
    ///
    /// # Errors
    /// When the file cannot be read, or is no session.
    pub(super) fn read(&self) -> io::Result<Option<Session>> {
        match fs::read(&self.path) {
            // What is wrong with it is not said: the text that does not fit may be a secret.
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|_| {
                io::Error::other(format!("{} is no kept session; remove it and sign in again", self.path.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))),
        }
    }

    /// Keeps a session: written beside, synced, moved over the old one. Whoever calls holds the lock.
    ///
    /// # Errors
    /// When the disk is full or not accessible; the old session is still kept then.
    pub(super) fn write(&self, session: &Session) -> io::Result<()> {
        self.make_folder()?;
        let beside = self.beside(".new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec(session)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }

    /// Forgets the session.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until no other command refreshes or replaces the session. The lock goes with the file. Blocks.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub(super) fn lock(&self) -> io::Result<File> {
        self.make_folder()?;
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.beside(".lock"))?;
        loop {
            match flock(&lock, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(lock),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(ending);
        PathBuf::from(path)
    }

    fn make_folder(&self) -> io::Result<()> {
        match self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => DirBuilder::new().recursive(true).mode(0o700).create(folder),
            None => Ok(()),
        }
    }
}

impl SharedSession for SessionFile {
    fn take(&self) -> io::Result<(Option<Session>, Box<dyn Send>)> {
        let lock = self.lock()?;
        Ok((self.read()?, Box::new(lock)))
    }
}
