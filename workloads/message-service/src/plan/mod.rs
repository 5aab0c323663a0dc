//! Decides what becomes of commands: facts, commands and what was looked up go in, decisions and writes come out.
//!
//! Pure: no async, no clock, no I/O. Facts are changed in place as if the writes were stored already; whoever cannot store
//! them forgets the facts of the rooms concerned.

mod append;
mod entry;
mod members;
mod notice;
pub(crate) mod repeat;
mod room;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use klatch_domain::{
    Action, Appended, Code, Command, Entry, Kind, MessageId, Refusal, RoomId, Seq, Stored, TargetFacts, Timestamp,
};
use klatch_store::{
    FollowUp,
    shard::{Known, Write},
};

use crate::{
    after::{Settlement, Settlements},
    heads::Heads,
};

/// What a sender waits before it tries a refused command again, milliseconds: a round and a round trip, several times over.
pub(crate) const RETRY_AFTER_MS: u64 = 500;

/// One command to decide about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) command: &'a Command,
    /// It was handed out before, or its commit is unknown: its first try may have ended anywhere.
    pub(crate) met_before: bool,
    /// It has waited long enough for the command before it.
    pub(crate) waited_out: bool,
}

/// A row as the rules look at it when a command names it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) facts: TargetFacts,
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        Self {
            facts: TargetFacts {
                author: entry.sender.user,
                kind: entry.kind.clone(),
                deleted: entry.deleted,
                emoji: entry.reactions.iter().map(|reaction| reaction.emoji.clone()).collect(),
            },
        }
    }
}

/// Whether a thread may start at this row: threads are one level deep, and start at something people read.
pub(crate) fn starts_a_thread(entry: &Entry) -> bool {
    entry.thread.is_none() && matches!(entry.kind, Kind::Text | Kind::File | Kind::Mls | Kind::Other(_))
}

/// What was looked up for a round. `None` within: looked for and not there.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Stored rows by their ids.
    pub(crate) known: HashMap<(RoomId, MessageId), Option<Known>>,
    /// Rows by their place.
    pub(crate) rows: HashMap<(RoomId, Seq), Option<Row>>,
    /// Whether a thread may start at these places.
    pub(crate) threads: HashMap<(RoomId, Seq), bool>,
    /// Direct rooms to be made, and whether a block stands between the two.
    pub(crate) blocks: HashMap<RoomId, bool>,
}

/// Which of a command's entries are announced to the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announce {
    /// All.
    All,
    /// Only the last: members learn of a new large room by their inboxes, and fetch it.
    Last,
    /// None: nobody is left to see it.
    Nothing,
}

/// What becomes of one command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decision {
    /// These of the plan's entries are written for it.
    Store { first: usize, count: usize, announce: Announce },
    /// It is stored already. The event is there when its first fan-out may have been lost.
    Repeat(Stored, Option<Arc<Appended>>),
    /// Nothing is to be done.
    Unchanged,
    /// A member's block is to be set once the batch is written.
    Block(bool),
    /// Refused.
    Refuse(Refusal),
    /// Refused, unless its id turns out to be stored: what was stored once stays stored.
    Verify(Refusal),
    /// The same id stands earlier in this round: look it up after the commit.
    Twin,
    /// Its room needs something that this round cannot know.
    Defer,
    /// The command before it is not settled yet.
    Wait,
}

/// Decisions in the order asked, and what is to be written for them.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) decisions: Vec<Decision>,
    /// All or nothing, in order.
    pub(crate) writes: Vec<Write>,
    /// One for each write.
    pub(crate) appended: Vec<Arc<Appended>>,
    /// Rooms whose members changed.
    pub(crate) members_changed: Vec<RoomId>,
    /// What the writes leave to be done, in their order.
    pub(crate) follow_ups: Vec<FollowUp>,
}

