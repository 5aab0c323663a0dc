//! What runs in a transaction of the writer.

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{StoreError, directory::UserError, shard::AppendError};

/// What the writing thread keeps in memory of its file. It must not remember what was rolled back.
pub(super) trait State: Send + 'static {
    /// A point to which [`Self::undo`] can go back.
    fn mark(&self) -> usize;
    /// Forgets what was learnt from writes after `mark`.
    fn undo(&mut self, mark: usize);
    /// The transaction is committed; marks start at 0 again.
    fn settled(&mut self);
}

impl State for () {
    fn mark(&self) -> usize {
        0
    }
    fn undo(&mut self, _mark: usize) {}
    fn settled(&mut self) {}
}

/// A job's turn in a transaction.
pub(super) struct Turn<'a, S> {
    pub(super) connection: &'a Connection,
    pub(super) state: &'a mut S,
    /// A job of this group was refused after it had written: better look before writing.
    pub(super) careful: bool,
    /// Set when a body was removed: the log is cut off soon, as it still holds older copies of pages.
    pub(super) erased: bool,
}

/// How a job ended.
pub(super) enum Attempt {
    /// It stays, if the transaction does.
    Done,
    /// It is rolled back; its answer says why.
    Refused,
    /// The database cannot write: nobody's job is done.
    Failed(StoreError),
}

/// One caller's work.
pub(super) trait Job<S>: Send {
    /// Runs it; a second time only after the first was rolled back.
    fn run(&mut self, turn: &mut Turn<'_, S>) -> Attempt;
    /// Says to the caller what became of it.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Errors of jobs: which of them concern the database and not the job.
pub(super) trait JobError: From<StoreError> + Send + 'static {
    /// The database's error in it.
    fn store(&self) -> Option<&StoreError>;
}

impl JobError for StoreError {
    fn store(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl JobError for AppendError {
    fn store(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl JobError for UserError {
    fn store(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

/// A job made of a closure and a caller who waits.
pub(super) struct Call<T, E, F> {
    work: F,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Call<T, E, F> {
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, answered) = oneshot::channel();
        (Self { work, outcome: None, answer }, answered)
    }
}

impl<S, T, E, F> Job<S> for Call<T, E, F>
where
    T: Send,
    E: JobError,
    F: FnMut(&mut Turn<'_, S>) -> Result<T, E> + Send,
{
    fn run(&mut self, turn: &mut Turn<'_, S>) -> Attempt {
        let outcome = (self.work)(turn);
        let attempt = match &outcome {
            Ok(_) => Attempt::Done,
            Err(error) => match error.store() {
                None | Some(StoreError::Internal { .. }) => Attempt::Refused,
                Some(environment) => Attempt::Failed(environment.clone()),
            },
        };
        self.outcome = Some(outcome);
        attempt
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            // A refusal may rest on rows that were rolled back as well, so it does not stand either.
            (Err(error), _) => Err(E::from(error)),
            (Ok(()), None) => {
                Err(E::from(StoreError::Internal { step: "write", source_text: "a job had no turn".to_owned() }))
            }
        };
        // Who asked may have gone.
        let _ = self.answer.send(answer);
    }
}
