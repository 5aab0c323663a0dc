//! Writes of one file: one thread owns the one connection that writes, and commits in groups.
//!
//! Callers wait in a bounded queue. The thread takes everything that waits, runs it in one transaction, syncs once, and
//! answers all. A job that is refused takes nothing of the others with it.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    checkpointer::Wishes,
    fault::{closed, commit_fault, fault},
    file::File,
    job::{Attempt, Call, Job, JobError, State, Turn},
    log::{self, Mode},
};
use crate::StoreError;

/// Jobs that wait for the writer. Beyond it callers wait to get in; what they hold is bounded by their own prefetch.
const QUEUE: usize = 1024;
/// Rows of one transaction: some 100 ms of work, so that nobody waits much longer for their sync than their share.
const GROUP_ROWS: usize = 4096;
/// Bytes of content in one transaction: what the page cache holds without spilling.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Rows between two looks at the log's length: a look costs some microseconds.
const LOOK_ROWS: usize = 256;

/// How much a job writes, to bound a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weight {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Weight {
    /// One row of nobody's content.
    pub(super) const ROW: Self = Self { rows: 1, bytes: 0 };
}

enum Message<S> {
    Write(Box<dyn Job<S>>, Weight),
    /// Between two transactions, so that nothing is written meanwhile.
    Checkpoint(Mode, oneshot::Sender<Result<log::Report, StoreError>>),
    Stop,
}

