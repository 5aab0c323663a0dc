//! Frames of a client.

use klatch_domain::{
    ConnectionId, Content, Draft, Kind, Mentions, MessageId, Position, RoomId, Seq, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::frame::frames;

frames! {
    /// What a client sends.
    ClientFrame {
        /// First of all, within 10 s.
        Hello = "hello": Hello,
        /// An entry for a room.
        Send = "send": Send,
        /// How far this user has come.
        Watermark = "watermark": WatermarkOut,
        /// Lossy news for those who watch the room.
        Signal = "signal": SignalOut,
        /// Rooms in view, users whose presence matters.
        Watch = "watch": Watch,
        /// No longer.
        Unwatch = "unwatch": Watch,
        /// A newer access token for this connection.
        Refresh = "refresh": Refresh,
        /// Are you there?
        Ping = "ping": Ping,
    }
}

/// `hello`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Access token.
    pub token: String,
    /// The device's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What program this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientInfo>,
    /// Block encodings it understands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encodings: Vec<String>,
    /// The connection it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

/// A client program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The connection a client had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Its id from `welcome`.
    pub connection: ConnectionId,
}

/// `send`; also the body of `POST /v1/rooms/{id}/messages`, where `room` stands in the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// The client's id of it, UUIDv7.
    pub message_id: MessageId,
    /// Where to.
    pub room: RoomId,
    /// What it is.
    pub kind: Kind,
    /// The body.
    pub content: Content,
    /// Media type of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Box<str>>,
    /// Seq this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Seq>,
    /// Seq of the thread's first entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Seq>,
    /// Seq this changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Seq>,
    /// Whom it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Mentions>,
    /// No ordinal, no notification.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// From then on its content is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Store only while the room's MLS epoch is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_epoch: Option<u64>,
    /// Store only while the sender's device list has this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_list_version: Option<u64>,
    /// W3C Trace Context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Box<str>>,
}

impl Send {
    /// A send of nothing but a kind and a body.
    #[must_use]
    pub fn new(message_id: MessageId, room: RoomId, kind: Kind, content: Content) -> Self {
        Self::from_draft(message_id, room, Draft::new(kind, content))
    }

    /// The frame that carries this draft.
    #[must_use]
    pub fn from_draft(message_id: MessageId, room: RoomId, draft: Draft) -> Self {
        let Draft {
            kind,
            content,
            content_type,
            reply_to,
            thread,
            target,
            mentions,
            silent,
            expires_at,
            if_epoch,
            device_list_version,
        } = draft;
        Self {
            message_id,
            room,
            kind,
            content,
            content_type,
            reply_to,
            thread,
            target,
            mentions,
            silent,
            expires_at,
            if_epoch,
            device_list_version,
            traceparent: None,
        }
    }

    /// What it asks to append.
    #[must_use]
    pub fn into_draft(self) -> Draft {
        Draft {
            kind: self.kind,
            content: self.content,
            content_type: self.content_type,
            reply_to: self.reply_to,
            thread: self.thread,
            target: self.target,
            mentions: self.mentions,
            silent: self.silent,
            expires_at: self.expires_at,
            if_epoch: self.if_epoch,
            device_list_version: self.device_list_version,
        }
    }
}

/// `watermark` of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkOut {
    /// In which room.
    pub room: RoomId,
    /// Read up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Position>,
    /// Received up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Position>,
}

/// `signal` of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalOut {
    /// In which room.
    pub room: RoomId,
    /// "typing", or the client's own.
    pub kind: Box<str>,
    /// The client's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Content>,
    /// Worthless after this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
}

/// `watch` and `unwatch`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watch {
    /// Rooms in view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rooms: Vec<RoomId>,
    /// Users whose presence matters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub presence: Vec<UserId>,
}

/// `refresh`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// A newer access token of the same session.
    pub token: String,
}

/// `ping`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ping {
    /// Comes back in `pong`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}
