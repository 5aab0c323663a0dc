//! What this machine can do without us: the measures the budgets are told in.

mod disk;
mod echo;
mod writes;

use std::{path::Path, time::Duration};

use serde::Serialize;

use super::{latency::Summary, options::Options};

/// Bytes of one bare message.
const MESSAGE_BYTES: usize = 150;
/// How long each is measured.
const DURATION: Duration = Duration::from_secs(4);

/// Bare figures of this machine, in this run.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Reference {
    /// W: bare writes of 150 B to loopback WebSockets a second, on one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) writes_per_second: Option<f64>,
    /// E: messages a second between bare echo pairs, one write a message, on one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) echoes_per_second: Option<f64>,
    /// F: append and fdatasync at 1,000 a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sync: Option<Summary>,
}

/// Which of them are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) writes: bool,
    pub(super) echoes: bool,
    pub(super) sync: bool,
}

/// Measures what is wanted; the sync in this folder.
///
/// # Errors
/// What could not be measured.
pub(super) fn measure(options: &Options, folder: &Path, wanted: Wanted) -> anyhow::Result<Reference> {
    let mut reference = Reference::default();
    if wanted.writes {
        reference.writes_per_second = Some(writes::measure(options.server_core)?);
    }
    if wanted.echoes {
        reference.echoes_per_second = Some(echo::measure(options.server_core)?);
    }
    if wanted.sync {
        reference.sync = Some(disk::measure(folder)?);
    }
    Ok(reference)
}
