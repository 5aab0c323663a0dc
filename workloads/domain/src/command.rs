//! Commands: what workloads ask message-service to put into a room's log.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ConnectionId, Content, Fingerprint, Incarnation, Kind, Mentions, MessageId, Role, RoomId, RoomKind, RoomName, Seq,
    SessionId, Timestamp, UserId, Visibility,
};

/// Who sends, from which session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Sender {
    /// The user.
    pub user: UserId,
    /// The signed-in device or bot token.
    pub session: SessionId,
}

/// Where the outcome goes: to this life of a process and, within it, to this waiter. Presence has no say in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReplyAddress {
    /// The process that published the command.
    pub incarnation: Incarnation,
    /// The connection, or the HTTP request, in it.
    pub connection: ConnectionId,
}

/// One entry as its sender wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// What it is.
    pub kind: Kind,
    /// The body.
    pub content: Content,
    /// Media type of the body; the kind's default when left out.
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
    /// It raises no ordinal and no notification.
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
}

impl Draft {
    /// A draft with nothing but a kind and a body.
    #[must_use]
    pub const fn new(kind: Kind, content: Content) -> Self {
        Self {
            kind,
            content,
            content_type: None,
            reply_to: None,
            thread: None,
            target: None,
            mentions: None,
            silent: false,
            expires_at: None,
            if_epoch: None,
            device_list_version: None,
        }
    }

    /// The content type it will be stored with.
    #[must_use]
    pub fn stored_content_type(&self) -> Cow<'static, str> {
        match &self.content_type {
            Some(given) => Cow::Owned(given.to_string()),
            None => Cow::Borrowed(self.kind.default_content_type()),
        }
    }

    /// What a repeat of it must have in common with it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(
            &self.kind,
            &self.content,
            &self.stored_content_type(),
            self.reply_to,
            self.thread,
            self.target,
            self.mentions.as_ref(),
        )
    }
}

/// A room to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRoom {
    /// Direct or group.
    pub kind: RoomKind,
    /// Groups have one.
    pub name: Option<RoomName>,
    /// Groups only.
    pub visibility: Visibility,
    /// Everyone in it beside the sender, who becomes owner of a group and member of a direct room.
    pub others: Vec<UserId>,
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A client's entry.
    Append(Draft),
    /// Makes the room of the command; a room that is there with the same maker or pair is left as it is.
    CreateRoom(NewRoom),
    /// Adds a member, or gives them another role. Without a role: `member`, and a member's role stays.
    PutMember {
        /// Whom.
        user: UserId,
        /// To be.
        role: Option<Role>,
    },
    /// Removes a member, or lets the sender leave.
    RemoveMember {
        /// Whom.
        user: UserId,
    },
    /// New name or visibility of a group.
    ChangeRoom {
        /// New name.
        name: Option<RoomName>,
        /// New visibility.
        visibility: Option<Visibility>,
    },
    /// Empties the log, removes everyone.
    DeleteRoom,
    /// The sender blocks, or no longer blocks, the other of this direct room. Writes no entry.
    SetBlock {
        /// Blocked from now on, or no longer.
        on: bool,
    },
    /// An entry in a user's inbox, written by a workload. The inbox is made when it is not there.
    Notice {
        /// Whose inbox.
        owner: UserId,
        /// What it says.
        draft: Draft,
    },
}

/// One thing to put into the log of one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Whose log.
    pub room: RoomId,
    /// Names this command for ever: met twice, it is done once.
    pub message_id: MessageId,
    /// On whose behalf.
    pub sender: Sender,
    /// What.
    pub action: Action,
    /// Who wants to know the outcome.
    pub reply: Option<ReplyAddress>,
    /// The same connection's preceding unsettled command in this room: stored only after that one is settled.
    pub after: Option<MessageId>,
    /// When a workload took it from the client, microseconds since 1970: start of the delivery latency.
    pub accepted_micros: u64,
    /// W3C Trace Context of the client, or the id the workload gave it.
    pub trace: Option<Box<str>>,
}
