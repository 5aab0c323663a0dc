//! What crosses a broker, as bytes: JSON with bodies embedded as they are, one object a message.
//!
//! Writers and gateways of neighbouring versions work side by side, so every reader takes what it knows: unknown fields are
//! passed over, an unknown **event** is skipped and counted (it is news, and its reader did without), an unknown **command**
//! is handed out as [`commands::Unreadable`], so that it is refused and never lost. `v` rises only when an older reader would
//! misread; golden files in `tests/golden/bus` hold every shape.

pub mod commands;
pub mod events;
pub mod notifications;
pub mod watermarks;

use serde::{Deserialize, Serialize};

/// The version this code writes, and the highest it reads.
pub const VERSION: u16 = 1;

/// Bytes that are no payload of a version this code reads.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON, or not of this shape.
    #[error("a payload of {what}: {source}")]
    Shape {
        /// Of what.
        what: &'static str,
        /// What the reader stumbled over.
        source: serde_json::Error,
    },
    /// Written by a version whose payloads this one would misread.
    #[error("a payload of {what} has version {version}, at most {VERSION} is read here")]
    Version {
        /// Of what.
        what: &'static str,
        /// Its version.
        version: u16,
    },
}

/// Reads only which version a payload has.
#[derive(Deserialize)]
struct Versioned {
    v: u16,
}

/// Refuses what this code would misread.
fn check_version(what: &'static str, version: u16) -> Result<(), PayloadError> {
    if version > VERSION { Err(PayloadError::Version { what, version }) } else { Ok(()) }
}

/// The error of a payload that could not be read: its version, where that is why.
fn refused(what: &'static str, bytes: &[u8], source: serde_json::Error) -> PayloadError {
    match serde_json::from_slice::<Versioned>(bytes) {
        Ok(Versioned { v }) if v > VERSION => PayloadError::Version { what, version: v },
        _ => PayloadError::Shape { what, source },
    }
}

/// Writes into a buffer that has room for so many bytes at first.
fn written<T: Serialize>(value: &T, expected_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(expected_bytes);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => bytes,
        // No map has a key that is not text and no writer fails here; an empty body is refused by every reader.
        Err(error) => {
            tracing::error!(%error, "a payload could not be written");
            Vec::new()
        }
    }
}
