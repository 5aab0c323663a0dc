//! Which data folder a file belongs to: files of two folders are never mixed up unnoticed.

use klatch_domain::ShardId;
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Step;
use crate::StoreError;

const STEP: &str = "check whose file it is";

/// The folder as its directory knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder {
    pub(super) id: [u8; 16],
    /// Every shard was made once: a missing file is a loss.
    pub(super) shards_made: bool,
}

/// The folder's row in its directory, made when it is not there.
pub(super) fn folder(directory: &Connection) -> Result<Folder, StoreError> {
    let find = || {
        directory
            .query_row("SELECT folder, shards_made FROM data_folder", [], |row| {
                Ok(Folder { id: row.get(0)?, shards_made: row.get(1)? })
            })
            .optional()
            .step(STEP)
    };
    if let Some(folder) = find()? {
        return Ok(folder);
    }
    let folder = Folder { id: uuid::Uuid::new_v4().into_bytes(), shards_made: false };
    directory.execute("INSERT INTO data_folder (folder) VALUES (?1)", [folder.id]).step(STEP)?;
    Ok(folder)
}

/// Notes that every shard is there.
pub(super) fn note_shards_made(directory: &Connection) -> Result<(), StoreError> {
    directory.execute("UPDATE data_folder SET shards_made = 1", []).map(|_| ()).step(STEP)
}

/// Whether the file is this shard of this folder; a new file becomes it.
///
/// # Errors
/// [`StoreError::Unusable`] when it is another's.
pub(super) fn check_identity(connection: &Connection, folder: [u8; 16], shard: ShardId) -> Result<(), StoreError> {
    let known: Option<([u8; 16], u16)> = connection
        .query_row("SELECT folder, shard FROM identity", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .step(STEP)?;
    match known {
        None => connection
            .execute("INSERT INTO identity (folder, shard) VALUES (?1, ?2)", params![folder, shard.0])
            .map(|_| ())
            .step(STEP),
        Some(known) if known == (folder, shard.0) => Ok(()),
        Some((_, number)) => Err(StoreError::Unusable {
            step: STEP,
            detail: format!(
                "shard-{}.sqlite is shard {number} of another data folder: restore all files of one backup together",
                shard.0
            ),
        }),
    }
}
