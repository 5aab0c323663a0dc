//! The directory in one SQLite file.

mod friendship;
mod owed;
mod projection;
mod reply;
mod room;
mod session;
mod user;

use std::sync::Arc;

use async_trait::async_trait;
use klatch_domain::SlotMap;
use rusqlite::Connection;

use super::{
    checkpointer::{Checkpointer, Upkeep, Wishes},
    fault::Step,
    file::File,
    job::{JobError, Turn},
    log::{Mode, Report},
    readers::Readers,
    slot_map::{init_slot_map, read_slot_map},
    writer::{Weight, Writer},
};
use crate::{StoreError, directory::SlotMaps};

/// The directory: a thread that writes, some that read, one that keeps the log short.
pub struct SqliteDirectory {
    writer: Arc<Writer<()>>,
    readers: Readers,
    wishes: Arc<Wishes>,
    checkpointer: Checkpointer,
}

impl SqliteDirectory {
    pub(super) fn open(file: File, connection: Connection, readers: usize) -> Result<Self, StoreError> {
        let wishes = Arc::new(Wishes::default());
        let readers = Readers::start(&file, readers)?;
        let writer = Arc::new(Writer::start(file.clone(), connection, (), Arc::clone(&wishes))?);
        let upkeep: Arc<dyn Upkeep> = Arc::clone(&writer) as Arc<dyn Upkeep>;
        let checkpointer = Checkpointer::start(&file, Arc::clone(&wishes), upkeep)?;
        Ok(Self { writer, readers, wishes, checkpointer })
    }

    /// Moves the whole log into the file.
    pub(super) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.wishes.force().await
    }

    /// Writes what is queued, ends the threads.
    pub(super) fn stop(&self) {
        self.checkpointer.stop();
        self.readers.stop();
        self.writer.stop();
    }

    async fn read<T, F>(&self, step: &'static str, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.read(step, read).await
    }

    async fn write<T, E, F>(&self, step: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: JobError,
        F: FnMut(&mut Turn<'_, ()>) -> Result<T, E> + Send + 'static,
    {
        self.writer.write(step, Weight::ROW, work).await
    }
}

impl Upkeep for Writer<()> {
    fn empty(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn checkpoint(&self, mode: Mode) -> Result<Report, StoreError> {
        Self::checkpoint(self, mode)
    }
}

#[async_trait]
impl SlotMaps for SqliteDirectory {
    async fn slot_map(&self) -> Result<Option<SlotMap>, StoreError> {
        const STEP: &str = "read the slot map";
        self.read(STEP, |connection| read_slot_map(connection).step(STEP)).await
    }

    async fn init_slot_map(&self, map: &SlotMap) -> Result<SlotMap, StoreError> {
        const STEP: &str = "store the slot map";
        let map = map.clone();
        self.write(STEP, move |turn| init_slot_map(turn.connection, &map).step(STEP)).await
    }
}
