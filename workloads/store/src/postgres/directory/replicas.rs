//! Reads that may go to a replica.
//!
//! A replica answers only when it has replayed at least what this process has written, and what the primary held some
//! moment ago; else the primary does. So nobody misses their own change, and a replica that hangs is not read from.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sqlx::postgres::PgRow;

use super::super::{
    database::{Database, Statement},
    fault::Step,
    sql::get,
};
use crate::StoreError;

/// How old the primary's position may be that a replica must have reached: what others have written shows at most so much
/// later.
const POSITION_AGE: Duration = Duration::from_secs(1);

/// The primary's position in its write-ahead log, as bytes from its beginning.
const WRITTEN: &str = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint";
/// The replica's.
const REPLAYED: &str = "SELECT coalesce(pg_last_wal_replay_lsn() - '0/0'::pg_lsn, 0)::bigint";

/// A position of the primary.
#[derive(Debug, Clone, Copy)]
struct Sample {
    position: i64,
    taken: Instant,
    /// How many writes of this process it surely holds.
    writes: u64,
}

pub(super) struct Replicas {
    primary: Database,
    replicas: Vec<Database>,
    next: AtomicUsize,
    writes: AtomicU64,
    sample: Mutex<Option<Sample>>,
}

impl Replicas {
    pub(super) fn new(primary: Database, replicas: Vec<Database>) -> Self {
        Self { primary, replicas, next: AtomicUsize::new(0), writes: AtomicU64::new(0), sample: Mutex::new(None) }
    }

    /// Something was written, or may have been.
    pub(super) fn wrote(&self) {
        self.writes.fetch_add(1, Ordering::AcqRel);
    }

    /// Asks a replica that has come far enough, else the primary.
    pub(super) async fn read(
        &self,
        step: &'static str,
        statement: impl Fn() -> Statement,
    ) -> Result<Vec<PgRow>, StoreError> {
        if self.replicas.is_empty() {
            return self.primary.read(step, statement()).await;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.replicas.len();
        match self.read_replica(&self.replicas[turn], step, &statement).await {
            Ok(Some(rows)) => Ok(rows),
            Ok(None) => self.primary.read(step, statement()).await,
            Err(error) => {
                tracing::debug!(%error, "a replica did not answer; the primary does");
                self.primary.read(step, statement()).await
            }
        }
    }

    /// None when the replica has not come far enough. Replay never goes back, so that it had before it is asked counts.
    async fn read_replica(
        &self,
        replica: &Database,
        step: &'static str,
        statement: &impl Fn() -> Statement,
    ) -> Result<Option<Vec<PgRow>>, StoreError> {
        let needed = self.position().await?;
        let replayed = bytes(&replica.read(step, sqlx::query(REPLAYED)).await?, step)?;
        if replayed < needed {
            return Ok(None);
        }
        replica.read(step, statement()).await.map(Some)
    }

    async fn position(&self) -> Result<i64, StoreError> {
        const STEP: &str = "read the primary's position";
        let writes = self.writes.load(Ordering::Acquire);
        let known = *self.sample.lock();
        if let Some(sample) = known
            && sample.writes >= writes
            && sample.taken.elapsed() < POSITION_AGE
        {
            return Ok(sample.position);
        }
        let taken = Instant::now();
        let position = bytes(&self.primary.read(STEP, sqlx::query(WRITTEN)).await?, STEP)?;
        *self.sample.lock() = Some(Sample { position, taken, writes });
        Ok(position)
    }
}

fn bytes(rows: &[PgRow], step: &'static str) -> Result<i64, StoreError> {
    rows.first().map_or(Ok(0), |row| get(row, 0)).step(step)
}
