//! How queries and their answers are written. Golden files in `tests/golden/queries/`.

use klatch_domain::{Ordinal, Position, RoomId, RoomKind, Seq, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// Rooms or users of one question; a client asks in parts. 40 bytes each.
pub const ASKED_AT_ONCE: usize = 1_024;
/// Bytes of a question: what [`ASKED_AT_ONCE`] ids take, and as much again.
pub const QUESTION_BYTES: usize = 96 * 1024;

/// `members`: who is in a room?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersQuery {
    /// Which room.
    pub room: RoomId,
}

/// Answers [`MembersQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersAnswer {
    /// Left out: there is no such room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
}

/// Members of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Seq of the last membership change.
    pub version: Seq,
    /// Direct, group, inbox.
    pub kind: RoomKind,
    /// In order of their ids.
    pub users: Vec<UserId>,
}

/// `heads`: where do rooms end?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadsQuery {
    /// At most [`ASKED_AT_ONCE`].
    pub rooms: Vec<RoomId>,
}

/// Answers [`HeadsQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadsAnswer {
    /// Of the rooms that exist, in no order.
    pub heads: Vec<Head>,
}

/// Where a room ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which room.
    pub room: RoomId,
    /// Of its last entry.
    pub position: Position,
    /// Of its last entry.
    pub ordinal: Ordinal,
}

/// `rooms-above`: which large rooms are users in?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsAboveQuery {
    /// Rooms with more members than this.
    pub members: u64,
    /// At most [`ASKED_AT_ONCE`].
    pub users: Vec<UserId>,
}

/// Answers [`RoomsAboveQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsAboveAnswer {
    /// In no order.
    pub rooms: Vec<RoomOfUser>,
}

/// A room somebody is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomOfUser {
    /// Who.
    pub user: UserId,
    /// Which room.
    pub room: RoomId,
}

/// `revoked-since`: which sessions have ended?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedSinceQuery {
    /// At or after this.
    pub since: Timestamp,
}

/// Answers [`RevokedSinceQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedSinceAnswer {
    /// In no order.
    pub sessions: Vec<Revoked>,
}

/// A session that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
}

/// `visible-presence`: whose presence may somebody see?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisiblePresenceQuery {
    /// Who wants to see.
    pub viewer: UserId,
    /// At most [`ASKED_AT_ONCE`].
    pub users: Vec<UserId>,
}

/// Answers [`VisiblePresenceQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisiblePresenceAnswer {
    /// Those of the users asked about.
    pub users: Vec<UserId>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For people.
    pub error: String,
}
