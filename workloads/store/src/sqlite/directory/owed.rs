//! Commands owed to rooms.

use async_trait::async_trait;
use klatch_domain::{Command, RoomId};
use rusqlite::{Connection, params};

use super::{
    super::{
        fault::{Step, damaged},
        job::JobError,
        sql::{number, signed},
    },
    SqliteDirectory,
};
use crate::{
    StoreError,
    owed::{OWED_TO_ROOM, Owed, OwedCommands},
};

const READ: &str = "read owed commands";
const KEEP: &str = "keep owed commands";
const SETTLE: &str = "settle owed commands";

/// Why a change that owes something was not made.
#[derive(Debug, Clone)]
pub(super) enum OwingError {
    /// A room is owed [`OWED_TO_ROOM`] already. Concerns this change alone, not what shares its transaction.
    Full,
    /// As for every call.
    Store(StoreError),
}

impl From<StoreError> for OwingError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl JobError for OwingError {
    fn store(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<OwingError> for StoreError {
    fn from(error: OwingError) -> Self {
        match error {
            OwingError::Full => {
                let source_text = format!("{OWED_TO_ROOM} commands wait to be done in one room");
                Self::Unavailable { step: KEEP, source_text }
            }
            OwingError::Store(error) => error,
        }
    }
}

/// Keeps these commands in the transaction under way.
///
/// # Errors
/// [`OwingError`].
pub(super) fn keep(connection: &Connection, commands: &[Command]) -> Result<(), OwingError> {
    for command in commands {
        let owed: i64 = connection
            .prepare_cached("SELECT count(*) FROM owed_commands WHERE room = ?1")
            .and_then(|mut count| count.query_row([command.room.as_bytes()], |row| row.get(0)))
            .step(KEEP)?;
        if owed >= signed(OWED_TO_ROOM as u64) {
            return Err(OwingError::Full);
        }
        let text = serde_json::to_string(command)
            .map_err(|error| StoreError::Internal { step: KEEP, source_text: error.to_string() })?;
        connection
            .prepare_cached("INSERT INTO owed_commands (room, command) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![command.room.as_bytes(), text]))
            .step(KEEP)?;
    }
    Ok(())
}

fn read(connection: &Connection, room: Option<RoomId>, after: u64, limit: usize) -> Result<Vec<Owed>, StoreError> {
    let (after, limit) = (signed(after), signed(limit as u64));
    let line = |row: &rusqlite::Row<'_>| Ok((number(row, 0)?, row.get::<_, String>(1)?));
    let rows: rusqlite::Result<Vec<_>> = match room {
        Some(room) => connection
            .prepare_cached(
                "SELECT place, command FROM owed_commands WHERE room = ?1 AND place > ?2 ORDER BY place LIMIT ?3",
            )
            .and_then(|mut find| find.query_map(params![room.as_bytes(), after, limit], line)?.collect()),
        None => connection
            .prepare_cached("SELECT place, command FROM owed_commands WHERE place > ?1 ORDER BY place LIMIT ?2")
            .and_then(|mut find| find.query_map([after, limit], line)?.collect()),
    };
    let owed = rows.step(READ)?.into_iter().map(|(place, text)| {
        let command = serde_json::from_str(&text).map_err(|_| damaged(READ, "an owed command"))?;
        Ok(Owed { place, command })
    });
    owed.collect()
}

#[async_trait]
impl OwedCommands for SqliteDirectory {
    async fn owed(&self, room: Option<RoomId>, after: u64, limit: usize) -> Result<Vec<Owed>, StoreError> {
        self.read(READ, move |connection| read(connection, room, after, limit)).await
    }

    async fn settle_owed(&self, places: &[u64]) -> Result<(), StoreError> {
        let places = places.to_vec();
        self.write(SETTLE, move |turn| {
            for place in &places {
                turn.connection
                    .prepare_cached("DELETE FROM owed_commands WHERE place = ?1")
                    .and_then(|mut delete| delete.execute([signed(*place)]))
                    .step(SETTLE)?;
            }
            Ok(())
        })
        .await
    }
}
