//! The directory in one PostgreSQL database, and its replicas.

mod friendship;
mod lock;
mod owed;
mod projection;
mod replicas;
mod reply;
mod room;
mod session;
mod slot_map;
mod user;

use sqlx::postgres::PgRow;

use self::replicas::Replicas;
pub(super) use self::slot_map::init_slot_map;
use super::{
    database::{Database, Statement, Transaction},
    fault::Step,
};
use crate::StoreError;

/// The directory: its primary, and replicas that take the reads which may go there.
pub struct PostgresDirectory {
    primary: Database,
    replicas: Replicas,
}

impl PostgresDirectory {
    pub(super) fn new(primary: Database, replicas: Vec<Database>) -> Self {
        Self { replicas: Replicas::new(primary.clone(), replicas), primary }
    }

    /// A read that must not lag.
    async fn read(&self, step: &'static str, statement: Statement) -> Result<Vec<PgRow>, StoreError> {
        self.primary.read(step, statement).await
    }

    /// A read that a replica may answer: what this process has written shows in it, what others have a moment later.
    async fn read_anywhere(
        &self,
        step: &'static str,
        statement: impl Fn() -> Statement,
    ) -> Result<Vec<PgRow>, StoreError> {
        self.replicas.read(step, statement).await
    }

    /// A change that is one statement.
    async fn write(&self, step: &'static str, statement: Statement) -> Result<Vec<PgRow>, StoreError> {
        let written = self.primary.write(step, statement).await;
        self.replicas.wrote();
        written
    }

    async fn begin(&self, step: &'static str) -> Result<Transaction, StoreError> {
        self.primary.begin(step).await
    }

    /// Ends a transaction as its outcome says.
    async fn end<T, E: From<StoreError>>(
        &self,
        step: &'static str,
        transaction: Transaction,
        outcome: Result<T, E>,
    ) -> Result<T, E> {
        match outcome {
            Ok(value) => {
                let committed = transaction.commit().await.commit_step(step);
                self.replicas.wrote();
                committed?;
                Ok(value)
            }
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        }
    }
}
