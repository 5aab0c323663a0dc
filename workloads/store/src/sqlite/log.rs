//! The write-ahead log of a file: how long it is, and moving it into the file (<https://www.sqlite.org/wal.html>).

use std::time::Duration;

use rusqlite::Connection;

use super::fault::Step;
use crate::StoreError;

/// Frames (pages of 4 KiB) from which the checkpointer moves the log into the file: 16 MiB, so that a page which many
/// commits touch is moved once, and a reader still finds its way through the log quickly.
pub(super) const LONG_FRAMES: u64 = 4096;
/// Frames from which the writer itself stops to checkpoint: 512 MiB. Only a reader that holds its snapshot for long lets
/// the log grow further.
pub(super) const BOUND_FRAMES: u64 = 128 * 1024;
/// How long a checkpoint between two transactions waits for readers: they read for milliseconds, and writers wait too.
const READERS_TIMEOUT: Duration = Duration::from_millis(20);

/// How far a checkpoint goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// What is possible without anyone waiting.
    Passive,
    /// Everything; the next write starts the log over.
    Restart,
    /// Everything; the log is cut to nothing: no older copy of any page is left.
    Truncate,
}

/// What a checkpoint came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    /// A reader or writer was in the way.
    pub(super) blocked: bool,
    /// Frames in the log.
    pub(super) frames: u64,
    /// Frames of them that are in the file.
    pub(super) moved: u64,
}

/// Frames in the log.
pub(super) fn length(connection: &Connection) -> Result<u64, StoreError> {
    run(connection, "PRAGMA wal_checkpoint(NOOP)").map(|report| report.frames)
}

/// Checkpoints. For [`Mode::Restart`] and [`Mode::Truncate`] call it on the writing connection, between transactions.
pub(super) fn checkpoint(connection: &Connection, mode: Mode) -> Result<Report, StoreError> {
    const STEP: &str = "checkpoint";
    match mode {
        Mode::Passive => run(connection, "PRAGMA wal_checkpoint(PASSIVE)"),
        Mode::Restart | Mode::Truncate => {
            let usual: i64 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0)).step(STEP)?;
            connection.busy_timeout(READERS_TIMEOUT).step(STEP)?;
            let report = run(
                connection,
                if mode == Mode::Restart {
                    "PRAGMA wal_checkpoint(RESTART)"
                } else {
                    "PRAGMA wal_checkpoint(TRUNCATE)"
                },
            );
            connection.busy_timeout(Duration::from_millis(usual.unsigned_abs())).step(STEP)?;
            report
        }
    }
}

fn run(connection: &Connection, statement: &str) -> Result<Report, StoreError> {
    let frames = |frames: i64| u64::try_from(frames).unwrap_or(0);
    connection
        .prepare_cached(statement)
        .and_then(|mut statement| {
            statement.query_row([], |row| {
                Ok(Report {
                    blocked: row.get::<_, i64>(0)? != 0,
                    frames: frames(row.get(1)?),
                    moved: frames(row.get(2)?),
                })
            })
        })
        .step("checkpoint")
}
