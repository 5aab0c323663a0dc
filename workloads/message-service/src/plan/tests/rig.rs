//! A round without a shard: looks up, plans, and does with rows in memory what a shard would do.

use std::collections::{BTreeMap, HashMap};

use klatch_domain::{Action, Entry, Fingerprint, MessageId, RoomFacts, RoomId, Seq, Timestamp};
use klatch_store::{
    FollowUp,
    shard::{Effect, Known},
};

use super::Asked;
use crate::{
    after::Settlements,
    heads::{Head, Heads},
    plan::{Ask, Decision, Looked, Row, plan, repeat, starts_a_thread},
};

/// What a sender hears.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Stored { seq: u64, ordinal: u64, at: Timestamp, repeat: bool },
    Unchanged,
    Refused(&'static str),
}

/// A stored row: as it is now, and the fingerprint of what was first sent.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) entry: Entry,
    first: Fingerprint,
    /// Who has which emoji on it.
    pub(super) reactions: BTreeMap<(klatch_domain::UserId, String), ()>,
}

pub(super) struct Rig {
    heads: Heads,
    settlements: Settlements,
    pub(super) facts: HashMap<RoomId, RoomFacts>,
    pub(super) logs: BTreeMap<RoomId, Vec<Stored>>,
    pub(super) follow_ups: Vec<FollowUp>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self {
            heads: Heads::new(1_000),
            settlements: Settlements::new(),
            facts: HashMap::new(),
            logs: BTreeMap::new(),
            follow_ups: Vec::new(),
        }
    }

    /// As another writer would begin.
    pub(super) fn forget_heads(&mut self) {
        self.heads = Heads::new(1_000);
    }

    /// Asks until every command has its answer, as rounds that follow each other do.
    pub(super) fn round(&mut self, batch: &[Asked], now: Timestamp) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; batch.len()];
        for _ in 0..=batch.len() {
            let open: Vec<usize> = (0..batch.len()).filter(|place| answers[*place].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let asks: Vec<&Asked> = open.iter().map(|place| &batch[*place]).collect();
            for (place, answer) in open.iter().zip(self.plan(&asks, now)) {
                answers[*place] = answer;
            }
        }
        answers.into_iter().map(|answer| answer.expect("every round settles something")).collect()
    }

    fn plan(&mut self, asked: &[&Asked], now: Timestamp) -> Vec<Option<Answer>> {
        let mut looked = self.look_up(asked);
        loop {
            let asks =
                asked.iter().map(|one| Ask { command: &one.command, met_before: one.met_before, waited_out: false });
            let planned = plan(asks, &mut self.heads, &mut looked, &self.settlements, now);
            assert_eq!(planned.writes.len(), planned.appended.len());
            let stored: Vec<_> = planned
                .writes
                .iter()
                .map(|write| (write.room, write.entry.message_id))
                .filter(|key| self.known(*key).is_some())
                .collect();
            if stored.is_empty() {
                return self.finish(asked, planned);
            }
            // As a shard that refuses the batch.
            for write in &planned.writes {
                self.heads.forget(write.room);
            }
            asked.iter().for_each(|one| self.heads.forget(one.command.room));
            let known = std::mem::take(&mut looked.known);
            looked = self.look_up(asked);
            looked.known.extend(known);
            for key in stored {
                looked.known.insert(key, self.known(key));
            }
        }
    }

    fn look_up(&mut self, asked: &[&Asked]) -> Looked {
        let mut looked = Looked::default();
        for one in asked {
            let (command, room) = (&one.command, one.command.room);
            if let Some(facts) = self.facts.get(&room)
                && !self.heads.contains(room)
            {
                self.heads.put(room, Head::new(facts.clone()));
            }
            let plain = matches!(command.action, Action::Append(_) | Action::Notice { .. } | Action::SetBlock { .. });
            if one.met_before || !plain {
                let key = (room, command.message_id);
                looked.known.insert(key, self.known(key));
            }
            let row = |seq: Seq| self.logs.get(&room).and_then(|log| log.get(usize::try_from(seq.0).unwrap() - 1));
            let (target, thread) = match &command.action {
                Action::Append(draft) => (draft.target, draft.thread),
                Action::CreateRoom(_) => (Some(Seq(1)), None),
                _ => (None, None),
            };
            let head = self.facts.get(&room).map_or(Seq::ZERO, |facts| facts.head);
            if let Some(seq) = target.filter(|seq| *seq <= head) {
                looked.rows.insert((room, seq), row(seq).map(|stored| Row::from(&stored.entry)));
            }
            if let Some(seq) = thread.filter(|seq| *seq <= head) {
                looked.threads.insert((room, seq), row(seq).is_some_and(|stored| starts_a_thread(&stored.entry)));
            }
            looked.blocks.insert(room, false);
        }
        looked
    }

    fn known(&self, (room, id): (RoomId, MessageId)) -> Option<Known> {
        let stored = self.logs.get(&room)?.iter().find(|stored| stored.entry.message_id == id)?;
        Some(Known { entry: stored.entry.clone(), first_fingerprint: Some(stored.first) })
    }

    fn finish(&mut self, asked: &[&Asked], planned: crate::plan::Plan) -> Vec<Option<Answer>> {
        for write in &planned.writes {
            self.write(write);
        }
        self.follow_ups.extend(planned.follow_ups);
        for one in asked {
            let room = one.command.room;
            if let Some(facts) = self.heads.peek(room) {
                self.facts.insert(room, facts.clone());
            }
        }
        let of = |place: usize| {
            let entry = &planned.appended[place].entry;
            let (seq, ordinal) = (entry.position.seq.0, entry.ordinal.0);
            Answer::Stored { seq, ordinal, at: entry.at, repeat: false }
        };
        let mut answers = Vec::new();
        for (one, decision) in asked.iter().zip(planned.decisions) {
            let known = self.known((one.command.room, one.command.message_id));
            let ask = Ask { command: &one.command, met_before: one.met_before, waited_out: false };
            let decision = match (decision, known) {
                (Decision::Verify(_) | Decision::Twin, Some(known)) => {
                    repeat::decide(ask, &known, self.heads.get_mut(one.command.room))
                }
                (Decision::Twin, None) => Decision::Defer,
                (decision, _) => decision,
            };
            answers.push(match decision {
                Decision::Store { first, count, .. } => {
                    assert!(count > 0);
                    Some(of(first))
                }
                Decision::Repeat(stored, _) => {
                    let (seq, ordinal) = (stored.position.seq.0, stored.ordinal.0);
                    Some(Answer::Stored { seq, ordinal, at: stored.at, repeat: stored.repeat })
                }
                Decision::Unchanged | Decision::Block(_) => Some(Answer::Unchanged),
                Decision::Refuse(refusal) | Decision::Verify(refusal) => Some(Answer::Refused(refusal.code.name())),
                Decision::Twin | Decision::Defer => None,
                Decision::Wait => panic!("nothing here names a command before it"),
            });
        }
        answers
    }

    fn write(&mut self, write: &klatch_store::shard::Write) {
        let entry = &write.entry;
        let log = self.logs.entry(write.room).or_default();
        assert_eq!(entry.position.seq.0, log.len() as u64 + 1, "seqs are dense");
        assert_eq!(entry.prev_seq.0, log.len() as u64);
        assert!(log.last().is_none_or(|last| last.entry.at <= entry.at), "time goes back");
        let mut change = |target: Seq, act: &dyn Fn(&mut Stored)| {
            let row = &mut log[usize::try_from(target.0).unwrap() - 1];
            act(row);
            row.entry.changed_seq = Some(entry.position.seq);
        };
        match &write.effect {
            Effect::Edit { target } => change(*target, &|row| row.entry.content = entry.content.clone()),
            Effect::Delete { target } => change(*target, &|row| row.entry.deleted = true),
            Effect::React { target, emoji, on } => change(*target, &|row| {
                let key = (entry.sender.user, emoji.clone());
                if *on {
                    row.reactions.insert(key, ());
                } else {
                    row.reactions.remove(&key);
                }
            }),
            _ => {}
        }
        let first = Fingerprint::of(
            &entry.kind,
            &entry.content,
            &entry.content_type,
            entry.reply_to,
            entry.thread,
            entry.target,
            entry.mentions.as_ref(),
        );
        log.push(Stored { entry: entry.clone(), first, reactions: BTreeMap::new() });
    }
}
