//! Answers kept for requests that are repeated.

use async_trait::async_trait;
use klatch_domain::Timestamp;

use super::{
    super::{fault::Step, sql::get},
    PostgresDirectory,
};
use crate::{StoreError, directory::Replies};

const READ: &str = "read a kept answer";
const WRITE: &str = "keep an answer";

/// Old answers dropped on the way of a new one: more than one, so that they get fewer, and few enough to cost nothing.
const DROPPED: i64 = 100;

const FIND: &str = "SELECT answer FROM replies WHERE key = $1 AND at >= $2";

#[async_trait]
impl Replies for PostgresDirectory {
    async fn reply(&self, key: &str, since: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.read(READ, sqlx::query(FIND).bind(key.to_owned()).bind(since.as_millis())).await?;
        rows.first().map(|row| get(row, 0)).transpose().step(READ)
    }

    async fn keep_reply(
        &self,
        key: &str,
        answer: &[u8],
        at: Timestamp,
        since: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        let drop_old = sqlx::query(
            "DELETE FROM replies WHERE key IN (SELECT key FROM replies WHERE at < $1 ORDER BY at LIMIT $2 \
             FOR UPDATE SKIP LOCKED)",
        )
        .bind(since.as_millis())
        .bind(DROPPED);
        self.write(WRITE, drop_old).await?;
        let keep = sqlx::query(
            "INSERT INTO replies AS r (key, answer, at) VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE \
             SET answer = excluded.answer, at = excluded.at WHERE r.at < $4",
        )
        .bind(key.to_owned())
        .bind(answer.to_vec())
        .bind(at.as_millis())
        .bind(since.as_millis());
        self.write(WRITE, keep).await?;
        let kept = self.reply(key, since).await?;
        // Gone only when somebody else's `since` is later than this caller's `at`.
        Ok(kept.unwrap_or_else(|| answer.to_vec()))
    }
}
