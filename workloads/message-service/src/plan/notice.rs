//! Entries of inboxes.

use klatch_domain::{Code, Command, Draft, Refusal, Role, RoomFacts, RoomId, RoomKind, Seq, UserId, Visibility};
use klatch_store::shard::Effect;

use super::{Decision, Planner, members::new_member};
use crate::heads::Head;

impl Planner<'_> {
    pub(super) fn notice(&mut self, command: &Command, owner: UserId, draft: &Draft) -> Decision {
        let room = command.room;
        if room != RoomId::inbox_of(owner) {
            return Decision::Refuse(Refusal::new(Code::ValidationFailed, "this room is not that user's inbox"));
        }
        if let Some(head) = self.heads.get_mut(room) {
            if head.facts.kind != RoomKind::Inbox {
                return Decision::Refuse(Refusal::new(Code::NotAllowed, "only inboxes take notices"));
            }
            return self.plan.add_one(command, head, self.now, draft, Effect::None);
        }
        let mut facts = RoomFacts::new(RoomKind::Inbox, None, Visibility::Private, self.now);
        facts.members.insert(owner, new_member(Role::Owner, self.now));
        facts.members_version = Seq(1);
        let effect = Effect::Create(Box::new(facts.clone()));
        let mut head = Head::new(facts);
        let decision = self.plan.add_one(command, &mut head, self.now, draft, effect);
        self.heads.put(room, head);
        decision
    }
}
