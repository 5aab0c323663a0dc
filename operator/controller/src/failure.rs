//! What went wrong in a pass, and what is to be done about it.

use std::fmt;

use kube_client::Error;

/// Which part of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Looking.
    Observe,
    /// Writing objects.
    Apply,
    /// Deleting what is wanted no more.
    Prune,
    /// What stands on the brokers.
    Broker,
    /// Saying how it is.
    Report,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Observe => "observe",
            Self::Apply => "apply",
            Self::Prune => "prune",
            Self::Broker => "broker",
            Self::Report => "report",
        })
    }
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Busy, gone, late, overtaken, or nobody knows: the same again later.
    Passing,
    /// The server refused our own object: our defect, or a policy of the cluster's. Trying again soon is of no use.
    Rejected,
    /// We may not.
    Forbidden,
}

/// A step that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{step}: cannot {what}: {detail}")]
pub struct Failure {
    /// Which step.
    pub step: Step,
    /// Whether to try again.
    pub cause: Cause,
    /// What was tried.
    pub what: String,
    /// What was answered.
    pub detail: String,
}

impl Failure {
    /// From what the client answered.
    pub fn api(step: Step, what: impl FnOnce() -> String) -> impl FnOnce(Error) -> Self {
        move |error| {
            let (cause, detail) = match &error {
                Error::Api(status) if status.code == 422 || status.code == 400 => {
                    (Cause::Rejected, status.message.clone())
                }
                // An admission policy says no by 403 as well, and a missing right passes with the next role.
                Error::Api(status) if status.code == 403 => (Cause::Forbidden, status.message.clone()),
                Error::Api(status) => (Cause::Passing, format!("{} {}", status.code, status.message)),
                Error::SerdeError(_) => (Cause::Rejected, error.to_string()),
                other => (Cause::Passing, chain(other)),
            };
            Self { step, cause, what: what(), detail }
        }
    }

    /// One that passes.
    #[must_use]
    pub fn passing(step: Step, what: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { step, cause: Cause::Passing, what: what.into(), detail: detail.to_string() }
    }

    /// Whether there is no such thing.
    #[must_use]
    pub fn is_not_found(error: &Error) -> bool {
        matches!(error, Error::Api(status) if status.code == 404)
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}
