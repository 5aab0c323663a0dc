//! Why a service cannot be started.

use std::{
    io,
    path::{Path, PathBuf},
    process::Output,
};

/// Bytes of what a program said that are shown: its last lines.
const SHOWN_BYTES: usize = 2_000;

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

pub(crate) fn file(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DependencyError {
    let path = path.to_owned();
    move |source| DependencyError::File { step, path, source }
}

/// A program that ended badly, with what it said last.
pub(crate) fn failed(program: &Path, output: &Output) -> DependencyError {
    let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    let from = (0..=said.len().saturating_sub(SHOWN_BYTES)).rev().find(|at| said.is_char_boundary(*at)).unwrap_or(0);
    DependencyError::Failed {
        program: program.to_owned(),
        status: output.status.to_string(),
        said: said[from..].trim().to_owned(),
    }
}
