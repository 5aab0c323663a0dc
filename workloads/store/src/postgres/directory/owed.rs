//! Commands owed to rooms.

use std::collections::HashMap;

use async_trait::async_trait;
use klatch_domain::{Command, RoomId};
use sqlx::postgres::PgRow;

use super::{
    super::{
        database::Transaction,
        fault::{Step, damaged},
        sql::{get, number, signed},
    },
    PostgresDirectory, lock,
};
use crate::{
    StoreError,
    owed::{OWED_TO_ROOM, Owed, OwedCommands},
};

const READ: &str = "read owed commands";
const KEEP: &str = "keep owed commands";
const SETTLE: &str = "settle owed commands";

/// Keeps these commands in the transaction under way. Their rooms are locked until it ends: of one room, a lower place is
/// never committed after a higher one.
///
/// # Errors
/// [`StoreError::Unavailable`] when a room is owed [`OWED_TO_ROOM`] already.
pub(super) async fn keep(transaction: &mut Transaction, commands: &[Command]) -> Result<(), StoreError> {
    if commands.is_empty() {
        return Ok(());
    }
    lock::rooms(transaction, commands.iter().map(|command| command.room)).await.step(KEEP)?;
    check_bounds(transaction, commands).await?;
    let (mut rooms, mut texts) = (Vec::with_capacity(commands.len()), Vec::with_capacity(commands.len()));
    for command in commands {
        rooms.push(command.room.uuid());
        texts.push(
            serde_json::to_string(command)
                .map_err(|error| StoreError::Internal { step: KEEP, source_text: error.to_string() })?,
        );
    }
    let statement = sqlx::query(
        "INSERT INTO owed_commands (room, command) \
         SELECT o.room, o.command FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY o (room, command, place) \
         ORDER BY o.place",
    )
    .bind(rooms)
    .bind(texts);
    transaction.execute(statement).await.step(KEEP)
}

async fn check_bounds(transaction: &mut Transaction, commands: &[Command]) -> Result<(), StoreError> {
    let mut more: HashMap<RoomId, usize> = HashMap::new();
    for command in commands {
        *more.entry(command.room).or_default() += 1;
    }
    for (room, more) in more {
        let count = "SELECT count(*) FROM owed_commands WHERE room = $1";
        let rows = transaction.fetch(sqlx::query(count).bind(room.uuid())).await.step(KEEP)?;
        let owed = rows.first().map_or(Ok(0), |row| number(row, 0)).step(KEEP)?;
        if owed + more as u64 > OWED_TO_ROOM as u64 {
            let source_text = format!("{OWED_TO_ROOM} commands wait to be done in one room");
            return Err(StoreError::Unavailable { step: KEEP, source_text });
        }
    }
    Ok(())
}

fn owed(row: &PgRow) -> Result<Owed, StoreError> {
    let text: String = get(row, 1).step(READ)?;
    let command = serde_json::from_str(&text).map_err(|_| damaged(READ, "an owed command"))?;
    Ok(Owed { place: number(row, 0).step(READ)?, command })
}

#[async_trait]
impl OwedCommands for PostgresDirectory {
    async fn owed(&self, room: Option<RoomId>, after: u64, limit: usize) -> Result<Vec<Owed>, StoreError> {
        let statement = match room {
            Some(_) => sqlx::query(
                "SELECT place, command FROM owed_commands WHERE place > $1 AND room = $3 ORDER BY place LIMIT $2",
            ),
            None => sqlx::query("SELECT place, command FROM owed_commands WHERE place > $1 ORDER BY place LIMIT $2"),
        };
        let mut statement = statement.bind(signed(after)).bind(signed(limit as u64));
        if let Some(room) = room {
            statement = statement.bind(room.uuid());
        }
        self.read(READ, statement).await?.iter().map(owed).collect()
    }

    async fn settle_owed(&self, places: &[u64]) -> Result<(), StoreError> {
        let places: Vec<i64> = places.iter().map(|place| signed(*place)).collect();
        let settle = "DELETE FROM owed_commands WHERE place = ANY($1)";
        self.write(SETTLE, sqlx::query(settle).bind(places)).await.map(|_| ())
    }
}
