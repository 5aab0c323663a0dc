//! Notices to inboxes: what a membership change tells those whom it touches.

use klatch_domain::{Action, Command, Content, Draft, Kind, MessageId, RoomId, UserId};
use klatch_store::FollowUp;
use serde::Serialize;

/// Steps of [`MessageId::follow_up`]; never changed, as whoever does a follow-up again must meet the ids of the first try.
const STEP_JOINED: u8 = 1;
const STEP_LEFT: u8 = 2;

/// What an inbox has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) follow_up: FollowUp,
    pub(crate) user: UserId,
    pub(crate) inbox: RoomId,
    /// In the inbox.
    pub(crate) id: MessageId,
    joined: bool,
}

impl Notice {
    /// The notice that a follow-up owes, if it owes one: a role is no news to an inbox.
    pub(crate) fn of(follow_up: &FollowUp) -> Option<Self> {
        let user = follow_up.key.user?;
        let joined = match follow_up.kind {
            Kind::MemberJoined => true,
            Kind::MemberLeft | Kind::RoomChanged => false,
            _ => return None,
        };
        let step = if joined { STEP_JOINED } else { STEP_LEFT };
        let id = MessageId::follow_up(follow_up.message_id, user, step);
        Some(Self { follow_up: follow_up.clone(), user, inbox: RoomId::inbox_of(user), id, joined })
    }

    /// Whose news of which room it is: these arrive in order.
    pub(crate) fn subject(&self) -> (RoomId, UserId) {
        (self.follow_up.key.room, self.user)
    }

    /// `after`: the notice of the same subject before it, if that is not known to be stored.
    pub(crate) fn command(&self, after: Option<MessageId>, accepted_micros: u64) -> Command {
        #[derive(Serialize)]
        struct RoomOnly {
            room: RoomId,
        }
        let kind = if self.joined { Kind::MemberJoined } else { Kind::MemberLeft };
        // One id always fits a content.
        let content = Content::of(&RoomOnly { room: self.follow_up.key.room }).unwrap_or_default();
        Command {
            room: self.inbox,
            message_id: self.id,
            sender: self.follow_up.sender,
            action: Action::Notice { owner: self.user, draft: Draft::new(kind, content) },
            reply: None,
            after,
            accepted_micros,
            trace: None,
        }
    }
}

/// Whether a command comes again by itself until it is stored: a notice whose follow-up stands in a shard.
pub(crate) fn comes_again(command: &Command) -> bool {
    matches!(&command.action, Action::Notice { draft, .. } if matches!(draft.kind, Kind::MemberJoined | Kind::MemberLeft))
}

#[cfg(test)]
mod tests {
    use klatch_domain::{Sender, Seq, SessionId};
    use klatch_store::FollowUpKey;

    use super::*;

    fn follow_up(kind: Kind, user: Option<UserId>) -> FollowUp {
        let sender = Sender { user: UserId::from_bytes([1; 16]), session: SessionId::from_bytes([2; 16]) };
        let key = FollowUpKey { room: RoomId::from_bytes([3; 16]), seq: Seq(4), user };
        FollowUp { key, message_id: MessageId::from_bytes([5; 16]), sender, kind }
    }

    #[test]
    fn who_joins_or_leaves_or_loses_a_room_is_told_and_nobody_else() {
        let user = Some(UserId::from_bytes([9; 16]));
        let kind_of = |kind| match Notice::of(&follow_up(kind, user)).map(|notice| notice.command(None, 7).action) {
            Some(Action::Notice { owner, draft }) if Some(owner) == user => Some(draft.kind),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind_of(Kind::MemberJoined), Some(Kind::MemberJoined));
        assert_eq!(kind_of(Kind::MemberLeft), Some(Kind::MemberLeft));
        assert_eq!(kind_of(Kind::RoomChanged), Some(Kind::MemberLeft));
        assert_eq!(kind_of(Kind::RoleChanged), None);
        assert_eq!(Notice::of(&follow_up(Kind::RoomChanged, None)), None);
    }

    #[test]
    fn a_notice_has_the_same_id_however_often_it_is_made_and_says_who_did_what_where() {
        let user = UserId::from_bytes([9; 16]);
        let notice = Notice::of(&follow_up(Kind::MemberJoined, Some(user))).unwrap();
        let command = notice.command(Some(MessageId::from_bytes([8; 16])), 7);
        assert_eq!(command.message_id, MessageId::follow_up(MessageId::from_bytes([5; 16]), user, 1));
        assert_eq!((command.room, command.sender), (RoomId::inbox_of(user), notice.follow_up.sender));
        assert_eq!(
            (command.after, command.accepted_micros, command.reply),
            (Some(MessageId::from_bytes([8; 16])), 7, None)
        );
        let Action::Notice { draft, .. } = &command.action else { panic!() };
        assert_eq!(draft.content.as_str(), r#"{"room":"03030303-0303-0303-0303-030303030303"}"#);
        assert!(comes_again(&command));
        let left = Notice::of(&follow_up(Kind::MemberLeft, Some(user))).unwrap();
        assert_ne!(left.id, notice.id);
        let friend = Draft::new(Kind::FriendChanged, Content::default());
        assert!(!comes_again(&Command { action: Action::Notice { owner: user, draft: friend }, ..command }));
    }
}
