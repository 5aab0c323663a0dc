//! Reads of one file: a few threads, each with a connection of its own, behind one bounded queue.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    fault::{Step, closed},
    file::File,
};
use crate::StoreError;

/// Reads that wait for a thread. A waiting read holds little; beyond this, callers wait to get in.
const QUEUE: usize = 1024;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The reading threads of a file.
pub(super) struct Readers {
    queue: Mutex<Option<mpsc::Sender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Starts `count` threads.
    pub(super) fn start(file: &File, count: usize) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count.max(1) {
            let (connection, waiting) = (file.read()?, Arc::clone(&waiting));
            let thread = thread::Builder::new()
                .name("store-read".to_owned())
                .spawn(move || run(&connection, &waiting))
                .map_err(|error| StoreError::Unavailable {
                    step: "start a reading thread",
                    source_text: error.to_string(),
                })?;
            threads.push(thread);
        }
        Ok(Self { queue: Mutex::new(Some(queue)), threads: Mutex::new(threads) })
    }

    /// Runs a read in one transaction: it sees one committed state of the file. Cancel safe.
    ///
    /// # Errors
    /// What `read` says; [`StoreError::Unavailable`] after [`Self::stop`].
    pub(super) async fn read<T, F>(&self, step: &'static str, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.lock().clone().ok_or_else(|| closed(step))?;
        let work: Read = Box::new(move |connection| {
            if !answer.is_closed() {
                // A caller that went away meanwhile needs no answer.
                let _ = answer.send(in_snapshot(connection, step, read));
            }
        });
        queue.send(work).await.map_err(|_| closed(step))?;
        drop(queue);
        answered.await.map_err(|_| closed(step))?
    }

    /// Answers what is queued, then ends the threads.
    pub(super) fn stop(&self) {
        drop(self.queue.lock().take());
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reading thread had panicked");
            }
        }
    }
}

fn run(connection: &Connection, waiting: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        // One thread waits for the next read, the others for the lock: each read goes to exactly one.
        let next = waiting.lock().blocking_recv();
        let Some(read) = next else { return };
        read(connection);
    }
}

fn in_snapshot<T>(
    connection: &Connection,
    step: &'static str,
    read: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let snapshot = connection.unchecked_transaction().step(step)?;
    let result = read(&snapshot);
    // Nothing was written: how it ends does not matter, but it must end, or the log could not start over.
    snapshot.finish().step(step)?;
    result
}
