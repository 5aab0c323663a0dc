//! Rooms, members, history, sending by HTTP.

use klatch_domain::{
    Content, Entry, Kind, Mentions, MessageId, Notify, Ordinal, Position, Preferences, Role, RoomId, RoomKind, Seq,
    Timestamp, UserId, Visibility,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Profile;

/// `POST /v1/rooms`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CreateRoom {
    /// The one room with this user.
    Direct {
        /// The other.
        user: UserId,
    },
    /// A named room.
    Group {
        /// 1 to 100 characters.
        name: String,
        /// Beside the caller, who becomes owner.
        #[serde(default)]
        members: Vec<UserId>,
        /// Private when left out.
        #[serde(default)]
        visibility: Visibility,
    },
}

/// A room as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomOut {
    /// Id.
    pub id: RoomId,
    /// Direct or group.
    pub kind: RoomKind,
    /// Groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Direct rooms: the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Profile>,
    /// How many are in it.
    pub member_count: u64,
    /// The caller's role.
    pub role: Role,
    /// Where the log ends.
    pub head: Position,
    /// Ordinal there.
    pub head_ordinal: Ordinal,
    /// How far the caller has read.
    pub read: Position,
    /// Ordinal there: the difference is the unread count.
    pub read_ordinal: Ordinal,
    /// Unread entries that call the caller.
    pub unread_mentions: u64,
    /// Shown as unread although everything was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked_unread: bool,
    /// The caller's own settings.
    pub preferences: Preferences,
    /// The newest entry people read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<Entry>,
}

/// `{room}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomAnswer {
    /// The room.
    pub room: RoomOut,
}

/// A page of the caller's rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rooms {
    /// By id.
    pub rooms: Vec<RoomOut>,
    /// For `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A room anyone may join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicRoom {
    /// Id.
    pub id: RoomId,
    /// Name.
    pub name: String,
    /// How many are in it.
    pub member_count: u64,
}

/// A page of public rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicRooms {
    /// By name.
    pub rooms: Vec<PublicRoom>,
    /// For `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `PATCH /v1/rooms/{id}`: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeRoom {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New visibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
}

/// `PATCH /v1/rooms/{id}/preferences`: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangePreferences {
    /// What notifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// Left out of the list until something new comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Shown as unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_unread: Option<bool>,
}

/// `PUT /v1/rooms/{id}/members/{user}`
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct PutMember {
    /// `member` for a new one, the role they have for a member, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberOut {
    /// Who.
    pub user: Profile,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
    /// How far they have read, when they let others see it; small rooms only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Position>,
    /// How far they have received; small rooms only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Position>,
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// By user id.
    pub members: Vec<MemberOut>,
    /// For `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `after` and `limit` of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct PageQuery {
    /// Start of a name, where the list can be searched.
    pub query: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// At most 200.
    pub limit: Option<usize>,
}

/// Query of `GET /v1/rooms/{id}/messages`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, IntoParams)]
pub struct HistoryQuery {
    /// Entries below this seq, the last of them.
    pub before: Option<u64>,
    /// Entries above this seq, the first of them.
    pub after: Option<u64>,
    /// At most 200; 50 when left out.
    pub limit: Option<usize>,
    /// Only this thread.
    pub thread: Option<u64>,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// In seq order.
    pub entries: Vec<Entry>,
    /// There is more that way.
    pub more: bool,
}

/// `POST /v1/rooms/{id}/messages`: the fields of `send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendBody {
    /// The client's id of it, UUIDv7.
    pub message_id: MessageId,
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

impl SendBody {
    /// The same as a frame.
    #[must_use]
    pub fn into_send(self, room: RoomId) -> crate::Send {
        crate::Send {
            message_id: self.message_id,
            room,
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
            traceparent: self.traceparent,
        }
    }
}

/// Answer once stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendAnswer {
    /// Of the send.
    pub message_id: MessageId,
    /// Its position.
    pub position: Position,
    /// Its ordinal.
    pub ordinal: Ordinal,
    /// The server's time of it.
    pub at: Timestamp,
}
