//! What gateways must ask, as they hold no database credentials. Answered by api replicas.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use klatch_domain::{Ordinal, Position, RoomId, RoomKind, Seq, SessionId, Timestamp, UserId};

/// No answer; ask again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query {query}: {reason}")]
pub struct QueryError {
    /// Which query.
    pub query: &'static str,
    /// What went wrong.
    pub reason: String,
}

/// The members of a room as its log has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomMembers {
    /// Seq of the last membership change.
    pub version: Seq,
    /// Direct, group, inbox.
    pub kind: RoomKind,
    /// In order of their ids.
    pub members: Arc<[UserId]>,
}

/// The questions. Read from the shard's primary, never from a replica that may lag.
#[async_trait]
pub trait Queries: Send + Sync + 'static {
    /// Members of a room; `None` when there is no such room, or it is deleted.
    ///
    /// # Errors
    /// [`QueryError`].
    async fn members(&self, room: RoomId) -> Result<Option<RoomMembers>, QueryError>;

    /// Heads of the rooms that exist.
    ///
    /// # Errors
    /// [`QueryError`].
    async fn heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, (Position, Ordinal)>, QueryError>;

    /// The rooms of each of these users that have more than so many members: pairs, in no order. As far as the directory
    /// knows, which follows the logs within moments.
    ///
    /// # Errors
    /// [`QueryError`].
    async fn rooms_above(&self, users: &[UserId], members: u64) -> Result<Vec<(UserId, RoomId)>, QueryError>;

    /// Sessions ended at or after this time.
    ///
    /// # Errors
    /// [`QueryError`].
    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, UserId)>, QueryError>;

    /// Those of `users` whose presence `viewer` may see: friends and fellow members, without a block between.
    ///
    /// # Errors
    /// [`QueryError`].
    async fn visible_presence(&self, viewer: UserId, users: &[UserId]) -> Result<Vec<UserId>, QueryError>;
}
