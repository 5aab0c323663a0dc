//! What an entry leaves to be done outside its shard: the shard's own outbox.
//!
//! Every entry that makes, changes or closes a room, or changes its members, leaves follow-ups in its own transaction. They
//! stay until the directory has taken the change over and the inboxes concerned hold their notices; whoever takes over a
//! slot does what it finds. Doing one twice changes nothing. Inboxes and plain messages leave none.

use klatch_domain::{Kind, MessageId, RoomId, RoomKind, Sender, Seq, UserId};

use crate::shard::{Effect, Write};

/// Names a follow-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FollowUpKey {
    /// The room whose log decided it.
    pub room: RoomId,
    /// The entry that did.
    pub seq: Seq,
    /// Whose membership changed; `None`: the room itself.
    pub user: Option<UserId>,
}

/// One thing that an entry leaves to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// Its name.
    pub key: FollowUpKey,
    /// Of the entry.
    pub message_id: MessageId,
    /// Of the entry.
    pub sender: Sender,
    /// Of the entry. With a user, `room_changed` means that the room was closed under them.
    pub kind: Kind,
}

impl FollowUp {
    /// What this write leaves, in the order of a shard. `members` are those of the room before it.
    #[must_use]
    pub fn of(write: &Write, members: impl IntoIterator<Item = UserId>) -> Vec<Self> {
        let users: Vec<Option<UserId>> = match &write.effect {
            Effect::None | Effect::Edit { .. } | Effect::Delete { .. } | Effect::React { .. } => return Vec::new(),
            Effect::Create(facts) if facts.kind == RoomKind::Inbox => return Vec::new(),
            Effect::Create(facts) if facts.members.is_empty() => vec![None],
            Effect::Create(facts) => facts.members.keys().copied().map(Some).collect(),
            Effect::PutMember { user, .. } | Effect::RemoveMember { user } => vec![Some(*user)],
            Effect::ChangeRoom { .. } => vec![None],
            Effect::DeleteRoom => std::iter::once(None).chain(members.into_iter().map(Some)).collect(),
        };
        let entry = &write.entry;
        let key = |user| FollowUpKey { room: write.room, seq: entry.position.seq, user };
        users
            .into_iter()
            .map(|user| Self {
                key: key(user),
                message_id: entry.message_id,
                sender: entry.sender,
                kind: entry.kind.clone(),
            })
            .collect()
    }
}
