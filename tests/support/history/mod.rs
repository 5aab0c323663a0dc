//! A history drawn by a seed, played through whatever parts a test gives it: message-service on any bus and any store must
//! leave the same logs, byte for byte.
//!
//! What makes it comparable: ids come from the seed, the clock stands still within a round and is set on between two, and a round
//! ends when all it has caused is done. Which commands share a batch is left to the parts: it must not show.

mod draw;
mod play;

pub use play::{Parts, play};

use klatch_domain::{Command, RoomId, Sender};

/// What happens, and who takes part.
#[derive(Debug, Clone)]
pub struct History {
    /// Everyone.
    pub people: Vec<Sender>,
    /// Rooms that are made, inboxes included.
    pub rooms: Vec<RoomId>,
    /// In this order.
    pub rounds: Vec<Round>,
}

/// Commands at one moment: one that changes who is in a room, then many that write.
#[derive(Debug, Clone)]
pub struct Round {
    /// The clock, microseconds since 1970.
    pub micros: u64,
    /// Done before the rest begins, as two changes at once might reach one inbox in either order.
    pub change: Command,
    /// In order, at any pace.
    pub writes: Vec<Command>,
}

impl History {
    /// Draws one.
    #[must_use]
    pub fn draw(seed: u64, rounds: usize, writes: usize) -> Self {
        draw::Drawing::new(seed).draw(rounds, writes)
    }
}
