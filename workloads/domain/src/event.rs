//! Events: what message-service says after a commit.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Entry, MessageId, Ordinal, Position, Refusal, ReplyAddress, RoomId, Seq, SessionId, Timestamp, UserId};

/// Who may see an event of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Exactly these members, as of the event's `members_version` (rooms up to
    /// [`SMALL_ROOM_MEMBERS`](crate::limits::SMALL_ROOM_MEMBERS)).
    Members(Arc<[UserId]>),
    /// The members of the room: ask when what you know is older than the event's `members_version`.
    Room,
}

/// An entry was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Where.
    pub room: RoomId,
    /// The row as it was stored.
    pub entry: Entry,
    /// Seq of the room's last membership change, this entry included.
    pub members_version: Seq,
    /// Who may see it.
    pub audience: Audience,
    /// Removed by this entry: nothing of the room goes to them from here on.
    pub removed: Option<UserId>,
    /// From the command: start of the delivery latency, microseconds since 1970.
    pub accepted_micros: u64,
    /// From the command.
    pub trace: Option<Box<str>>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log (now, or since an earlier try).
    Stored(Stored),
    /// Nothing was to be done.
    Unchanged,
    /// Nothing was changed, and why.
    Refused(Refusal),
}

/// Where a command's entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its position.
    pub position: Position,
    /// Its ordinal.
    pub ordinal: Ordinal,
    /// The server's time of it.
    pub at: Timestamp,
    /// It had been stored before.
    pub repeat: bool,
}

/// An outcome on its way to who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeEvent {
    /// Who waits.
    pub reply: ReplyAddress,
    /// For which command.
    pub message_id: MessageId,
    /// In which room.
    pub room: RoomId,
    /// What became of it.
    pub outcome: Outcome,
}

/// A member has received or read up to a position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkMoved {
    /// In which room.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// Read up to here.
    pub read: Option<Position>,
    /// Received up to here; only in small rooms.
    pub delivered: Option<Position>,
    /// Who may see it: in rooms above the small bound only the user's own devices.
    pub audience: Audience,
}

/// What gateways and api replicas hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An entry was stored.
    Appended(Arc<Appended>),
    /// For one waiter.
    Outcome(OutcomeEvent),
    /// A watermark moved.
    Watermark(Arc<WatermarkMoved>),
    /// A session ended: its connections close, its tokens are refused.
    SessionRevoked {
        /// Which.
        session: SessionId,
        /// Whose.
        user: UserId,
    },
    /// A room's log was closed: drop everything about it.
    RoomDeleted {
        /// Which.
        room: RoomId,
    },
    /// These slots take nothing just now: answer `busy` before publishing. Repeated while it lasts.
    SlotsBusy {
        /// Which slots.
        slots: Arc<[crate::Slot]>,
        /// How long to wait, milliseconds; 0 ends it.
        retry_after_ms: u64,
    },
}
