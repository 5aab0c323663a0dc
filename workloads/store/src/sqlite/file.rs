//! Opens connections to one file, each kind with what it needs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    fault::Step,
    migration::{Schema, check_schema, migrate},
};
use crate::StoreError;

/// How long a connection waits for a lock of another. Only a backup that takes its cut, or recovery of the log after a
/// crash, ever holds one; both take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of a writer, KiB: the leaves of the index by seq that 10,000 busy rooms touch (13 MB) and the tails of the rest.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// Page cache of a reader, KiB: the inner pages of every index; the kernel caches the rest.
const READER_CACHE_KIB: i64 = 4 * 1024;
/// Prepared statements a connection keeps: more than this program has for one file.
const STATEMENTS: usize = 96;
/// The log is cut back to this when it starts over, bytes: some times what lies between two checkpoints, so that it is
/// overwritten and does not grow anew each time (a sync of a file that does not grow is cheaper).
const LOG_KEPT_BYTES: i64 = 64 * 1024 * 1024;

/// One SQLite file and its schema.
#[derive(Debug, Clone)]
pub(super) struct File {
    path: PathBuf,
    schema: Schema,
}

impl File {
    pub(super) fn new(path: PathBuf, schema: Schema) -> Self {
        Self { path, schema }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection that may write and never checkpoints by itself; makes and migrates the file.
    pub(super) fn create(&self) -> Result<Connection, StoreError> {
        self.named(self.connect(OpenFlags::SQLITE_OPEN_CREATE).and_then(|connection| {
            check_schema(&connection, &self.schema)?;
            prepare_writer(&connection)?;
            migrate(&connection, &self.schema)?;
            Ok(connection)
        }))
    }

    /// A connection that may write, to a file that is there.
    pub(super) fn write(&self) -> Result<Connection, StoreError> {
        self.named(self.connect(OpenFlags::empty()).and_then(|connection| {
            prepare_writer(&connection)?;
            Ok(connection)
        }))
    }

    /// A connection that only reads.
    pub(super) fn read(&self) -> Result<Connection, StoreError> {
        const STEP: &str = "open a reader";
        self.named(self.connect(OpenFlags::empty()).and_then(|connection| {
            connection.pragma_update(None, "query_only", true).step(STEP)?;
            connection.pragma_update(None, "cache_size", -READER_CACHE_KIB).step(STEP)?;
            Ok(connection)
        }))
    }

    fn connect(&self, more: OpenFlags) -> Result<Connection, StoreError> {
        const STEP: &str = "open a file";
        // NO_MUTEX: a connection belongs to one thread at a time.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection = Connection::open_with_flags(&self.path, flags).step(STEP)?;
        connection.busy_timeout(BUSY_TIMEOUT).step(STEP)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Sorting and savepoints stay in memory: no body ever stands in a file beside the data folder.
        connection.pragma_update(None, "temp_store", "MEMORY").step(STEP)?;
        Ok(connection)
    }

    /// Says in the error which file it is about.
    fn named<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        result.map_err(|error| match error {
            StoreError::Unusable { step, detail } => StoreError::Unusable { step, detail: format!("{name}: {detail}") },
            StoreError::Unavailable { step, source_text } => {
                StoreError::Unavailable { step, source_text: format!("{name}: {source_text}") }
            }
            StoreError::Internal { step, source_text } => {
                StoreError::Internal { step, source_text: format!("{name}: {source_text}") }
            }
            unknown @ StoreError::Unknown { .. } => unknown,
        })
    }
}

/// FULL: the log is synced before COMMIT returns. The checkpointer moves the log into the file, never a commit.
fn prepare_writer(connection: &Connection) -> Result<(), StoreError> {
    const STEP: &str = "open a writer";
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).step(STEP)?;
    connection.pragma_update(None, "synchronous", "FULL").step(STEP)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(())).step(STEP)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(())).step(STEP)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_KEPT_BYTES, |_| Ok(())).step(STEP)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).step(STEP)
}
