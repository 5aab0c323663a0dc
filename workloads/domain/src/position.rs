//! Where something stands in a room's log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Dense number of an entry within its room, from 1; 0 means "before the first". Always below 2^53, so that every
/// JSON reader keeps it exact (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// Running count of the entries that count as unread, at and before an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Ordinal(pub u64);

/// Generation of a room's log, from 1. It rises only when a restore may have lost entries; 0 means "nothing yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation every log starts with.
    pub const FIRST: Self = Self(1);
}

impl Seq {
    /// Nothing has been written or read yet.
    pub const ZERO: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Generation and seq: orders everything in a room, across restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
pub struct Position {
    /// Generation of the log.
    pub generation: Generation,
    /// Seq within the room.
    pub seq: Seq,
}

impl Position {
    /// "Nothing yet": before every entry of every generation.
    pub const NOTHING: Self = Self { generation: Generation(0), seq: Seq(0) };

    /// A position in the first generation.
    #[must_use]
    pub const fn first(seq: u64) -> Self {
        Self { generation: Generation::FIRST, seq: Seq(seq) }
    }
}
