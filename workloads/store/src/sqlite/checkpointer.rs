//! Moves the log of one file into the file, beside the writer, so that no commit waits for it.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    fault::closed,
    file::File,
    log::{self, Mode, Report},
};
use crate::StoreError;

/// After something was erased the log is cut off at most this often: cutting makes the next commits a little slower.
const ERASE_EVERY: Duration = Duration::from_secs(10);
/// When readers were in the way.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Tries of a checkpoint that somebody waits for: 10 s with [`RETRY_AFTER`].
const FORCED_TRIES: usize = 100;
/// Rounds beside the writer before it is asked to stand still for the rest.
const ROUNDS: usize = 4;
/// What is left over for the writer's standstill, frames: a few milliseconds.
const REST_FRAMES: u64 = 512;

/// What the thread does in its file's writer: the shard's has bodies of deleted rooms to empty as well.
pub(super) trait Upkeep: Send + Sync + 'static {
    /// Empties what is marked to be emptied, all of it.
    fn empty(&self) -> Result<(), StoreError>;
    /// Checkpoints between two transactions.
    fn checkpoint(&self, mode: Mode) -> Result<Report, StoreError>;
}

/// What others want of the checkpointer.
#[derive(Default)]
pub(super) struct Wishes {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    look: bool,
    erase: bool,
    stop: bool,
    /// As many as calls that wait.
    force: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Wishes {
    /// The log is long.
    pub(super) fn look(&self) {
        self.wanted.lock().look = true;
        self.changed.notify_one();
    }

    /// A body was removed and committed.
    pub(super) fn erase(&self) {
        self.wanted.lock().erase = true;
        self.changed.notify_one();
    }

    /// Everything into the file, now; returns when the log is empty.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when readers were in the way all the time.
    pub(super) async fn force(&self) -> Result<(), StoreError> {
        const STEP: &str = "checkpoint";
        let (answer, answered) = oneshot::channel();
        {
            let mut wanted = self.wanted.lock();
            if wanted.stop {
                return Err(closed(STEP));
            }
            wanted.force.push(answer);
        }
        self.changed.notify_one();
        answered.await.map_err(|_| closed(STEP))?
    }
}

/// The thread.
pub(super) struct Checkpointer {
    wishes: Arc<Wishes>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    /// Starts it.
    pub(super) fn start(file: &File, wishes: Arc<Wishes>, upkeep: Arc<dyn Upkeep>) -> Result<Self, StoreError> {
        let connection = file.write()?;
        let mut work = Work { connection, wishes: Arc::clone(&wishes), upkeep, cut: Instant::now(), erase: false };
        let thread =
            thread::Builder::new().name("store-log".to_owned()).spawn(move || work.run()).map_err(|error| {
                StoreError::Unavailable { step: "start a checkpointing thread", source_text: error.to_string() }
            })?;
        Ok(Self { wishes, thread: Mutex::new(Some(thread)) })
    }

    /// Ends it.
    pub(super) fn stop(&self) {
        self.wishes.wanted.lock().stop = true;
        self.wishes.changed.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("a checkpointing thread had panicked");
        }
    }
}

struct Work {
    connection: Connection,
    wishes: Arc<Wishes>,
    upkeep: Arc<dyn Upkeep>,
    /// When the log was last cut off.
    cut: Instant,
    /// Something was erased since.
    erase: bool,
}

impl Work {
    fn run(&mut self) {
        // What the last life left to empty.
        self.erase = self.upkeep.empty().is_err();
        loop {
            let (look, force) = match self.next() {
                Some(wanted) => wanted,
                None => return,
            };
            if !force.is_empty() {
                let outcome = self.forced();
                for answer in force {
                    // Who asked may have gone.
                    let _ = answer.send(outcome.clone());
                }
            } else if self.erase && self.cut.elapsed() >= ERASE_EVERY {
                self.report(Self::cut_off);
            } else if look {
                self.report(Self::shorten);
            }
        }
    }

    /// Waits until there is something to do; None: stop.
    #[allow(clippy::type_complexity)] // two things, named where they are bound
    fn next(&mut self) -> Option<(bool, Vec<oneshot::Sender<Result<(), StoreError>>>)> {
        let mut wanted = self.wishes.wanted.lock();
        loop {
            if wanted.stop {
                return None;
            }
            self.erase |= std::mem::take(&mut wanted.erase);
            let (look, force) = (std::mem::take(&mut wanted.look), std::mem::take(&mut wanted.force));
            let due = self.erase.then(|| ERASE_EVERY.saturating_sub(self.cut.elapsed()));
            if look || !force.is_empty() || due == Some(Duration::ZERO) {
                return Some((look, force));
            }
            match due {
                Some(due) => {
                    self.wishes.changed.wait_for(&mut wanted, due);
                }
                None => self.wishes.changed.wait(&mut wanted),
            }
        }
    }

    fn forced(&mut self) -> Result<(), StoreError> {
        for _ in 0..FORCED_TRIES {
            if self.cut_off()? {
                return Ok(());
            }
            if self.wishes.wanted.lock().stop {
                return Err(closed("checkpoint"));
            }
            thread::sleep(RETRY_AFTER);
        }
        Err(StoreError::Unavailable {
            step: "checkpoint",
            source_text: "somebody reads an old state of the file all the time".to_owned(),
        })
    }

    /// For work that nobody waits for.
    fn report(&mut self, work: fn(&mut Self) -> Result<bool, StoreError>) {
        match work(self) {
            Ok(true) => return,
            Ok(false) => tracing::debug!("a reader keeps the log from starting over"),
            Err(error) => tracing::warn!(%error, "the log was not moved into its file"),
        }
        thread::sleep(RETRY_AFTER);
        self.wishes.look();
    }

    /// The log starts over, without being cut: overwriting it is cheaper than growing it anew.
    fn shorten(&mut self) -> Result<bool, StoreError> {
        self.move_beside()?;
        Ok(!self.upkeep.checkpoint(Mode::Restart)?.blocked)
    }

    /// No old copy of any page is left.
    fn cut_off(&mut self) -> Result<bool, StoreError> {
        self.upkeep.empty()?;
        self.move_beside()?;
        // What was wished until now is committed, so this cut covers it; what comes later is a wish of its own.
        self.wishes.wanted.lock().erase = false;
        self.erase = true;
        let blocked = self.upkeep.checkpoint(Mode::Truncate)?.blocked;
        self.erase = blocked;
        if !blocked {
            self.cut = Instant::now();
        }
        Ok(!blocked)
    }

    fn move_beside(&self) -> Result<(), StoreError> {
        for _ in 0..ROUNDS {
            let report = log::checkpoint(&self.connection, Mode::Passive)?;
            if report.frames.saturating_sub(report.moved) <= REST_FRAMES {
                break;
            }
        }
        Ok(())
    }
}