/// The writing thread of a file.
pub(super) struct Writer<S: State> {
    queue: mpsc::Sender<Message<S>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<S: State> Writer<S> {
    /// Starts the thread on an open connection.
    pub(super) fn start(file: File, connection: Connection, state: S, wishes: Arc<Wishes>) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || Thread { file, connection: Some(connection), state, wishes, rows: 0 }.run(waiting))
            .map_err(|error| StoreError::Unavailable {
                step: "start a writing thread",
                source_text: error.to_string(),
            })?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` in the next transaction; `Ok` only after it was synced. `work` may run twice, when the first run was
    /// rolled back because of another job. Not cancel safe: a dropped call may still write.
    ///
    /// # Errors
    /// What `work` says, or what became of the whole transaction.
    pub(super) async fn write<T, E, F>(&self, step: &'static str, weight: Weight, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: JobError,
        F: FnMut(&mut Turn<'_, S>) -> Result<T, E> + Send + 'static,
    {
        let (call, answered) = Call::new(work);
        self.queue.send(Message::Write(Box::new(call), weight)).await.map_err(|_| E::from(closed(step)))?;
        answered.await.map_err(|_| E::from(lost(step)))?
    }

    /// As [`Self::write`], for threads.
    pub(super) fn write_blocking<T, E, F>(&self, step: &'static str, weight: Weight, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: JobError,
        F: FnMut(&mut Turn<'_, S>) -> Result<T, E> + Send + 'static,
    {
        let (call, answered) = Call::new(work);
        self.queue.blocking_send(Message::Write(Box::new(call), weight)).map_err(|_| E::from(closed(step)))?;
        answered.blocking_recv().map_err(|_| E::from(lost(step)))?
    }

    /// Checkpoints between two transactions. For threads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn checkpoint(&self, mode: Mode) -> Result<log::Report, StoreError> {
        const STEP: &str = "checkpoint";
        let (answer, answered) = oneshot::channel();
        self.queue.blocking_send(Message::Checkpoint(mode, answer)).map_err(|_| closed(STEP))?;
        answered.blocking_recv().map_err(|_| lost(STEP))?
    }

    /// Writes what is queued, moves the log into the file, ends the thread.
    pub(super) fn stop(&self) {
        // Full or closed: the thread has ended, or takes it after the others.
        let _ = self.queue.blocking_send(Message::Stop);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("a writing thread had panicked");
        }
    }
}

/// The thread took the job and ended without an answer.
fn lost(step: &'static str) -> StoreError {
    StoreError::Unknown { step, source_text: "the writing thread has ended".to_owned() }
}

struct Thread<S> {
    file: File,
    /// None after a COMMIT whose outcome is unsure: opened again before the next transaction.
    connection: Option<Connection>,
    state: S,
    wishes: Arc<Wishes>,
    /// Written since the last look at the log.
    rows: usize,
}

/// Why a transaction did not come to its end.
enum Stopped {
    /// A job was refused after it had written: everything is rolled back, run it again with savepoints.
    Again,
    /// Nothing of the group is done, or nobody knows.
    Failed(StoreError),
}

impl<S: State> Thread<S> {
    fn run(mut self, mut waiting: mpsc::Receiver<Message<S>>) {
        let mut stopping = false;
        while let Some(first) = waiting.blocking_recv() {
            let (mut jobs, mut weight, mut next) = (Vec::new(), Weight::default(), Some(first));
            while let Some(message) = next.take() {
                match message {
                    Message::Write(job, more) => {
                        jobs.push(job);
                        weight.rows += more.rows;
                        weight.bytes += more.bytes;
                        if weight.rows < GROUP_ROWS && weight.bytes < GROUP_BYTES {
                            next = waiting.try_recv().ok();
                        }
                    }
                    Message::Checkpoint(mode, answer) => {
                        self.commit(std::mem::take(&mut jobs), std::mem::take(&mut weight));
                        // Who asked may have gone.
                        let _ = answer.send(self.checkpoint(mode));
                    }
                    Message::Stop => stopping = true,
                }
            }
            self.commit(jobs, weight);
            if stopping {
                // What is still in the queue gets its turn, then `blocking_recv` ends.
                waiting.close();
            }
        }
        if let Err(error) = self.checkpoint(Mode::Truncate) {
            tracing::warn!(%error, "the last checkpoint failed; the next start makes up for it");
        }
    }

    fn commit(&mut self, mut jobs: Vec<Box<dyn Job<S>>>, weight: Weight) {
        if jobs.is_empty() {
            return;
        }
        let mut outcome = self.transact(&mut jobs, false);
        if matches!(outcome, Err(Stopped::Again)) {
            outcome = self.transact(&mut jobs, true);
        }
        let answer = match outcome {
            Ok(erased) => {
                self.after_commit(weight, erased);
                Ok(())
            }
            Err(Stopped::Failed(error)) => Err(error),
            // With savepoints nothing asks for another run.
            Err(Stopped::Again) => {
                Err(StoreError::Internal { step: "write", source_text: "a savepoint did not hold".to_owned() })
            }
        };
        if let Err(error) = &answer {
            tracing::warn!(%error, jobs = jobs.len(), "a transaction was rolled back");
        }
        for job in jobs {
            job.answer(answer.clone());
        }
    }

    /// One transaction over all jobs. Answers whether it erased something.
    fn transact(&mut self, jobs: &mut [Box<dyn Job<S>>], careful: bool) -> Result<bool, Stopped> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.file.write().map_err(Stopped::Failed)?,
        };
        let result = self.run_jobs(&connection, jobs, careful);
        match &result {
            Ok(_) => self.state.settled(),
            Err(_) => self.state.undo(0),
        }
        let usable = match &result {
            Ok(_) => true,
            // A COMMIT that may or may not have happened: start from a connection that knows nothing of it.
            Err(Stopped::Failed(StoreError::Unknown { .. })) => false,
            Err(_) => connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok(),
        };
        if usable {
            self.connection = Some(connection);
        }
        result
    }

    fn run_jobs(
        &mut self,
        connection: &Connection,
        jobs: &mut [Box<dyn Job<S>>],
        careful: bool,
    ) -> Result<bool, Stopped> {
        let failed = |error: &rusqlite::Error| Stopped::Failed(fault("write", error));
        connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| failed(&error))?;
        let mut turn = Turn { connection, state: &mut self.state, careful, erased: false };
        for job in jobs {
            run_job(job.as_mut(), &mut turn)?;
        }
        let erased = turn.erased;
        connection.execute_batch("COMMIT").map_err(|error| Stopped::Failed(commit_fault("commit", &error)))?;
        Ok(erased)
    }

    fn after_commit(&mut self, weight: Weight, erased: bool) {
        if erased {
            self.wishes.erase();
        }
        self.rows += weight.rows.max(1);
        if self.rows < LOOK_ROWS {
            return;
        }
        self.rows = 0;
        let Some(connection) = &self.connection else { return };
        match log::length(connection) {
            Ok(frames) if frames >= log::BOUND_FRAMES => {
                // The checkpointer cannot keep up: now writers do pay.
                if let Err(error) = self.checkpoint(Mode::Truncate) {
                    tracing::warn!(%error, frames, "the log is too long and cannot be moved into the file");
                }
            }
            Ok(frames) if frames >= log::LONG_FRAMES => self.wishes.look(),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the log's length is not known"),
        }
    }

    fn checkpoint(&mut self, mode: Mode) -> Result<log::Report, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.file.write()?,
        };
        let report = log::checkpoint(&connection, mode);
        self.connection = Some(connection);
        report
    }
}

/// Runs one job; what it wrote stays only if it is done.
fn run_job<S: State>(job: &mut dyn Job<S>, turn: &mut Turn<'_, S>) -> Result<(), Stopped> {
    let connection = turn.connection;
    let step =
        |statement: &str| connection.execute_batch(statement).map_err(|error| Stopped::Failed(fault("write", &error)));
    let (before, mark) = (connection.total_changes(), turn.state.mark());
    if turn.careful {
        step("SAVEPOINT job")?;
    }
    match job.run(turn) {
        // Some errors make SQLite roll back by itself, whatever the job thinks of them.
        _ if connection.is_autocommit() => Err(Stopped::Failed(StoreError::Unavailable {
            step: "write",
            source_text: "the transaction was rolled back by the database".to_owned(),
        })),
        Attempt::Failed(error) => Err(Stopped::Failed(error)),
        Attempt::Done if turn.careful => step("RELEASE job"),
        Attempt::Done => Ok(()),
        Attempt::Refused if turn.careful => {
            turn.state.undo(mark);
            step("ROLLBACK TO job; RELEASE job")
        }
        Attempt::Refused if connection.total_changes() == before => {
            turn.state.undo(mark);
            Ok(())
        }
        Attempt::Refused => Err(Stopped::Again),
    }
}
