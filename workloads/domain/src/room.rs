//! Rooms, members, roles.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Generation, Ordinal, RoomName, Seq, Timestamp, UserId};

/// What a room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Two people; one per pair.
    Direct,
    /// Named, with roles.
    Group,
    /// A user's own; it carries what belongs to no other room.
    Inbox,
}

/// Who can find a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Members only; others cannot tell that it exists.
    #[default]
    Private,
    /// Anyone may find it and join.
    Public,
}

/// What a member may do. Ordered: a greater role may more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Adds and removes members, changes the room, deletes others' messages.
    Admin,
    /// Everything; the last one cannot leave others alone.
    Owner,
}

/// Which entries of a room notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// Every entry that counts as unread.
    #[default]
    All,
    /// Only those that mention the member.
    Mentions,
    /// None.
    None,
}

/// A member's own settings of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Preferences {
    /// What notifies.
    #[serde(default)]
    pub notify: Notify,
    /// Left out of the room list until something new comes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Shown as unread although everything was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked_unread: bool,
}

/// A member as the log has decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// What they may do.
    pub role: Role,
    /// Direct rooms: this member has blocked the other.
    pub blocking: bool,
    /// When they joined.
    pub joined_at: Timestamp,
}

/// The members of a room, in the order of their ids.
pub type MemberSet = BTreeMap<UserId, Member>;

/// Everything the rules ask about a room: what the writer holds in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomFacts {
    /// Direct, group or inbox.
    pub kind: RoomKind,
    /// Groups only.
    pub name: Option<RoomName>,
    /// Groups only.
    pub visibility: Visibility,
    /// Of the log.
    pub generation: Generation,
    /// Last seq given.
    pub head: Seq,
    /// Last ordinal given.
    pub head_ordinal: Ordinal,
    /// Time of the last entry: the next is not earlier.
    pub last_at: Timestamp,
    /// Seq of the last membership change.
    pub members_version: Seq,
    /// Who is in it.
    pub members: MemberSet,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its log is closed for good.
    pub deleted: bool,
}

impl RoomFacts {
    /// A room before its first entry.
    #[must_use]
    pub fn new(kind: RoomKind, name: Option<RoomName>, visibility: Visibility, created_at: Timestamp) -> Self {
        Self {
            kind,
            name,
            visibility,
            generation: Generation::FIRST,
            head: Seq::ZERO,
            head_ordinal: Ordinal(0),
            last_at: created_at,
            members_version: Seq::ZERO,
            members: MemberSet::new(),
            created_at,
            deleted: false,
        }
    }

    /// The role of a user, if they are a member.
    #[must_use]
    pub fn role_of(&self, user: UserId) -> Option<Role> {
        self.members.get(&user).map(|member| member.role)
    }
}
