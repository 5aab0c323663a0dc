//! A shard that fails when told to.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use klatch_domain::{MessageId, Position, RoomFacts, RoomId, Seq, ShardId, SlotMap, Timestamp, UserId};
use klatch_store::{
    FollowUp, FollowUpKey, Shard, StoreError,
    shard::{AppendError, Head, Known, Overview, Page, Range, Watermark, Write},
};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a shard is to get wrong.
#[derive(Default)]
pub(crate) struct Faults {
    /// Every call fails, and nothing is done.
    pub(crate) down: AtomicBool,
    /// The next so many appends are done, and answer that nobody knows.
    pub(crate) unknown: AtomicU64,
    /// Appends are done, and never answer.
    pub(crate) hangs: AtomicBool,
    /// Appends that hold one of these ids are done, and never answer.
    pub(crate) hang_on: Mutex<HashSet<MessageId>>,
    /// Appends that hold one of these ids are refused for their data.
    pub(crate) poison: Mutex<HashSet<MessageId>>,
    /// Appends that hold one of these ids bring the caller down.
    pub(crate) deadly: Mutex<HashSet<MessageId>>,
    /// Appends to rooms that this map gives to another shard are fenced.
    pub(crate) fence: Mutex<Option<SlotMap>>,
    /// Appends so far, and who waits for them.
    pub(crate) appends: AtomicU64,
    pub(crate) appended: Notify,
}

pub(crate) struct FaultyShard {
    pub(crate) inner: Arc<dyn Shard>,
    pub(crate) faults: Arc<Faults>,
}

impl FaultyShard {
    fn check(&self) -> Result<(), StoreError> {
        if self.faults.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { step: "test", source_text: "told to".to_owned() });
        }
        Ok(())
    }

    async fn written(&self) {
        self.faults.appends.fetch_add(1, Ordering::SeqCst);
        self.faults.appended.notify_one();
        if self.faults.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Shard for FaultyShard {
    fn id(&self) -> ShardId {
        self.inner.id()
    }

    async fn append(&self, batch: Vec<Write>) -> Result<(), AppendError> {
        self.check()?;
        let holds = |ids: &Mutex<HashSet<MessageId>>| {
            let ids = ids.lock();
            batch.iter().any(|write| ids.contains(&write.entry.message_id))
        };
        assert!(!holds(&self.faults.deadly), "told to");
        let fenced = |map: &SlotMap| batch.iter().any(|write| map.shard_of(write.room) != self.id());
        if self.faults.fence.lock().as_ref().is_some_and(fenced) {
            return Err(AppendError::Fenced);
        }
        if holds(&self.faults.poison) {
            return Err(AppendError::Data("told to".to_owned()));
        }
        let hangs = holds(&self.faults.hang_on);
        self.inner.append(batch).await?;
        self.written().await;
        if hangs {
            std::future::pending::<()>().await;
        }
        let unknown = self.faults.unknown.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if unknown.is_ok() {
            return Err(StoreError::Unknown { step: "test", source_text: "told to".to_owned() }.into());
        }
        Ok(())
    }

    async fn set_blocking(&self, room: RoomId, user: UserId, on: bool) -> Result<(), StoreError> {
        self.check()?;
        self.inner.set_blocking(room, user, on).await
    }

    async fn move_watermarks(
        &self,
        moves: Vec<(RoomId, UserId, Watermark)>,
    ) -> Result<Vec<(RoomId, UserId, Watermark)>, StoreError> {
        self.check()?;
        self.inner.move_watermarks(moves).await
    }

    async fn note_own_reads(&self, reads: Vec<(RoomId, UserId, Position)>) -> Result<(), StoreError> {
        self.check()?;
        self.inner.note_own_reads(reads).await
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.check()?;
        self.inner.expire(now, limit).await
    }

    async fn follow_ups(&self, after: Option<FollowUpKey>, limit: usize) -> Result<Vec<FollowUp>, StoreError> {
        self.check()?;
        self.inner.follow_ups(after, limit).await
    }

    async fn followed_up(&self, done: Vec<FollowUpKey>) -> Result<(), StoreError> {
        self.check()?;
        self.inner.followed_up(done).await
    }

    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomFacts>, StoreError> {
        self.check()?;
        self.inner.rooms(rooms).await
    }

    async fn known(&self, ids: &[(RoomId, MessageId)]) -> Result<HashMap<(RoomId, MessageId), Known>, StoreError> {
        self.check()?;
        self.inner.known(ids).await
    }

    async fn entry(&self, room: RoomId, seq: Seq) -> Result<Option<klatch_domain::Entry>, StoreError> {
        self.check()?;
        self.inner.entry(room, seq).await
    }

    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        thread: Option<Seq>,
        viewer: Option<UserId>,
    ) -> Result<Page, StoreError> {
        self.inner.page(room, range, limit, thread, viewer).await
    }

    async fn overviews(&self, rooms: &[RoomId], member: UserId) -> Result<HashMap<RoomId, Overview>, StoreError> {
        self.inner.overviews(rooms, member).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Head>, StoreError> {
        self.inner.heads(rooms).await
    }

    async fn watermarks(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, Watermark)>, StoreError> {
        self.inner.watermarks(room, after, limit).await
    }
}
