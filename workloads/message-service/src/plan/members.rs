//! Membership, roles and blocks.

use klatch_domain::{
    Command, Draft, Kind, Member, Refusal, Role, RoomKind, Timestamp, UserId, check_put_member, check_remove_member,
};
use klatch_store::shard::Effect;
use serde::Serialize;

use super::{Decision, Planner};

/// The content of entries about a member.
#[derive(Serialize)]
struct MemberContent {
    user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
}

/// The entry that says what became of a member.
pub(super) fn member_draft(kind: Kind, user: UserId, role: Option<Role>) -> Draft {
    // An id and a role always fit a content.
    Draft::new(kind, klatch_domain::Content::of(&MemberContent { user, role }).unwrap_or_default())
}

/// A new member. `at` is the time of the entry that brings them.
pub(super) fn new_member(role: Role, at: Timestamp) -> Member {
    Member { role, blocking: false, joined_at: at }
}

impl Planner<'_> {
    pub(super) fn put_member(&mut self, command: &Command, user: UserId, role: Option<Role>) -> Decision {
        let Some(head) = self.heads.get_mut(command.room) else {
            return Decision::Refuse(Refusal::room_not_found());
        };
        if let Err(refusal) = check_put_member(&head.facts, command.sender.user, user, role) {
            return Decision::Verify(refusal);
        }
        let at = head.facts.last_at.max(self.now);
        let known = head.facts.members.get(&user).copied();
        let (kind, member) = match known {
            None => (Kind::MemberJoined, new_member(role.unwrap_or(Role::Member), at)),
            Some(member) if role.is_none_or(|role| role == member.role) => return Decision::Unchanged,
            Some(member) => (Kind::RoleChanged, Member { role: role.unwrap_or(member.role), ..member }),
        };
        let draft = member_draft(kind, user, Some(member.role));
        self.plan.add_one(command, head, self.now, &draft, Effect::PutMember { user, member })
    }

    pub(super) fn remove_member(&mut self, command: &Command, user: UserId) -> Decision {
        let Some(head) = self.heads.get_mut(command.room) else {
            return Decision::Refuse(Refusal::room_not_found());
        };
        if let Err(refusal) = check_remove_member(&head.facts, command.sender.user, user) {
            return Decision::Verify(refusal);
        }
        let draft = member_draft(Kind::MemberLeft, user, None);
        self.plan.add_one(command, head, self.now, &draft, Effect::RemoveMember { user })
    }

    /// A block that comes before the direct room finds nothing to hold: whoever makes the room asks for blocks then.
    pub(super) fn set_block(&mut self, command: &Command, on: bool) -> Decision {
        let Some(head) = self.heads.get_mut(command.room) else { return Decision::Unchanged };
        let direct = head.facts.kind == RoomKind::Direct;
        match head.facts.members.get_mut(&command.sender.user) {
            Some(member) if direct => {
                member.blocking = on;
                Decision::Block(on)
            }
            _ => Decision::Refuse(Refusal::room_not_found()),
        }
    }
}
