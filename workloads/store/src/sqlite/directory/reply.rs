//! Answers kept for requests that are repeated.

use async_trait::async_trait;
use klatch_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{super::fault::Step, SqliteDirectory};
use crate::{StoreError, directory::Replies};

const READ: &str = "read a kept answer";
const WRITE: &str = "keep an answer";

fn find(connection: &Connection, key: &str, since: Timestamp) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT answer FROM replies WHERE key = ?1 AND at >= ?2")?
        .query_row(params![key, since.as_millis()], |row| row.get(0))
        .optional()
}

#[async_trait]
impl Replies for SqliteDirectory {
    async fn reply(&self, key: &str, since: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let key = key.to_owned();
        self.read(READ, move |connection| find(connection, &key, since).step(READ)).await
    }

    async fn keep_reply(
        &self,
        key: &str,
        answer: &[u8],
        at: Timestamp,
        since: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        let (key, answer) = (key.to_owned(), answer.to_vec());
        self.write(WRITE, move |turn| {
            let connection = turn.connection;
            let dropped = connection
                .prepare_cached("DELETE FROM replies WHERE at < ?1")
                .and_then(|mut statement| statement.execute([since.as_millis()]))
                .step(WRITE)?;
            // Answers may hold tokens.
            turn.erased |= dropped > 0;
            if let Some(known) = find(connection, &key, since).step(WRITE)? {
                return Ok(known);
            }
            connection
                .prepare_cached("INSERT INTO replies (key, answer, at) VALUES (?1, ?2, ?3)")
                .and_then(|mut statement| statement.execute(params![key, answer, at.as_millis()]))
                .step(WRITE)?;
            Ok(answer.clone())
        })
        .await
    }
}
