//! What can go wrong, by who has to act.

use std::io;

use klatch_domain::{Code, Refusal};
use klatch_protocol::http::Problem;

use crate::core::{Failure, Stop};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server's address cannot be used.
    #[error("the server's address {address:?}: {reason}")]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The authorities a server is to be believed by cannot be used.
    #[error("certificates: {reason}")]
    Certificates {
        /// What is wrong with them.
        reason: String,
    },
    /// No answer: the server is not there, or the network broke.
    #[error("{step}: no answer: {source}")]
    Unreachable {
        /// What was being done.
        step: &'static str,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The server refused.
    #[error("{step}: {}: {} (trace {})", .problem.code, .problem.detail, .problem.trace_id)]
    Refused {
        /// What was being done.
        step: &'static str,
        /// The server's problem document.
        problem: Box<Problem>,
        /// Not before this.
        retry_after_ms: Option<u64>,
    },
    /// The answer was none of this protocol: something else listens there, or stands between.
    #[error("{step}: status {status}, but not the answer expected: {reason}")]
    Unexpected {
        /// What was being done.
        step: &'static str,
        /// HTTP status.
        status: u16,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer refresh token could not be kept, so it was not used.
    #[error("keep the session: {0}")]
    SessionNotKept(io::Error),
    /// The state file cannot be used.
    #[error("read the state file: {0}")]
    State(io::Error),
    /// The message was refused for good.
    #[error("the message was refused: {0}")]
    MessageRefused(Refusal),
    /// There is no connection and there will be none.
    #[error("the connection has ended: {}", stop_reason(.0))]
    Stopped(Stop),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

fn stop_reason(stop: &Stop) -> String {
    match stop {
        Stop::Asked => "as asked".to_owned(),
        Stop::Closed(code) => format!("the server closed with {code}"),
        Stop::SignedOut => "the session is over, sign in again".to_owned(),
        Stop::OtherUser => "the kept state belongs to another user".to_owned(),
    }
}

impl ClientError {
    /// The server's code, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { problem, .. } => Some(problem.code),
            Self::MessageRefused(refusal) => Some(refusal.code),
            Self::Stopped(Stop::SignedOut) => Some(Code::SessionRevoked),
            _ => None,
        }
    }

    /// What the core makes of it.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Refused { problem, retry_after_ms, .. } => {
                Failure { code: Some(problem.code), retry_after_ms: *retry_after_ms }
            }
            _ => Failure::default(),
        }
    }
}