/// Plans the commands in order. `looked.rows` is brought up to date with what is planned.
pub(crate) fn plan<'a>(
    asks: impl ExactSizeIterator<Item = Ask<'a>>,
    heads: &mut Heads,
    looked: &mut Looked,
    settlements: &Settlements,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    plan.decisions.reserve(asks.len());
    plan.writes.reserve(asks.len());
    plan.appended.reserve(asks.len());
    let seen = HashMap::with_capacity(asks.len());
    let mut planner = Planner { heads, looked, settlements, now, plan, seen, deferred: HashSet::new() };
    for ask in asks {
        let decision = planner.decide(ask);
        planner.note(ask.command, &decision);
        planner.plan.decisions.push(decision);
    }
    planner.plan
}

struct Planner<'a> {
    heads: &'a mut Heads,
    looked: &'a mut Looked,
    settlements: &'a Settlements,
    now: Timestamp,
    plan: Plan,
    /// What this round has decided, and whether it stores it.
    seen: HashMap<(RoomId, MessageId), (Settlement, bool)>,
    /// Rooms whose later commands keep their place behind a deferred one.
    deferred: HashSet<RoomId>,
}

impl Planner<'_> {
    fn decide(&mut self, ask: Ask<'_>) -> Decision {
        let command = ask.command;
        if self.deferred.contains(&command.room) {
            return Decision::Defer;
        }
        let key = (command.room, command.message_id);
        if let Some(Some(known)) = self.looked.known.get(&key) {
            return repeat::decide(ask, known, self.heads.get_mut(command.room));
        }
        // One that was refused stands for itself when it comes again, before whatever comes later.
        if self.seen.get(&key).is_some_and(|(_, stores)| *stores) {
            return Decision::Twin;
        }
        match self.after(ask) {
            Some(decision) => decision,
            None => self.act(ask),
        }
    }

    fn act(&mut self, ask: Ask<'_>) -> Decision {
        let command = ask.command;
        match &command.action {
            Action::Append(draft) => self.append(command, draft),
            Action::CreateRoom(new) => self.create_room(command, new),
            Action::PutMember { user, role } => self.put_member(command, *user, *role),
            Action::RemoveMember { user } => self.remove_member(command, *user),
            Action::ChangeRoom { name, visibility } => self.change_room(command, name.as_ref(), *visibility),
            Action::DeleteRoom => self.delete_room(command),
            Action::SetBlock { on } => self.set_block(command, *on),
            Action::Notice { owner, draft } => self.notice(command, *owner, draft),
        }
    }

    /// What stops a command that names the one before it; `None` lets it pass.
    fn after(&self, ask: Ask<'_>) -> Option<Decision> {
        let room = ask.command.room;
        let before = ask.command.after?;
        if before == ask.command.message_id {
            return None;
        }
        let key = (room, before);
        match self.seen.get(&key).map(|(settlement, _)| *settlement).or_else(|| self.settlements.of(room, before)) {
            Some(Settlement::Settled) => None,
            Some(Settlement::RefusedForNow) => Some(Decision::Refuse(later())),
            None if matches!(self.looked.known.get(&key), Some(Some(_))) => None,
            None if ask.waited_out => Some(Decision::Refuse(later())),
            None => Some(Decision::Wait),
        }
    }

    fn note(&mut self, command: &Command, decision: &Decision) {
        let settlement = match decision {
            Decision::Wait => return,
            Decision::Defer => {
                self.deferred.insert(command.room);
                return;
            }
            Decision::Refuse(refusal) | Decision::Verify(refusal) if refusal.retryable => Settlement::RefusedForNow,
            _ => Settlement::Settled,
        };
        let stores = matches!(decision, Decision::Store { .. });
        let seen = self.seen.entry((command.room, command.message_id)).or_insert((settlement, stores));
        if !seen.1 {
            *seen = (settlement, stores);
        }
    }
}

fn later() -> Refusal {
    Refusal::retryable(Code::Busy, "the message before this one has not arrived; send it again first", RETRY_AFTER_MS)
}
