//! Entries: the lines of a room's log.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::{Content, Draft, MessageId, Ordinal, Position, Sender, Seq, Timestamp, UserId};

/// What an entry is. Kinds the server does not know are stored and forwarded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `{text}`
    Text,
    /// `{file_id, name, size, media_type}`
    File,
    /// `{text}`: new text of the target.
    Edit,
    /// `{}`: the target's content is gone.
    Delete,
    /// `{emoji, on}` at the target.
    Reaction,
    /// `{user, role}` in a room, `{room}` in an inbox.
    MemberJoined,
    /// `{user}` in a room, `{room}` in an inbox.
    MemberLeft,
    /// `{user, role}`
    RoleChanged,
    /// `{name?, visibility?}`
    RoomChanged,
    /// Opaque to the server.
    Mls,
    /// `{device, content}`, inbox only.
    ToDevice,
    /// `{user, status}`, inbox only.
    FriendChanged,
    /// `{room}`, inbox only.
    PreferencesChanged,
    /// `{user}`, inbox only.
    DeviceListChanged,
    /// A kind of a newer client.
    Other(Arc<str>),
}

const NAMES: [(Kind, &str); 14] = [
    (Kind::Text, "text"),
    (Kind::File, "file"),
    (Kind::Edit, "edit"),
    (Kind::Delete, "delete"),
    (Kind::Reaction, "reaction"),
    (Kind::MemberJoined, "member_joined"),
    (Kind::MemberLeft, "member_left"),
    (Kind::RoleChanged, "role_changed"),
    (Kind::RoomChanged, "room_changed"),
    (Kind::Mls, "mls"),
    (Kind::ToDevice, "to_device"),
    (Kind::FriendChanged, "friend_changed"),
    (Kind::PreferencesChanged, "preferences_changed"),
    (Kind::DeviceListChanged, "device_list_changed"),
];

impl Kind {
    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map_or_else(|| Self::Other(Arc::from(name)), |(kind, _)| kind.clone())
    }

    /// Its name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => NAMES.iter().find(|(kind, _)| kind == known).map_or("", |(_, name)| name),
        }
    }

    /// Whether an entry of this kind, not silent, raises the ordinal.
    #[must_use]
    pub const fn counts_as_unread(&self) -> bool {
        !matches!(
            self,
            Self::Edit
                | Self::Delete
                | Self::Reaction
                | Self::MemberJoined
                | Self::MemberLeft
                | Self::RoleChanged
                | Self::RoomChanged
                | Self::ToDevice
        )
    }

    /// Whether a client may send it; the rest is written by the service itself.
    #[must_use]
    pub const fn may_be_sent(&self) -> bool {
        matches!(
            self,
            Self::Text | Self::File | Self::Edit | Self::Delete | Self::Reaction | Self::Mls | Self::Other(_)
        )
    }

    /// Whether it changes another entry of the room, named by `target`.
    #[must_use]
    pub const fn needs_target(&self) -> bool {
        matches!(self, Self::Edit | Self::Delete | Self::Reaction)
    }

    /// The content type an entry of this kind has when the sender names none.
    #[must_use]
    pub const fn default_content_type(&self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Mls => "message/mls",
            _ => "application/json",
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer).map(|name| Self::from_name(&name))
    }
}

impl utoipa::PartialSchema for Kind {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .examples(NAMES.iter().map(|(_, name)| serde_json::Value::from(*name)))
            .into()
    }
}

impl ToSchema for Kind {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Kind")
    }
}

/// Whom an entry calls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Mentions {
    /// These users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
    /// Everyone in the room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub room: bool,
}

/// One emoji on an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReactionCount {
    /// The emoji.
    pub emoji: String,
    /// How many users put it there.
    pub count: u32,
    /// Whether the asking user did. Only in HTTP answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
}

/// One line of a room's log, as it stands now. Its serde form is the wire contract's `entry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// The seq before it; 0 for the first.
    pub prev_seq: Seq,
    /// Count of entries that count as unread, this one included if it counts.
    pub ordinal: Ordinal,
    /// The client's id of it.
    pub message_id: MessageId,
    /// Who wrote it, from which session.
    pub sender: Sender,
    /// The server's time; it never goes back within a room.
    pub at: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Media type of the content.
    pub content_type: Cow<'static, str>,
    /// The body.
    pub content: Content,
    /// Seq this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Seq>,
    /// Seq of the first entry of the thread this belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Seq>,
    /// Seq this changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Seq>,
    /// Seq of the last entry that changed this row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_seq: Option<Seq>,
    /// Whom it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Mentions>,
    /// It raises no ordinal and no notification.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// Files it carries (they come with the file service).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Content>>,
    /// From then on its content is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When its text was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// Its content is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Emoji on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionCount>,
}

impl Entry {
    /// What a draft becomes at its place in a log, as long as nothing has changed it. Logs are dense, so the place says what
    /// stands before.
    #[must_use]
    pub fn of(
        draft: &Draft,
        position: Position,
        ordinal: Ordinal,
        message_id: MessageId,
        sender: Sender,
        at: Timestamp,
    ) -> Self {
        Self {
            position,
            prev_seq: Seq(position.seq.0.saturating_sub(1)),
            ordinal,
            message_id,
            sender,
            at,
            kind: draft.kind.clone(),
            content_type: draft.stored_content_type(),
            content: draft.content.clone(),
            reply_to: draft.reply_to,
            thread: draft.thread,
            target: draft.target,
            changed_seq: None,
            mentions: draft.mentions.clone(),
            silent: draft.silent,
            attachments: None,
            expires_at: draft.expires_at,
            edited_at: None,
            deleted: false,
            reactions: Vec::new(),
        }
    }

    /// Who has come into the room by this entry of its log. Inboxes name rooms instead.
    #[must_use]
    pub fn joined(&self) -> Option<UserId> {
        #[derive(Deserialize)]
        struct Joined {
            user: UserId,
        }
        let joined = (self.kind == Kind::MemberJoined).then(|| self.content.read::<Joined>());
        joined?.ok().map(|joined| joined.user)
    }
}
