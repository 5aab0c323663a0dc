//! Rooms are made, changed and closed.

use std::collections::BTreeSet;

use klatch_domain::{
    Code, Command, Content, Draft, Kind, MessageId, NewRoom, Refusal, Role, RoomFacts, RoomId, RoomKind, RoomName, Seq,
    UserId, Visibility, check_change_room, limits::NEW_GROUP_MEMBERS,
};
use klatch_store::shard::Effect;
use serde::Serialize;

use super::{
    Announce, Decision, Planner,
    entry::announce_new_room,
    members::{member_draft, new_member},
};
use crate::heads::Head;

/// The step of [`MessageId::follow_up`] for the entries of a new room beside its first. Never changes: a redelivery must
/// meet the ids of its first try.
pub(crate) const STEP_NEW_MEMBER: u8 = 0;

#[derive(Serialize)]
struct RoomContent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a RoomName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

fn room_draft(content: &RoomContent<'_>) -> Draft {
    // A name and a word always fit a content.
    Draft::new(Kind::RoomChanged, Content::of(content).unwrap_or_default())
}

impl Planner<'_> {
    pub(super) fn create_room(&mut self, command: &Command, new: &NewRoom) -> Decision {
        let maker = command.sender.user;
        let others = match others(command.room, maker, new) {
            Ok(others) => others,
            Err(refusal) => return Decision::Refuse(refusal),
        };
        if let Some(head) = self.heads.get_mut(command.room) {
            let made_it = match head.facts.kind {
                RoomKind::Direct => Some(head.facts.members.contains_key(&maker)),
                _ => self
                    .looked
                    .rows
                    .get(&(command.room, Seq(1)))
                    .map(|row| row.as_ref().is_some_and(|row| row.facts.author == maker)),
            };
            return match made_it {
                None => Decision::Defer,
                Some(true) if !head.facts.deleted && head.facts.kind == new.kind => Decision::Unchanged,
                Some(_) => Decision::Verify(Refusal::new(Code::NotAllowed, "a room with this id is there already")),
            };
        }
        if new.kind == RoomKind::Direct {
            match self.looked.blocks.get(&command.room) {
                None => return Decision::Defer,
                Some(true) => {
                    return Decision::Refuse(Refusal::new(Code::Blocked, "one of you has blocked the other"));
                }
                Some(false) => {}
            }
        }
        self.make_room(command, new, &others)
    }

    /// Its first entry makes the room with its maker in it; each other member has an entry of their own.
    fn make_room(&mut self, command: &Command, new: &NewRoom, others: &BTreeSet<UserId>) -> Decision {
        let maker = command.sender.user;
        let role = if new.kind == RoomKind::Group { Role::Owner } else { Role::Member };
        let mut facts = RoomFacts::new(new.kind, new.name.clone(), new.visibility, self.now);
        facts.members.insert(maker, new_member(role, self.now));
        facts.members_version = Seq(1);
        let effect = Effect::Create(Box::new(facts.clone()));
        let mut head = Head::new(facts);

        let first = self.plan.writes.len();
        let draft = member_draft(Kind::MemberJoined, maker, Some(role));
        self.plan.add(command, &mut head, self.now, command.message_id, &draft, effect);
        for user in others {
            let id = MessageId::follow_up(command.message_id, *user, STEP_NEW_MEMBER);
            let draft = member_draft(Kind::MemberJoined, *user, Some(Role::Member));
            let effect = Effect::PutMember { user: *user, member: new_member(Role::Member, self.now) };
            self.plan.add(command, &mut head, self.now, id, &draft, effect);
        }
        self.heads.put(command.room, head);
        let count = 1 + others.len();
        Decision::Store { first, count, announce: announce_new_room(count) }
    }

    pub(super) fn change_room(
        &mut self,
        command: &Command,
        name: Option<&RoomName>,
        visibility: Option<Visibility>,
    ) -> Decision {
        let Some(head) = self.heads.get_mut(command.room) else {
            return Decision::Refuse(Refusal::room_not_found());
        };
        if let Err(refusal) = check_change_room(&head.facts, command.sender.user) {
            return Decision::Verify(refusal);
        }
        let name = name.filter(|name| head.facts.name.as_ref() != Some(*name));
        let visibility = visibility.filter(|visibility| head.facts.visibility != *visibility);
        if name.is_none() && visibility.is_none() {
            return Decision::Unchanged;
        }
        let draft = room_draft(&RoomContent { name, visibility, deleted: false });
        let effect = Effect::ChangeRoom { name: name.cloned(), visibility };
        self.plan.add_one(command, head, self.now, &draft, effect)
    }

    pub(super) fn delete_room(&mut self, command: &Command) -> Decision {
        let Some(head) = self.heads.get_mut(command.room) else {
            return Decision::Refuse(Refusal::room_not_found());
        };
        if let Err(refusal) = check_change_room(&head.facts, command.sender.user) {
            return Decision::Verify(refusal);
        }
        let first = self.plan.writes.len();
        let draft = room_draft(&RoomContent { name: None, visibility: None, deleted: true });
        self.plan.add(command, head, self.now, command.message_id, &draft, Effect::DeleteRoom);
        Decision::Store { first, count: 1, announce: Announce::Nothing }
    }
}

/// Who is in a new room beside its maker, each once, if the room may be made at all.
fn others(room: RoomId, maker: UserId, new: &NewRoom) -> Result<BTreeSet<UserId>, Refusal> {
    let invalid = |detail: &'static str| Err(Refusal::new(Code::ValidationFailed, detail));
    if new.others.len() > NEW_GROUP_MEMBERS {
        return invalid("a new group names at most 5000 others; add more when it is there");
    }
    let mut others: BTreeSet<_> = new.others.iter().copied().collect();
    others.remove(&maker);
    match new.kind {
        RoomKind::Inbox => Err(Refusal::new(Code::NotAllowed, "inboxes are made by the server")),
        RoomKind::Group if new.name.is_none() => invalid("a group has a name"),
        RoomKind::Group => Ok(others),
        RoomKind::Direct if others.len() != 1 => invalid("a direct room has exactly one other"),
        RoomKind::Direct if others.iter().any(|other| RoomId::direct_of(maker, *other) != room) => {
            invalid("this is not the direct room of these two")
        }
        RoomKind::Direct => Ok(others),
    }
}
