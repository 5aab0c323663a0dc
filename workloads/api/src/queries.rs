//! What gateways ask: answered from the shards and the directory, never from a copy.

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use klatch_bus::{Queries, QueryError, RoomMembers};
use klatch_domain::{Ordinal, Position, RoomId, SessionId, Timestamp, UserId};
use klatch_store::{Directory, Shards};

/// Answers queries by calls in the same process.
pub(crate) struct StoreQueries {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) shards: Shards,
}

fn failed<E: fmt::Display>(query: &'static str) -> impl Fn(E) -> QueryError {
    move |error| QueryError { query, reason: error.to_string() }
}

#[async_trait]
impl Queries for StoreQueries {
    async fn members(&self, room: RoomId) -> Result<Option<RoomMembers>, QueryError> {
        let facts = self.shards.of(room).rooms(&[room]).await.map_err(failed("members"))?.remove(&room);
        Ok(facts.filter(|facts| !facts.deleted).map(|facts| RoomMembers {
            version: facts.members_version,
            kind: facts.kind,
            members: facts.members.keys().copied().collect(),
        }))
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, (Position, Ordinal)>, QueryError> {
        let mut heads = HashMap::with_capacity(rooms.len());
        for (shard, rooms) in self.shards.by_shard(rooms) {
            let found = shard.heads(&rooms).await.map_err(failed("heads"))?;
            heads.extend(found.into_iter().map(|(room, head)| (room, (head.position, head.ordinal))));
        }
        Ok(heads)
    }

    async fn rooms_above(&self, users: &[UserId], members: u64) -> Result<Vec<(UserId, RoomId)>, QueryError> {
        self.directory.rooms_above(users, members).await.map_err(failed("rooms_above"))
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, UserId)>, QueryError> {
        self.directory.revoked_since(since).await.map_err(failed("revoked_since"))
    }

    async fn visible_presence(&self, viewer: UserId, users: &[UserId]) -> Result<Vec<UserId>, QueryError> {
        self.directory.acquainted(viewer, users).await.map_err(failed("visible_presence"))
    }
}
