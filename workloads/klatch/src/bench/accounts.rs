//! What `provision` wrote: who connects, and where they write.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, ensure};
use klatch_domain::{RoomId, UserId};
use serde::{Deserialize, Serialize};

/// The file of `provision`, as protocol.md names it for other generators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Accounts {
    pub(super) users: Vec<Account>,
    pub(super) direct_rooms: Vec<Group>,
    pub(super) groups: Vec<Group>,
}

/// One user with an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) id: UserId,
    pub(super) username: String,
    pub(super) token: String,
}

/// A room and who is in it, as indices into `users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) room: RoomId,
    pub(super) users: Vec<usize>,
}

impl Accounts {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not there, has another shape, or names users it does not have.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let accounts: Self =
            serde_json::from_slice(&text).with_context(|| format!("{} is no file of 'provision'", path.display()))?;
        let rooms = accounts.direct_rooms.iter().chain(&accounts.groups);
        let known = rooms.flat_map(|room| &room.users).all(|index| *index < accounts.users.len());
        ensure!(known, "{} names users that it does not have", path.display());
        Ok(accounts)
    }

    /// Writes the file for its owner only: it holds tokens.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(&serde_json::to_vec(self)?).with_context(|| format!("cannot write {}", path.display()))
    }
}
