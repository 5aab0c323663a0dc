//! Why a service cannot be started.

use std::{io, path::PathBuf};

/// Why a service cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum DependencyError {
    /// A file.
    #[error("cannot {step} {path}: {source}")]
    File {
        /// What was tried.
        step: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The image does not hold the service.
    #[error("this image holds no {program}: it was looked for in {looked_in}")]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// Where.
        looked_in: String,
    },
    /// A program did not start.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Which.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        /// Which.
        program: PathBuf,
        /// How it ended.
        status: String,
        /// The end of what it said.
        said: String,
    },
    /// What is on the volume is not for this service.
    #[error("{0}")]
    Foreign(String),
    /// Something in a setting or the environment.
    #[error("{0}")]
    Wrong(String),
}

pub(crate) fn file(step: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> DependencyError {
    let path = path.to_owned();
    move |source| DependencyError::File { step, path, source }
}
