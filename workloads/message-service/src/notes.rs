//! What the parts of one ingest queue's task tell it.

use klatch_domain::RoomId;
use tokio::sync::mpsc;

use crate::{
    fan_out::{Bundle, Outgoing},
    item::Origin,
};

/// News for the queue's task. Each names the life of the consumer it belongs to: news of an earlier one are void.
#[derive(Debug)]
pub(crate) enum Note {
    /// These commands are settled, and everyone concerned was told.
    Settled { life: u64, settled: Vec<(Origin, usize)> },
    /// Nobody may ever be told of what this life has stored: somebody else has to, who reaches the broker.
    Untold { life: u64 },
    /// What had to happen outside the shard has happened, or takes longer: these rooms of the track may go on.
    Released { life: u64, rooms: Vec<RoomId> },
}

/// Where the work beside the rounds reports to. The channels without a bound carry at most what the queue's task has
/// taken, which is bounded there.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) life: u64,
    pub(crate) fan_out: mpsc::UnboundedSender<Outgoing>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
}

impl Post {
    pub(crate) fn announce(&self, bundle: Bundle) {
        if !bundle.is_empty() {
            // Nobody there: the service is stopping, and what is not acknowledged comes again.
            let _ = self.fan_out.send(Outgoing { life: self.life, bundle });
        }
    }

    pub(crate) fn release(&self, rooms: Vec<RoomId>) {
        let _ = self.notes.send(Note::Released { life: self.life, rooms });
    }
}
