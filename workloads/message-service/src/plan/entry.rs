//! The next line of a log: seq, ordinal and time are given here and nowhere else.

use std::sync::Arc;

use klatch_domain::{
    Appended, Command, Draft, Entry, MessageId, Ordinal, Position, RoomFacts, RoomId, Timestamp, UserId,
    limits::SMALL_ROOM_MEMBERS,
};
use klatch_store::{
    FollowUp,
    shard::{Effect, Write},
};

use super::{Announce, Decision, Plan};
use crate::heads::Head;

impl Plan {
    /// Plans one entry of a command, with what it changes.
    pub(super) fn add(
        &mut self,
        command: &Command,
        head: &mut Head,
        now: Timestamp,
        message_id: MessageId,
        draft: &Draft,
        effect: Effect,
    ) {
        let entry = next_entry(&mut head.facts, command, now, message_id, draft);
        let write = Write { room: command.room, entry, effect };
        self.follow_ups.extend(FollowUp::of(&write, head.facts.members.keys().copied()));
        self.apply(command.room, head, &write);
        let appended = Appended {
            room: command.room,
            entry: write.entry.clone(),
            members_version: head.facts.members_version,
            audience: head.audience(),
            removed: removed_by(&write.effect),
            accepted_micros: command.accepted_micros,
            trace: command.trace.clone(),
        };
        self.writes.push(write);
        self.appended.push(Arc::new(appended));
    }

    /// Plans a command of exactly one entry under the command's own id.
    pub(super) fn add_one(
        &mut self,
        command: &Command,
        head: &mut Head,
        now: Timestamp,
        draft: &Draft,
        effect: Effect,
    ) -> Decision {
        let first = self.writes.len();
        self.add(command, head, now, command.message_id, draft, effect);
        Decision::Store { first, count: 1, announce: Announce::All }
    }

    /// What the effect changes of the facts. What makes a room starts from facts that hold its first members already.
    fn apply(&mut self, room: RoomId, head: &mut Head, write: &Write) {
        let seq = write.entry.position.seq;
        let facts = &mut head.facts;
        match &write.effect {
            Effect::None | Effect::Edit { .. } | Effect::Delete { .. } | Effect::React { .. } | Effect::Create(_) => {
                return;
            }
            Effect::ChangeRoom { name, visibility } => {
                if name.is_some() {
                    facts.name.clone_from(name);
                }
                facts.visibility = visibility.unwrap_or(facts.visibility);
                return;
            }
            Effect::PutMember { user, member } => {
                facts.members.insert(*user, *member);
            }
            Effect::RemoveMember { user } => {
                facts.members.remove(user);
            }
            Effect::DeleteRoom => {
                facts.members.clear();
                facts.deleted = true;
            }
        }
        facts.members_version = seq;
        head.members_changed();
        if self.members_changed.last() != Some(&room) {
            self.members_changed.push(room);
        }
    }
}

fn removed_by(effect: &Effect) -> Option<UserId> {
    match effect {
        Effect::RemoveMember { user } => Some(*user),
        _ => None,
    }
}

/// Takes the room's head one entry further. Its time is the clock's, but never before the entry before it.
fn next_entry(facts: &mut RoomFacts, command: &Command, now: Timestamp, message_id: MessageId, draft: &Draft) -> Entry {
    facts.head = facts.head.next();
    facts.last_at = facts.last_at.max(now);
    if draft.kind.counts_as_unread() && !draft.silent {
        facts.head_ordinal = Ordinal(facts.head_ordinal.0 + 1);
    }
    let position = Position { generation: facts.generation, seq: facts.head };
    Entry::of(draft, position, facts.head_ordinal, message_id, command.sender, facts.last_at)
}

/// In a small new room every entry is announced; in a large one each would go to thousands who do not know the room yet.
pub(super) fn announce_new_room(members: usize) -> Announce {
    if members <= SMALL_ROOM_MEMBERS { Announce::All } else { Announce::Last }
}
