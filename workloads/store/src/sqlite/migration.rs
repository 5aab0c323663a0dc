//! Brings a file to the newest schema: forward only, one transaction a migration, the number in `PRAGMA user_version`.

use rusqlite::Connection;

use super::fault::{Step, fault};
use crate::StoreError;

/// What a kind of file holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// `PRAGMA application_id`: tells the files of Klatch from others, and its kinds from each other.
    pub(super) application_id: i32,
    /// For people.
    pub(super) noun: &'static str,
    /// The statements of migration 1, 2, ...
    pub(super) migrations: &'static [&'static str],
}

/// `KLdi`
pub(super) const DIRECTORY: Schema = Schema {
    application_id: 0x4b4c_6469,
    noun: "directory",
    migrations: &[
        include_str!("../../../../migrations/directory/sqlite/0001_slots.sql"),
        include_str!("../../../../migrations/directory/sqlite/0002_users.sql"),
        include_str!("../../../../migrations/directory/sqlite/0003_sessions.sql"),
        include_str!("../../../../migrations/directory/sqlite/0004_relations.sql"),
        include_str!("../../../../migrations/directory/sqlite/0005_rooms.sql"),
        include_str!("../../../../migrations/directory/sqlite/0006_replies.sql"),
        include_str!("../../../../migrations/directory/sqlite/0007_owed_commands.sql"),
    ],
};

/// `KLsh`
pub(super) const SHARD: Schema = Schema {
    application_id: 0x4b4c_7368,
    noun: "shard",
    migrations: &[
        include_str!("../../../../migrations/shard/sqlite/0001_rooms.sql"),
        include_str!("../../../../migrations/shard/sqlite/0002_entries.sql"),
        include_str!("../../../../migrations/shard/sqlite/0003_members.sql"),
        include_str!("../../../../migrations/shard/sqlite/0004_reactions.sql"),
        include_str!("../../../../migrations/shard/sqlite/0005_mentions.sql"),
        include_str!("../../../../migrations/shard/sqlite/0006_follow_ups.sql"),
    ],
};

impl Schema {
    fn newest(&self) -> usize {
        self.migrations.len()
    }
}

/// The schema number of the file, if this program can use it. Changes nothing.
///
/// # Errors
/// [`StoreError::Unusable`] for a newer file, another program's file and a damaged one.
pub(super) fn check_schema(connection: &Connection, schema: &Schema) -> Result<usize, StoreError> {
    const STEP: &str = "read the schema's number";
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).step(STEP);
    let (version, application_id) = (number("user_version")?, number("application_id")?);
    let refuse = |detail: String| Err(StoreError::Unusable { step: STEP, detail });
    if version == 0 {
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).step(STEP)?;
        return if tables == 0 && application_id == 0 {
            Ok(0)
        } else {
            refuse(format!("this file is not a {} of klatch", schema.noun))
        };
    }
    if application_id != i64::from(schema.application_id) {
        return refuse(format!("this file is not a {} of klatch", schema.noun));
    }
    match usize::try_from(version) {
        Ok(version) if version <= schema.newest() => Ok(version),
        _ => refuse(format!(
            "this data folder was written by a newer klatch (schema {version} of the {}, this program knows {}): start the newer program, or restore a backup",
            schema.noun,
            schema.newest()
        )),
    }
}

/// Applies what the file lacks.
///
/// # Errors
/// As [`check_schema`]; [`StoreError::Unavailable`] when the disk is full. A migration is done or not, never half.
pub(super) fn migrate(connection: &Connection, schema: &Schema) -> Result<(), StoreError> {
    let version = check_schema(connection, schema)?;
    for (index, statements) in schema.migrations.iter().enumerate().skip(version) {
        apply(connection, schema, index + 1, statements).map_err(|error| {
            // The error counts; a failed ROLLBACK only means that nothing is left to roll back.
            let _ = connection.execute_batch("ROLLBACK");
            fault("migrate", &error)
        })?;
    }
    Ok(())
}

fn apply(connection: &Connection, schema: &Schema, version: usize, statements: &str) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute_batch(statements)?;
    connection.pragma_update(None, "application_id", schema.application_id)?;
    connection.pragma_update(None, "user_version", version as i64)?;
    connection.execute_batch("COMMIT")
}
