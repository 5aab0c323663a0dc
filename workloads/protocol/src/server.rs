//! Frames of a server.

use std::borrow::Cow;

use klatch_domain::{
    Code, ConnectionId, Content, Entry, Generation, MessageId, Ordinal, Position, Refusal, RoomId, Seq, SessionId,
    Stored, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::frame::frames;

frames! {
    /// What a server sends.
    ServerFrame {
        /// Answers `hello`.
        Welcome = "welcome": Welcome,
        /// The broker has it.
        Accepted = "accepted": Accepted,
        /// It is in the log: the only one that shows as sent.
        Stored = "stored": StoredFrame,
        /// It is not, and why.
        Refused = "refused": Refused,
        /// An entry of a room.
        Message = "message": MessageFrame,
        /// Where a room's log ends: fetch what you lack.
        Position = "position": PositionFrame,
        /// Drop the cached log, sync again.
        Reset = "reset": Reset,
        /// How far a member has come.
        Watermark = "watermark": WatermarkFrame,
        /// Lossy news in a room.
        Signal = "signal": SignalIn,
        /// How a user stands.
        Presence = "presence": PresenceFrame,
        /// Wait before the next send.
        Busy = "busy": Busy,
        /// Come back elsewhere, at this pace.
        Reconnect = "reconnect": Reconnect,
        /// Answers `ping`.
        Pong = "pong": Pong,
        /// Something was wrong; the connection lives on.
        Error = "error": ErrorFrame,
    }
}

/// `welcome`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// This connection.
    pub connection: ConnectionId,
    /// The session of the token.
    pub session: SessionId,
    /// The user of the token.
    pub user: UserId,
    /// The user's inbox.
    pub inbox: RoomId,
    /// The server's clock.
    pub server_time: Timestamp,
    /// The server pings this often; whoever hears nothing for two of them closes.
    pub heartbeat_ms: u64,
    /// What this connection may do.
    pub limits: Limits,
    /// What of the former connection still holds.
    pub resumed: Resumed,
}

/// Limits of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of one WebSocket message of the client.
    pub frame_bytes: u64,
    /// Bytes of one entry's content.
    pub content_bytes: u64,
    /// Unsettled sends.
    pub in_flight: u64,
    /// Sustained sends per second.
    pub sends_per_second: u64,
}

/// What of the former connection still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resumed {
    /// Nothing was missed.
    Full,
    /// Some was.
    Partial,
    /// Sync.
    None,
}

/// `accepted`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Of the send.
    pub message_id: MessageId,
}

/// `stored`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFrame {
    /// Of the send.
    pub message_id: MessageId,
    /// Where.
    pub room: RoomId,
    /// Its position.
    pub position: Position,
    /// Its ordinal.
    pub ordinal: Ordinal,
    /// The server's time of it.
    pub at: Timestamp,
}

impl StoredFrame {
    /// The frame that says so.
    #[must_use]
    pub const fn new(message_id: MessageId, room: RoomId, stored: Stored) -> Self {
        Self { message_id, room, position: stored.position, ordinal: stored.ordinal, at: stored.at }
    }
}

/// `refused`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Of the send.
    pub message_id: MessageId,
    /// Where to.
    pub room: RoomId,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people.
    pub detail: Cow<'static, str>,
    /// The same send may succeed later.
    pub retryable: bool,
    /// Not before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refused {
    /// The frame that says so.
    #[must_use]
    pub fn new(message_id: MessageId, room: RoomId, refusal: Refusal) -> Self {
        let Refusal { code, detail, retryable, retry_after_ms } = refusal;
        Self { message_id, room, code, detail, retryable, retry_after_ms }
    }
}

/// `message`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFrame {
    /// Whose log.
    pub room: RoomId,
    /// The entry.
    pub entry: Entry,
    /// Seq of the room's last membership change.
    pub members_version: Seq,
}

/// Appends a `message` frame of a borrowed entry, without the line break: encoded once, for every connection.
pub fn encode_message(room: RoomId, entry: &Entry, members_version: Seq, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        room: RoomId,
        entry: &'a Entry,
        members_version: Seq,
    }
    crate::frame::encode("message", &Borrowed { room, entry, members_version }, out);
}

/// `position`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionFrame {
    /// Whose log.
    pub room: RoomId,
    /// Where it ends.
    pub head: Position,
    /// Ordinal there.
    pub head_ordinal: Ordinal,
}

/// `reset`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Whose log.
    pub room: RoomId,
    /// Its generation from now on.
    pub generation: Generation,
}

/// `watermark` of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkFrame {
    /// In which room.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// Read up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Position>,
    /// Received up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Position>,
}

/// `signal` of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalIn {
    /// In which room.
    pub room: RoomId,
    /// From whom.
    pub user: UserId,
    /// "typing", or a client's own.
    pub kind: Box<str>,
    /// A client's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Content>,
}

/// Whether a user is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceStatus {
    /// Connected and active.
    Online,
    /// Connected, idle.
    Away,
    /// Not connected.
    Offline,
}

/// `presence`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceFrame {
    /// Who.
    pub user: UserId,
    /// How.
    pub status: PresenceStatus,
    /// When last active, unless online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_active: Option<Timestamp>,
}

/// `busy`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// This room only; without it the whole connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// Not before this.
    pub retry_after_ms: u64,
}

/// `reconnect`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconnect {
    /// Come back after this.
    pub after_ms: u64,
    /// "drain" or "rebalance".
    pub reason: Cow<'static, str>,
}

/// `pong`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// As in the `ping`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// `error`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFrame {
    /// For programs.
    pub code: Code,
    /// For people.
    pub detail: Cow<'static, str>,
    /// What it concerns: a frame's `ref`, message id or room.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}
