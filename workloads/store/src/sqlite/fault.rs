//! What SQLite says, in the words of [`StoreError`].

use rusqlite::{Error, ErrorCode, ffi};

use crate::StoreError;
pub(super) use crate::stored::damaged;

/// Names the step of a failed call.
pub(super) trait Step<T> {
    /// The error as a [`StoreError`] of this step.
    fn step(self, step: &'static str) -> Result<T, StoreError>;
}

impl<T> Step<T> for rusqlite::Result<T> {
    fn step(self, step: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| fault(step, &error))
    }
}

/// What a failed statement means. Nothing of it was done: a statement is atomic.
pub(super) fn fault(step: &'static str, error: &Error) -> StoreError {
    let source_text = error.to_string();
    match error {
        Error::SqliteFailure(ffi::Error { code, .. }, _) => match code {
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::OperationAborted => StoreError::Unavailable { step, source_text },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => damaged(step, &source_text),
            _ => StoreError::Internal { step, source_text },
        },
        Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..) => {
            damaged(step, &source_text)
        }
        _ => StoreError::Internal { step, source_text },
    }
}

/// What a failed COMMIT means. When the log could not be written the transaction is rolled back for sure; when it could
/// not be synced it may still come back after a crash.
pub(super) fn commit_fault(step: &'static str, error: &Error) -> StoreError {
    let source_text = error.to_string();
    match error {
        Error::SqliteFailure(ffi::Error { code: ErrorCode::DiskFull, .. }, _) => {
            StoreError::Unavailable { step, source_text }
        }
        Error::SqliteFailure(ffi::Error { extended_code: ffi::SQLITE_IOERR_WRITE, .. }, _) => {
            StoreError::Unavailable { step, source_text }
        }
        _ => StoreError::Unknown { step, source_text },
    }
}

/// Whether a unique index refused the row.
pub(super) fn is_unique_violation(error: &Error) -> bool {
    matches!(
        error,
        Error::SqliteFailure(
            ffi::Error { extended_code: ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY, .. },
            _
        )
    )
}

/// An answer that never came: the thread that owed it has ended.
pub(super) fn closed(step: &'static str) -> StoreError {
    StoreError::Unavailable { step, source_text: "the store is closed".to_owned() }
}
