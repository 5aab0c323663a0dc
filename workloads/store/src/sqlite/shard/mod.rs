//! A message shard in one SQLite file.

mod append;
mod effect;
mod erase;
mod follow_up;
mod page;
mod room;
mod row;
mod state;
mod watermark;

use std::{collections::HashMap, path::Path, sync::Arc};

use async_trait::async_trait;
use klatch_domain::{Entry, MessageId, Position, RoomFacts, RoomId, Seq, ShardId, Timestamp, UserId};
use rusqlite::Connection;

use self::state::Heads;
use super::{
    checkpointer::{Checkpointer, Upkeep, Wishes},
    fault::Step,
    file::File,
    identity::check_identity,
    log::{Mode, Report},
    migration,
    readers::Readers,
    writer::{Weight, Writer},
};
use crate::{
    FollowUp, FollowUpKey, StoreError,
    shard::{AppendError, Head, Known, Overview, Page, Range, Shard, Standing, Watermark, Write},
};

/// The file's name in the data folder.
pub(super) fn file_name(shard: ShardId) -> String {
    format!("shard-{}.sqlite", shard.0)
}

/// One shard: a thread that writes, some that read, one that keeps the log short.
pub struct SqliteShard {
    id: ShardId,
    writer: Arc<Writer<Heads>>,
    readers: Readers,
    wishes: Arc<Wishes>,
    checkpointer: Checkpointer,
}

impl SqliteShard {
    /// Opens the shard's file, or makes it.
    pub(super) fn open(folder: &Path, id: ShardId, folder_id: [u8; 16], readers: usize) -> Result<Self, StoreError> {
        let file = File::new(folder.join(file_name(id)), migration::SHARD);
        let connection = file.create()?;
        check_identity(&connection, folder_id, id)?;
        let wishes = Arc::new(Wishes::default());
        let readers = Readers::start(&file, readers)?;
        let writer = Arc::new(Writer::start(file.clone(), connection, Heads::new(), Arc::clone(&wishes))?);
        let upkeep: Arc<dyn Upkeep> = Arc::clone(&writer) as Arc<dyn Upkeep>;
        let checkpointer = Checkpointer::start(&file, Arc::clone(&wishes), upkeep)?;
        Ok(Self { id, writer, readers, wishes, checkpointer })
    }

    /// Empties what was deleted and moves the whole log into the file.
    pub(super) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.wishes.force().await
    }

    /// Writes what is queued, ends the threads.
    pub(super) fn stop(&self) {
        self.checkpointer.stop();
        self.readers.stop();
        self.writer.stop();
    }

    /// Runs something in a transaction of the writer.
    #[cfg(test)]
    pub(super) async fn in_turn(&self, mut work: impl FnMut(&Connection) + Send + 'static) {
        let done = self.writer.write("test", Weight::ROW, move |turn| {
            work(turn.connection);
            Ok::<_, StoreError>(())
        });
        done.await.unwrap();
    }

    async fn read<T, F>(&self, step: &'static str, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.read(step, read).await
    }
}

impl Upkeep for Writer<Heads> {
    fn empty(&self) -> Result<(), StoreError> {
        const STEP: &str = "empty a deleted room";
        let weight = Weight { rows: 1000, bytes: 0 };
        while self.write_blocking(STEP, weight, |turn| {
            let more = erase::empty_rooms(turn.connection).step(STEP)?;
            turn.erased |= more;
            Ok::<_, StoreError>(more)
        })? {}
        Ok(())
    }

    fn checkpoint(&self, mode: Mode) -> Result<Report, StoreError> {
        Self::checkpoint(self, mode)
    }
}

#[async_trait]
impl Shard for SqliteShard {
    fn id(&self) -> ShardId {
        self.id
    }

    async fn append(&self, batch: Vec<Write>) -> Result<(), AppendError> {
        let bytes = batch.iter().map(|write| write.entry.content.as_str().len()).sum();
        let weight = Weight { rows: batch.len(), bytes };
        self.writer.write("append", weight, move |turn| append::append(turn, &batch)).await
    }

    async fn set_blocking(&self, room: RoomId, user: UserId, on: bool) -> Result<(), StoreError> {
        const STEP: &str = "set a block";
        self.writer
            .write(STEP, Weight::ROW, move |turn| room::set_blocking(turn.connection, room, user, on).step(STEP))
            .await
    }

    async fn move_watermarks(
        &self,
        moves: Vec<(RoomId, UserId, Watermark)>,
    ) -> Result<Vec<(RoomId, UserId, Watermark)>, StoreError> {
        const STEP: &str = "move watermarks";
        let weight = Weight { rows: moves.len(), bytes: 0 };
        self.writer.write(STEP, weight, move |turn| watermark::advance(turn, &moves).step(STEP)).await
    }

    async fn note_own_reads(&self, reads: Vec<(RoomId, UserId, Position)>) -> Result<(), StoreError> {
        let own = |(room, user, read)| (room, user, Watermark::read_to(read));
        self.move_watermarks(reads.into_iter().map(own).collect()).await.map(|_| ())
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        const STEP: &str = "empty what has expired";
        let weight = Weight { rows: limit, bytes: 0 };
        self.writer
            .write(STEP, weight, move |turn| {
                let expired = erase::expire(turn.connection, now, limit).step(STEP)?;
                turn.erased |= expired > 0;
                Ok(expired)
            })
            .await
    }

    async fn follow_ups(&self, after: Option<FollowUpKey>, limit: usize) -> Result<Vec<FollowUp>, StoreError> {
        self.read("read follow-ups", move |connection| follow_up::page(connection, after, limit)).await
    }

    async fn followed_up(&self, done: Vec<FollowUpKey>) -> Result<(), StoreError> {
        const STEP: &str = "forget follow-ups";
        let weight = Weight { rows: done.len(), bytes: 0 };
        self.writer.write(STEP, weight, move |turn| follow_up::forget(turn.connection, &done).step(STEP)).await
    }

    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomFacts>, StoreError> {
        let rooms = rooms.to_vec();
        self.read("read rooms", move |connection| room::rooms(connection, &rooms)).await
    }

    async fn standings(&self, rooms: &[RoomId], user: UserId) -> Result<HashMap<RoomId, Standing>, StoreError> {
        let rooms = rooms.to_vec();
        self.read("read standings", move |connection| room::standings(connection, &rooms, user)).await
    }

    async fn known(&self, ids: &[(RoomId, MessageId)]) -> Result<HashMap<(RoomId, MessageId), Known>, StoreError> {
        let ids = ids.to_vec();
        self.read("look up ids", move |connection| page::known(connection, &ids)).await
    }

    async fn entry(&self, room: RoomId, seq: Seq) -> Result<Option<Entry>, StoreError> {
        self.read("read an entry", move |connection| page::entry(connection, room, seq)).await
    }

    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        thread: Option<Seq>,
        viewer: Option<UserId>,
    ) -> Result<Page, StoreError> {
        self.read("read a page", move |connection| page::page(connection, room, range, limit, thread, viewer)).await
    }

    async fn overviews(&self, rooms: &[RoomId], member: UserId) -> Result<HashMap<RoomId, Overview>, StoreError> {
        let rooms = rooms.to_vec();
        self.read("read overviews", move |connection| room::overviews(connection, &rooms, member)).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Head>, StoreError> {
        let rooms = rooms.to_vec();
        self.read("read heads", move |connection| room::heads(connection, &rooms)).await
    }

    async fn watermarks(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, Watermark)>, StoreError> {
        self.read("read watermarks", move |connection| watermark::of_members(connection, room, after, limit)).await
    }
}
