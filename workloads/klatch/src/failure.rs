//! How a command ends: its exit code, and an error in words that say what to do next.

use std::process::ExitCode;

/// What the exit code tells a script. Code 2 is clap's own: the command line was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Something on this machine went wrong.
    Local,
    /// The server answered, and refused.
    Refused,
    /// No server answered.
    Unreachable,
    /// A comparison cannot be made: of those that tell a difference by code 1, nothing else may do so.
    Undecided,
}

impl Cause {
    /// Its exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Local => 1,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::Undecided => 5,
        }
    }
}

/// An error with its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Failure {
    /// For scripts.
    pub(crate) cause: Cause,
    /// For people: what is wrong, and what to do.
    pub(crate) detail: String,
}

impl Failure {
    /// Something on this machine.
    pub(crate) fn local(detail: impl Into<String>) -> Self {
        Self { cause: Cause::Local, detail: detail.into() }
    }

    /// The server refused.
    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self { cause: Cause::Refused, detail: detail.into() }
    }

    /// Nothing was compared.
    pub(crate) fn undecided(detail: impl Into<String>) -> Self {
        Self { cause: Cause::Undecided, detail: detail.into() }
    }

    /// No server.
    pub(crate) fn unreachable(detail: impl Into<String>) -> Self {
        Self { cause: Cause::Unreachable, detail: detail.into() }
    }
}

/// Says what went wrong on standard error and answers the exit code. A reader that went away (`klatch tail | head`) is
/// no error.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe);
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map_or(Cause::Local, |f| f.cause);
    let text = crate::output::visible(&format!("{error:#}")).into_owned();
    crate::output::complain(&text);
    ExitCode::from(cause.code())
}
