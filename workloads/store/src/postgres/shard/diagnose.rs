//! What is wrong with a batch that was refused.

use std::collections::HashSet;

use klatch_domain::{MessageId, RoomId};

use super::{
    super::{fault::Step, sql::id},
    PostgresShard, batch,
};
use crate::{
    StoreError,
    shard::{AppendError, Write},
};

const STEP: &str = "look up the ids of a batch";

impl PostgresShard {
    /// Repeats first: whoever leaves them out may find the rest in order. None: nothing is in its way any more.
    pub(super) async fn diagnose(&self, batch: &[Write]) -> Result<Option<AppendError>, StoreError> {
        let stored = self.stored_ids(batch).await?;
        if !stored.is_empty() {
            return Ok(Some(AppendError::Duplicate(stored)));
        }
        let mut seen = HashSet::with_capacity(batch.len());
        if let Some(twice) = batch.iter().find(|write| !seen.insert((write.room, write.entry.message_id))) {
            let (id, room) = (twice.entry.message_id, twice.room);
            return Ok(Some(AppendError::Data(format!("the batch holds {id} twice in room {room}"))));
        }
        let places = self.place(batch.iter().map(|write| write.room));
        let heads = self.query_heads(self.writers_of(&places), places).await?;
        let stale = batch::stale_rooms(batch, |room| heads.get(&room).map(|head| head.position));
        Ok(if stale.is_empty() { None } else { Some(AppendError::StaleHead(stale)) })
    }

    /// In the order of the batch.
    async fn stored_ids(&self, batch: &[Write]) -> Result<Vec<(RoomId, MessageId)>, StoreError> {
        let places = self.place(batch.iter().map(|write| write.room));
        let ids: Vec<_> = batch.iter().map(|write| write.entry.message_id.uuid()).collect();
        let statement = sqlx::query(
            "SELECT room, message_id FROM entries WHERE slot = ANY($1) \
             AND (message_id, room) IN (SELECT * FROM unnest($2::uuid[], $3::uuid[]))",
        )
        .bind(places.leaves)
        .bind(ids)
        .bind(places.rooms);
        let rows = self.writers.read(STEP, statement).await?;
        let stored = rows
            .iter()
            .map(|row| Ok((id(row, 0)?, id(row, 1)?)))
            .collect::<Result<HashSet<(RoomId, MessageId)>, sqlx::Error>>()
            .step(STEP)?;
        let ids = batch.iter().map(|write| (write.room, write.entry.message_id));
        let mut named = HashSet::with_capacity(stored.len());
        Ok(ids.filter(|id| stored.contains(id) && named.insert(*id)).collect())
    }
}
