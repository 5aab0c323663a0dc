//! Commands the directory owes the logs: what a change of it must bring about in rooms and inboxes, kept in the change's own
//! transaction, so that whoever dies after the change leaves the rest to be done.

use async_trait::async_trait;
use klatch_domain::{Command, RoomId};

use crate::StoreError;

/// Commands that may be owed to one room: a room whose shard is away keeps its changes waiting, not the disk filling. A
/// change beyond is refused whole.
pub const OWED_TO_ROOM: usize = 1_000;

/// One command that is not done yet, as far as the directory knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Rises with every command kept; those of one room are done in this order.
    pub place: u64,
    /// What is to be done. Its id makes it one, however often it is done.
    pub command: Command,
}

/// Commands kept with the changes that brought them about.
#[async_trait]
pub trait OwedCommands: Send + Sync {
    /// What is owed to one room, or to all of them, by place after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn owed(&self, room: Option<RoomId>, after: u64, limit: usize) -> Result<Vec<Owed>, StoreError>;
    /// These are done. Those that are not there are done already.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn settle_owed(&self, places: &[u64]) -> Result<(), StoreError>;
}
