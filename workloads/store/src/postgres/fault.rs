//! What PostgreSQL says, in the words of [`StoreError`]. Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use sqlx::{Error, postgres::PgDatabaseError};

use crate::StoreError;
pub(super) use crate::stored::damaged;

/// A writer came to a slot this shard does not own: raised by the fence of a leaf (`migrations/shard/postgres`).
const FENCED: &str = "KL001";
const UNIQUE_VIOLATION: &str = "23505";
const CHECK_VIOLATION: &str = "23514";
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK: &str = "40P01";

/// Names the step of a failed call.
pub(super) trait Step<T> {
    /// The error of a statement that certainly changed nothing.
    fn step(self, step: &'static str) -> Result<T, StoreError>;
    /// The error of a COMMIT, or of a statement that commits by itself.
    fn commit_step(self, step: &'static str) -> Result<T, StoreError>;
}

impl<T> Step<T> for Result<T, Error> {
    fn step(self, step: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| fault(step, &error))
    }

    fn commit_step(self, step: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| commit_fault(step, &error))
    }
}

/// What the server refused, if it was the server.
pub(super) fn refusal(error: &Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()
}

fn code(error: &Error) -> Option<&str> {
    refusal(error).map(PgDatabaseError::code)
}

/// What a failed statement means, when nothing of it was done.
pub(super) fn fault(step: &'static str, error: &Error) -> StoreError {
    let source_text = error.to_string();
    match error {
        Error::ColumnDecode { .. } | Error::Decode(_) => damaged(step, &source_text),
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::Protocol(_)
        | Error::BeginFailed => StoreError::Unavailable { step, source_text },
        Error::Database(_) => refused(step, code(error).unwrap_or_default(), source_text),
        _ => StoreError::Internal { step, source_text },
    }
}

fn refused(step: &'static str, code: &str, source_text: String) -> StoreError {
    match (code.get(..2).unwrap_or_default(), code) {
        ("XX", "XX001" | "XX002") => damaged(step, &source_text),
        // The fence, connections, transactions (deadlock; a standby is read only), resources, locks, operators, disk.
        (_, FENCED) | ("08" | "25" | "40" | "53" | "55" | "57" | "58", _) => {
            StoreError::Unavailable { step, source_text: format!("{source_text} ({code})") }
        }
        // Signing in failed: secrets rotate, and come right by themselves.
        ("28" | "3D", _) => StoreError::Unavailable { step, source_text },
        _ => StoreError::Internal { step, source_text: format!("{source_text} ({code})") },
    }
}

/// What a failed COMMIT means. Where the server has refused, nothing is done; where its answer did not come, or it was
/// told to end in between, nobody knows.
pub(super) fn commit_fault(step: &'static str, error: &Error) -> StoreError {
    match error {
        Error::PoolTimedOut | Error::PoolClosed => fault(step, error),
        Error::Database(_) if !code(error).is_some_and(|code| code.starts_with("57P") || code.starts_with("08")) => {
            fault(step, error)
        }
        Error::Database(_) | Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => {
            StoreError::Unknown { step, source_text: error.to_string() }
        }
        _ => fault(step, error),
    }
}

/// Whether this shard may not write there: its fence refused, or the leaf is gone. A leaf that is gone is a violation
/// of no constraint that has a name.
pub(super) fn is_fenced(error: &Error) -> bool {
    refusal(error).is_some_and(|refusal| {
        refusal.code() == FENCED || (refusal.code() == CHECK_VIOLATION && refusal.constraint().is_none())
    })
}

/// Whether a unique index refused the row.
pub(super) fn is_unique_violation(error: &Error) -> bool {
    code(error) == Some(UNIQUE_VIOLATION)
}

/// The unique index of a table without leaves that refused the row.
pub(super) fn violated_index(error: &Error) -> Option<&str> {
    refusal(error).filter(|refusal| refusal.code() == UNIQUE_VIOLATION)?.constraint()
}

/// Whether the same transaction may pass when it is tried again at once.
pub(super) fn is_retryable(error: &Error) -> bool {
    matches!(code(error), Some(SERIALIZATION_FAILURE | DEADLOCK))
}

/// Whether the database refuses the data itself: bad values, constraints, rows that are too big.
pub(super) fn is_data(error: &Error) -> bool {
    matches!(error, Error::Encode(_))
        || code(error).is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

/// Whether the connection can be used on.
pub(super) fn is_connection_lost(error: &Error) -> bool {
    match error {
        Error::Database(_) => code(error).is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
        Error::RowNotFound | Error::ColumnDecode { .. } | Error::Decode(_) | Error::Encode(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_is_unknown_only_at_commit() {
        let lost = || Error::Io(std::io::Error::other("reset"));
        assert!(matches!(fault("s", &lost()), StoreError::Unavailable { .. }));
        assert!(matches!(commit_fault("s", &lost()), StoreError::Unknown { .. }));
        assert!(matches!(commit_fault("s", &Error::PoolTimedOut), StoreError::Unavailable { .. }));
    }
}
