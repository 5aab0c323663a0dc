//! What the owner's commands say to a running `klatch up`: one JSON object a line, one request a connection.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// A password on its way to be hashed. Never shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// One request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// About a user.
    User {
        /// What to do.
        request: UserRequest,
    },
    /// A new signing key.
    RotateKeys {
        /// The old ones verify nothing any more.
        compromised: bool,
    },
    /// A consistent copy of everything, in a folder that lives as long as this connection.
    Backup,
}

/// A request about a user: these are the same wherever users are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum UserRequest {
    /// A new user, whether or not sign-up is open.
    Add {
        /// Their username.
        username: String,
        /// Their first password.
        password: Password,
        /// What others see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display_name: Option<String>,
        /// Their address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<String>,
    },
    /// They may not sign in; all their sessions and bot tokens end.
    Disable {
        /// Who.
        username: String,
    },
    /// They may sign in again.
    Enable {
        /// Who.
        username: String,
    },
    /// A new password; all their sessions and bot tokens end.
    ResetPassword {
        /// Who.
        username: String,
        /// The new one.
        password: Password,
    },
    /// They administer this installation.
    MakeAdmin {
        /// Who.
        username: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It is done.
    Done {
        /// What changed, for people.
        detail: String,
        /// Sessions that ended by it.
        #[serde(default)]
        ended_sessions: usize,
    },
    /// The copy is there.
    Copied {
        /// Its folder.
        folder: PathBuf,
    },
    /// It may be done in part, and doing it again does the rest.
    Unfinished {
        /// What is done, and what kept the rest from it, for people.
        detail: String,
    },
    /// Nothing was changed.
    Refused {
        /// Why, for people.
        detail: String,
    },
}

impl Answer {
    pub(super) fn done(detail: impl Into<String>) -> Self {
        Self::Done { detail: detail.into(), ended_sessions: 0 }
    }

    pub(super) fn refused(detail: impl Into<String>) -> Self {
        Self::Refused { detail: detail.into() }
    }
}
