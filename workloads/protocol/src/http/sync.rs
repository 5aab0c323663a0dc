//! `POST /v1/sync`: what is after these positions?

use klatch_domain::{Code, Entry, Ordinal, Position, RoomId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncRequest {
    /// At most 500.
    #[serde(default)]
    pub rooms: Vec<SyncRoom>,
    /// The caller's inbox, after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Position>,
    /// Entries per room; at most 200, 50 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// One room of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncRoom {
    /// Which.
    pub room: RoomId,
    /// After this; `{generation: 0, seq: 0}` for nothing yet.
    pub position: Position,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncAnswer {
    /// In the order asked.
    pub rooms: Vec<SyncRoomAnswer>,
    /// When asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<SyncRoomAnswer>,
}

/// One room of the answer: either `error`, or `head` and the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncRoomAnswer {
    /// Which.
    pub room: RoomId,
    /// Where the log ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Position>,
    /// Ordinal there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_ordinal: Option<Ordinal>,
    /// Oldest first, rows as they are now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<Entry>>,
    /// There is more after these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
    /// The position's generation is gone: drop the cached log; `entries` start from the beginning of this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    /// `room_not_found`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Code>,
}
