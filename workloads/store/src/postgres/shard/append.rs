//! Appending: the hot path. A batch of plain entries is one statement, which is its own transaction.

use klatch_domain::RoomId;
use sqlx::{Error, postgres::PgRow};

use super::{
    super::{
        database::Transaction,
        fault::{Step, fault, is_connection_lost, is_data, is_fenced, is_retryable, is_unique_violation},
        sql::get,
    },
    PostgresShard, batch, effect,
    heads::Timeline,
    insert,
};
use crate::{
    StoreError,
    shard::{AppendError, Effect, Write},
};

const STEP: &str = "append";

/// How often a batch is tried when the server gives up on it for others' sake (deadlock, another timeline): each has
/// passed the second time, and whoever calls tries again as well.
const TRIES: usize = 3;

/// Reads no table. Text, as no number type of the wire holds it.
pub(super) const TIMELINE: &str = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)";

/// How one try ended.
enum Tried {
    Written,
    /// The server is of another timeline than what is remembered.
    OtherTimeline,
    /// Nothing of it was done.
    Refused(Error),
}

impl PostgresShard {
    /// Writes a batch.
    pub(super) async fn append_batch(&self, batch: Vec<Write>) -> Result<(), AppendError> {
        batch::check_numbers(&batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        let written = self.append_checked(&batch).await;
        if written.is_err() {
            self.heads.forget(batch.iter().map(|write| write.room));
        }
        written
    }

    async fn append_checked(&self, batch: &[Write]) -> Result<(), AppendError> {
        let mut last = None;
        for _ in 0..TRIES {
            let timeline = self.timeline().await?;
            if !self.follows_on(batch, &timeline).await? {
                return Err(self.diagnose(batch).await?.unwrap_or(AppendError::StaleHead(batch::old_rooms(batch))));
            }
            match self.try_append(batch, &timeline).await? {
                Tried::Written => {
                    self.heads.reached(&timeline, batch::reached(batch));
                    return Ok(());
                }
                Tried::OtherTimeline => self.heads.set_timeline(Timeline::new()),
                Tried::Refused(error) => {
                    if !is_retryable(&error) {
                        return Err(self.refused(batch, &error).await?);
                    }
                    last = Some(error);
                }
            }
        }
        let source_text = last.map_or_else(|| "the server changes its timeline".to_owned(), |error| error.to_string());
        Err(StoreError::Unavailable { step: STEP, source_text }.into())
    }

    /// The server's timeline, asked for when it is not known.
    async fn timeline(&self) -> Result<Timeline, StoreError> {
        let known = self.heads.timeline();
        if !known.is_empty() {
            return Ok(known);
        }
        let rows = self.writers.read("read the timeline", sqlx::query(TIMELINE)).await?;
        let timeline: Timeline = rows.first().map_or(Ok(Timeline::new()), |row| get(row, 0)).step(STEP)?;
        self.heads.set_timeline(timeline.clone());
        Ok(timeline)
    }

    /// Whether every log of the batch goes on without a gap, as far as is remembered; what is not is looked up. That
    /// nobody else was faster is for the unique index.
    async fn follows_on(&self, batch: &[Write], timeline: &str) -> Result<bool, StoreError> {
        let fresh = |room: &RoomId| self.heads.of(*room).is_none();
        let unknown: Vec<RoomId> = batch::old_rooms(batch).into_iter().filter(fresh).collect();
        if !unknown.is_empty() {
            self.load_heads(&unknown, timeline).await?;
        }
        let stale = batch::stale_rooms(batch, |room| self.heads.of(room));
        if stale.is_empty() {
            return Ok(true);
        }
        // Somebody else may have gone on.
        self.load_heads(&stale, timeline).await?;
        Ok(batch::stale_rooms(batch, |room| self.heads.of(room)).is_empty())
    }

    async fn load_heads(&self, rooms: &[RoomId], timeline: &str) -> Result<(), StoreError> {
        let places = self.place(rooms.iter().copied());
        let heads = self.query_heads(self.writers_of(&places), places).await?;
        self.heads.forget(rooms.iter().copied());
        self.heads.reached(timeline, heads.into_iter().map(|(room, head)| (room, head.position)));
        Ok(())
    }

    async fn try_append(&self, batch: &[Write], timeline: &str) -> Result<Tried, AppendError> {
        let statement = insert::statement(batch, |room| self.slot_of(room), timeline);
        if batch.iter().all(|write| write.effect == Effect::None) {
            return match self.writers.try_write(STEP, statement).await? {
                Ok(rows) => Ok(outcome(&rows)),
                Err(error) if is_connection_lost(&error) => Err(super::super::fault::commit_fault(STEP, &error).into()),
                Err(error) => Ok(Tried::Refused(error)),
            };
        }
        let mut transaction = self.writers.begin(STEP).await?;
        let tried = match transaction.fetch(statement).await {
            Ok(rows) => match outcome(&rows) {
                Tried::Written => self.apply_effects(&mut transaction, batch).await,
                other => Ok(other),
            },
            Err(error) => Ok(Tried::Refused(error)),
        };
        match tried {
            Ok(Tried::Written) => match transaction.commit().await {
                Ok(()) => Ok(Tried::Written),
                Err(error) if is_connection_lost(&error) => Err(super::super::fault::commit_fault(STEP, &error).into()),
                Err(error) => Ok(Tried::Refused(error)),
            },
            Ok(Tried::Refused(error)) if is_connection_lost(&error) => Err(fault(STEP, &error).into()),
            tried => {
                transaction.rollback().await;
                tried
            }
        }
    }

    async fn apply_effects(&self, transaction: &mut Transaction, batch: &[Write]) -> Result<Tried, AppendError> {
        for write in batch {
            match effect::apply(transaction, self.slot_of(write.room), write).await {
                Ok(()) => {}
                Err(effect::EffectError::Database(error)) => return Ok(Tried::Refused(error)),
                Err(effect::EffectError::Append(error)) => return Err(error),
            }
        }
        Ok(Tried::Written)
    }

    /// What a refusal of the database says of the batch.
    async fn refused(&self, batch: &[Write], error: &Error) -> Result<AppendError, StoreError> {
        if is_fenced(error) {
            return Ok(AppendError::Fenced);
        }
        if is_unique_violation(error) {
            let found = self.diagnose(batch).await?;
            // Whoever was in the way is gone again.
            let gone = || StoreError::Unavailable { step: STEP, source_text: error.to_string() };
            return found.ok_or_else(gone);
        }
        if is_data(error) {
            return Ok(AppendError::Data(error.to_string()));
        }
        Ok(AppendError::Store(fault(STEP, error)))
    }
}

/// The statement answers with the number of rows it wrote: none when the timeline is another.
fn outcome(rows: &[PgRow]) -> Tried {
    match rows.first().map(|row| get::<'_, i64>(row, 0)) {
        Some(Ok(0)) | None => Tried::OtherTimeline,
        Some(Ok(_)) => Tried::Written,
        Some(Err(error)) => Tried::Refused(error),
    }
}
