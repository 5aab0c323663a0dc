//! What can go wrong in a store, as its callers must tell it apart.

/// A store could not do it. Which step failed and what the database said stand in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was done and the same call may succeed later: no connection, disk full, locked, timed out before it began.
    #[error("{step}: unavailable: {source_text}")]
    Unavailable {
        /// What was tried.
        step: &'static str,
        /// What the database said.
        source_text: String,
    },
    /// It may or may not have been done (connection lost at COMMIT): repeat through the same path.
    #[error("{step}: outcome unknown: {source_text}")]
    Unknown {
        /// What was tried.
        step: &'static str,
        /// What the database said.
        source_text: String,
    },
    /// The stored data is of a newer version than this program, or damaged.
    #[error("{step}: {detail}")]
    Unusable {
        /// What was tried.
        step: &'static str,
        /// In words for an owner.
        detail: String,
    },
    /// A fault in the program: a statement the database refuses.
    #[error("{step}: {source_text}")]
    Internal {
        /// What was tried.
        step: &'static str,
        /// What the database said.
        source_text: String,
    },
}
