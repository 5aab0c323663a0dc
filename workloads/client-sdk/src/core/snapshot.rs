//! What a process needs to come back: where it stands in every log, and what it had not got rid of.

use klatch_domain::{Draft, MessageId, Position, RoomId, SessionId, UserId};
use serde::{Deserialize, Serialize};

/// The state of a core that outlives its process. Rows are not in it: they are loaded again on demand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Whose state it is.
    pub user: Option<UserId>,
    /// How far the inbox was read.
    pub inbox: Position,
    /// How far each room's log was read.
    pub rooms: Vec<SavedRoom>,
    /// Messages not known to be stored, in the order they were said.
    pub outbox: Vec<SavedMessage>,
}

/// How far one log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRoom {
    /// Whose log.
    pub room: RoomId,
    /// Everything up to here was held.
    pub position: Position,
}

/// One message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMessage {
    /// Its id.
    pub message_id: MessageId,
    /// Where to.
    pub room: RoomId,
    /// What.
    pub draft: Draft,
    /// The session that first sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Refused for good, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<SavedRefusal>,
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRefusal {
    /// For programs.
    pub code: klatch_domain::Code,
    /// For people.
    pub detail: String,
}
