//! One database: its pool, single statements, and transactions. Nothing here relies on a session's state, so that a pooler
//! may give every transaction another server connection.

use std::{future::Future, io, time::Duration};

use sqlx::{
    Connection as _, Error, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
    query::Query,
};
use tokio::time::timeout;

use super::{
    fault::{Step, is_connection_lost},
    options::{
        ACQUIRE_TIMEOUT, CONNECT_TIMEOUT, Endpoint, IDLE_BEFORE_PING, IDLE_TIMEOUT, LIFETIME, Pooler, STATEMENT_TIMEOUT,
    },
};
use crate::StoreError;

/// A statement with its parameters.
pub(super) type Statement = Query<'static, Postgres, PgArguments>;

/// A pool of connections to one database. Connects when it is first used.
#[derive(Clone)]
pub(super) struct Database {
    pool: PgPool,
    prepared: bool,
}

impl Database {
    pub(super) fn new(endpoint: &Endpoint, connections: u32) -> Self {
        Self::with(endpoint, endpoint.connect_options(), connections)
    }

    fn with(endpoint: &Endpoint, options: PgConnectOptions, connections: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(LIFETIME)
            .test_before_acquire(false)
            .before_acquire(|connection, metadata| {
                Box::pin(async move {
                    if metadata.idle_for >= IDLE_BEFORE_PING {
                        within(CONNECT_TIMEOUT, connection.ping()).await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Self { pool, prepared: endpoint.pooler != Pooler::Unprepared }
    }

    /// A pool for statements over several slots: they are planned once a connection, for every leaf, and meet only those
    /// they are about when they run (`plan_cache_mode`). Behind a pooler the server decides, which costs time and nothing else.
    pub(super) fn planning_once(endpoint: &Endpoint, connections: u32) -> Self {
        Self::with(endpoint, endpoint.connect_options_planning_once(), connections)
    }

    /// Ends all connections, once they are idle.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    async fn connection(&self, step: &'static str) -> Result<Lease, StoreError> {
        let connection = self.pool.acquire().await.step(step)?;
        Ok(Lease { connection, settled: false })
    }

    /// The rows of a statement that changes nothing.
    pub(super) async fn read(&self, step: &'static str, statement: Statement) -> Result<Vec<PgRow>, StoreError> {
        if !self.prepared {
            let mut transaction = self.begin(step).await?;
            let rows = transaction.fetch(statement).await.step(step)?;
            transaction.commit().await.step(step)?;
            return Ok(rows);
        }
        self.connection(step).await?.fetch(statement, true).await.step(step)
    }

    /// The rows of a statement that is a transaction of its own.
    pub(super) async fn write(&self, step: &'static str, statement: Statement) -> Result<Vec<PgRow>, StoreError> {
        self.try_write(step, statement).await?.commit_step(step)
    }

    /// As [`Self::write`], for callers who tell the refusals apart. The outer error: nothing was tried.
    pub(super) async fn try_write(
        &self,
        step: &'static str,
        statement: Statement,
    ) -> Result<Result<Vec<PgRow>, Error>, StoreError> {
        if self.prepared {
            return Ok(self.connection(step).await?.fetch(statement, true).await);
        }
        let mut transaction = self.begin(step).await?;
        let rows = match transaction.fetch(statement).await {
            Ok(rows) => rows,
            Err(error) if is_connection_lost(&error) => return error_of(step, &error),
            Err(error) => {
                transaction.rollback().await;
                return Ok(Err(error));
            }
        };
        Ok(transaction.commit().await.map(|()| rows))
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, step: &'static str) -> Result<Transaction, StoreError> {
        self.begin_as(step, "BEGIN").await
    }

    async fn begin_as(&self, step: &'static str, begin: &'static str) -> Result<Transaction, StoreError> {
        let mut lease = self.connection(step).await?;
        lease.run(begin).await.step(step)?;
        lease.settled = false;
        Ok(Transaction { lease, prepared: self.prepared })
    }
}

/// Before COMMIT a lost connection has changed nothing.
fn error_of<T>(step: &'static str, error: &Error) -> Result<T, StoreError> {
    Err(super::fault::fault(step, error))
}

/// A connection that goes back to the pool only when it is known to be in order: one dropped half way is closed.
struct Lease {
    connection: PoolConnection<Postgres>,
    settled: bool,
}

impl Lease {
    async fn fetch(&mut self, statement: Statement, prepared: bool) -> Result<Vec<PgRow>, Error> {
        self.settled = false;
        let connection: &mut PgConnection = &mut self.connection;
        let rows = within(STATEMENT_TIMEOUT, statement.persistent(prepared).fetch_all(connection)).await;
        self.settle(rows.as_ref().err());
        rows
    }

    /// By the simple protocol: nothing is prepared.
    async fn run(&mut self, statement: &'static str) -> Result<(), Error> {
        self.settled = false;
        let connection: &mut PgConnection = &mut self.connection;
        let done = within(STATEMENT_TIMEOUT, sqlx::raw_sql(statement).execute(connection)).await;
        self.settle(done.as_ref().err());
        done.map(|_| ())
    }

    fn settle(&mut self, error: Option<&Error>) {
        self.settled = !error.is_some_and(is_connection_lost);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.settled {
            self.connection.close_on_drop();
        }
    }
}

/// A transaction. Dropped without COMMIT it takes its connection with it, which rolls it back.
pub(super) struct Transaction {
    lease: Lease,
    prepared: bool,
}

impl Transaction {
    /// The rows of a statement in it.
    pub(super) async fn fetch(&mut self, statement: Statement) -> Result<Vec<PgRow>, Error> {
        let rows = self.lease.fetch(statement, self.prepared).await;
        // In order only after its end.
        self.lease.settled = false;
        rows
    }

    /// How many rows a statement returns.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<(), Error> {
        self.fetch(statement).await.map(|_| ())
    }

    /// Synced to disk when it is `Ok`.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.lease.run("COMMIT").await
    }

    /// Gives the connection back in order.
    pub(super) async fn rollback(mut self) {
        if let Err(error) = self.lease.run("ROLLBACK").await {
            tracing::debug!(%error, "a rollback did not get through; its connection is closed");
        }
    }
}

/// Too late is as good as lost: the connection is then closed.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let late = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs()));
        Err(Error::Io(late))
    })
}
