//! A message shard in one PostgreSQL database.

/// Each of the rooms `$2` as `r`, found in its own leaf: `$1` are the leaves, `$slots` the rooms' slots ([`Places`]). The limit
/// keeps the planner from joining all of the leaves at once.
macro_rules! each_room {
    ($slots:literal) => {
        concat!(
            "FROM unnest(",
            $slots,
            "::integer[], $2::uuid[]) w (slot, id) JOIN LATERAL (SELECT * FROM rooms x WHERE x.slot = ANY($1) \
             AND x.slot = w.slot AND x.room = w.id LIMIT 1) r ON true "
        )
    };
}

mod append;
mod batch;
mod diagnose;
mod effect;
mod entry;
mod erase;
mod expire;
mod follow_up;
mod heads;
mod insert;
mod overview;
mod page;
mod room;
mod watermark;

use std::collections::HashMap;

use async_trait::async_trait;
use klatch_domain::{Entry, MessageId, Position, RoomFacts, RoomId, Seq, ShardId, Slot, Timestamp, UserId};
use sqlx::types::Uuid;
use tokio::sync::OnceCell;

use self::heads::Heads;
use super::{database::Database, migration, slots};
use crate::{
    FollowUp, FollowUpKey, StoreError,
    shard::{AppendError, Head, Known, Overview, Page, Range, Shard, Standing, Watermark, Write},
};

/// Up to so many leaves a statement is planned anew for just these, at 0.1 to 0.8 ms a leaf. Planned once for all leaves of
/// a shard, running it takes 4 ms and then 0.03 ms a room; planned anew for 100 leaves it takes 240 ms
/// (docs/postgresql.md).
const FEW_LEAVES: usize = 3;

/// One shard: connections that write, connections that read, those for statements over several slots, and the heads of the
/// rooms written last.
pub struct PostgresShard {
    id: ShardId,
    cluster: Uuid,
    slots: u16,
    writers: Database,
    readers: Database,
    /// They plan once, for all leaves.
    several: Database,
    heads: Heads,
    checked: OnceCell<()>,
}

impl PostgresShard {
    pub(super) fn new(id: ShardId, cluster: Uuid, slots: u16, connections: Connections) -> Self {
        let Connections { writers, readers, several } = connections;
        Self { id, cluster, slots, writers, readers, several, heads: Heads::new(), checked: OnceCell::new() }
    }

    /// Whether the database is what it should be; looked at until it was once.
    pub(super) async fn ready(&self) -> Result<&Self, StoreError> {
        self.checked
            .get_or_try_init(async || {
                migration::check_schema(&self.readers, migration::SHARD).await?;
                slots::check_identity(&self.readers, self.cluster, self.id).await
            })
            .await?;
        Ok(self)
    }

    fn slot_of(&self, room: RoomId) -> i32 {
        i32::from(Slot::of(room, self.slots).0)
    }

    fn readers_of(&self, places: &Places) -> &Database {
        if places.leaves.len() > FEW_LEAVES { &self.several } else { &self.readers }
    }

    fn writers_of(&self, places: &Places) -> &Database {
        if places.leaves.len() > FEW_LEAVES { &self.several } else { &self.writers }
    }

    /// Rooms, and the slots that hold them: given with every query over several rooms, so that it meets their leaves
    /// alone.
    fn place(&self, rooms: impl IntoIterator<Item = RoomId>) -> Places {
        let mut places = Places::default();
        for room in rooms {
            places.slots.push(self.slot_of(room));
            places.rooms.push(room.uuid());
        }
        places.leaves.clone_from(&places.slots);
        places.leaves.sort_unstable();
        places.leaves.dedup();
        places
    }
}

/// The pools of one shard.
pub(super) struct Connections {
    pub(super) writers: Database,
    pub(super) readers: Database,
    /// For statements over several slots: see [`Database::planning_once`].
    pub(super) several: Database,
}

/// Rooms with their slots, as parameters.
#[derive(Debug, Default)]
struct Places {
    /// Every slot once.
    leaves: Vec<i32>,
    /// One a room.
    slots: Vec<i32>,
    rooms: Vec<Uuid>,
}

#[async_trait]
impl Shard for PostgresShard {
    fn id(&self) -> ShardId {
        self.id
    }

    async fn append(&self, batch: Vec<Write>) -> Result<(), AppendError> {
        self.ready().await?.append_batch(batch).await
    }

    async fn set_blocking(&self, room: RoomId, user: UserId, on: bool) -> Result<(), StoreError> {
        self.ready().await?.set_member_blocking(room, user, on).await
    }

    async fn move_watermarks(
        &self,
        moves: Vec<(RoomId, UserId, Watermark)>,
    ) -> Result<Vec<(RoomId, UserId, Watermark)>, StoreError> {
        self.ready().await?.advance_watermarks(&moves).await
    }

    async fn note_own_reads(&self, reads: Vec<(RoomId, UserId, Position)>) -> Result<(), StoreError> {
        self.ready().await?.note_reads(&reads).await
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.ready().await?.empty_expired(now, limit).await
    }

    async fn follow_ups(&self, after: Option<FollowUpKey>, limit: usize) -> Result<Vec<FollowUp>, StoreError> {
        self.ready().await?.follow_ups_after(after, limit).await
    }

    async fn followed_up(&self, done: Vec<FollowUpKey>) -> Result<(), StoreError> {
        self.ready().await?.forget_follow_ups(&done).await
    }

    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomFacts>, StoreError> {
        self.ready().await?.read_rooms(rooms).await
    }

    async fn standings(&self, rooms: &[RoomId], user: UserId) -> Result<HashMap<RoomId, Standing>, StoreError> {
        self.ready().await?.read_standings(rooms, user).await
    }

    async fn known(&self, ids: &[(RoomId, MessageId)]) -> Result<HashMap<(RoomId, MessageId), Known>, StoreError> {
        self.ready().await?.read_known(ids).await
    }

    async fn entry(&self, room: RoomId, seq: Seq) -> Result<Option<Entry>, StoreError> {
        self.ready().await?.read_entry(room, seq).await
    }

    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        thread: Option<Seq>,
        viewer: Option<UserId>,
    ) -> Result<Page, StoreError> {
        self.ready().await?.read_page(room, range, limit, thread, viewer).await
    }

    async fn overviews(&self, rooms: &[RoomId], member: UserId) -> Result<HashMap<RoomId, Overview>, StoreError> {
        self.ready().await?.read_overviews(rooms, member).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Head>, StoreError> {
        self.ready().await?.read_heads(rooms).await
    }

    async fn watermarks(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, Watermark)>, StoreError> {
        self.ready().await?.read_watermarks(room, after, limit).await
    }
}
