//! One round of one track: look up, plan, write, and say what became of each command.

use std::{collections::HashSet, num::NonZeroUsize, sync::Arc};

use klatch_domain::{
    Action, Appended, Code, Event, Outcome, OutcomeEvent, Position, Refusal, RoomId, Seq, Stored, UserId,
};
use klatch_store::{Shard, StoreError};
use lru::LruCache;

use crate::{
    after::{Settlement, Settlements},
    commit::{self, Failure},
    consequence::Work,
    context::Context,
    fan_out::Bundle,
    follow_up::comes_again,
    heads::Heads,
    item::Item,
    plan::{Announce, Ask, Decision, Looked, Plan, repeat},
};

/// Threads whose start was checked: some 60 bytes each.
const THREAD_STARTS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// What a track holds in memory. It travels with the round, so nobody else can touch it meanwhile.
pub(crate) struct Space {
    pub(crate) heads: Heads,
    pub(crate) settlements: Settlements,
    /// Whether a thread may start at a place.
    pub(crate) thread_starts: LruCache<(RoomId, Seq), bool>,
}

impl Space {
    pub(crate) fn new(heads: usize) -> Self {
        Self { heads: Heads::new(heads), settlements: Settlements::new(), thread_starts: LruCache::new(THREAD_STARTS) }
    }
}

/// Why a round ended before all its commands were decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The shard (or the directory) cannot do it just now.
    Unavailable(String),
    /// Slots have another owner now.
    Moved,
}

/// What a round came to.
pub(crate) struct Done {
    pub(crate) space: Space,
    /// Ready for fan-out.
    pub(crate) bundle: Bundle,
    /// What must happen outside the shard first.
    pub(crate) work: Option<Work>,
    /// Not decided: again, in this order, before anything later of their rooms.
    pub(crate) left: Vec<Item>,
    /// They wait for the command before them.
    pub(crate) waiting: Vec<Item>,
    pub(crate) halt: Option<Halt>,
    /// Some command was settled.
    pub(crate) progress: bool,
}

/// Runs a round over these commands of one shard.
pub(crate) async fn run(context: Arc<Context>, shard: Arc<dyn Shard>, space: Space, items: Vec<Item>) -> Done {
    context.metrics.rounds.inc();
    context.metrics.batch_commands.observe(items.len() as f64);
    let mut round = Round {
        context: &context,
        shard: &*shard,
        read: Vec::new(),
        done: Done {
            space,
            bundle: Bundle::default(),
            work: None,
            left: Vec::new(),
            waiting: Vec::new(),
            halt: None,
            progress: false,
        },
    };
    round.run(items).await;
    let Round { mut done, read, .. } = round;
    context.metrics.watermarks_dropped.inc_by(context.own_reads.note(&read));
    done.space.heads.trim();
    done
}

struct Round<'a> {
    context: &'a Context,
    shard: &'a dyn Shard,
    /// Sending moves the sender's own read.
    read: Vec<(RoomId, UserId, Position)>,
    done: Done,
}

impl Round<'_> {
    async fn run(&mut self, items: Vec<Item>) {
        // Groups of one order; the next one to write is the last.
        let mut groups = vec![items];
        while let Some(mut group) = groups.pop() {
            self.keep_behind(&mut group);
            match commit::write(self.context, self.shard, &mut self.done.space, &group).await {
                Ok((plan, looked)) => self.finish(group, plan, looked).await,
                Err(Failure::Data(reason)) => match <[Item; 1]>::try_from(group) {
                    Ok([culprit]) => self.bury(&culprit, &reason),
                    Err(group) => groups.extend(commit::split(group, self.context).into_iter().rev()),
                },
                Err(Failure::Halt(halt)) => {
                    self.done.halt = Some(halt);
                    // It may have been written all the same: what is found stored is then announced as if new.
                    group.iter_mut().for_each(|item| item.met_before = true);
                    self.done.left.extend(group);
                }
            }
            if self.done.halt.is_some() {
                self.done.left.extend(groups.drain(..).rev().flatten());
            }
        }
    }

    /// Commands of a room that left an earlier one behind wait with it.
    fn keep_behind(&mut self, group: &mut Vec<Item>) {
        if self.done.left.is_empty() {
            return;
        }
        let rooms: HashSet<RoomId> = self.done.left.iter().map(Item::room).collect();
        self.done.left.extend(group.extract_if(.., |item| rooms.contains(&item.room())));
    }

    /// The database does not take this command's data: its sender hears so, everyone else goes on.
    fn bury(&mut self, item: &Item, reason: &str) {
        bury(self.context, item, reason);
        self.settle(item, Outcome::Refused(internal()), false);
    }

    async fn finish(&mut self, items: Vec<Item>, mut plan: Plan, mut looked: Looked) {
        for room in &plan.members_changed {
            self.done.space.heads.weigh(*room);
        }
        let unset = self.set_blocks(&items, &mut plan).await;
        let stopped = self.look_again(&items, &mut plan, &mut looked).await;
        for follow_up in std::mem::take(&mut plan.follow_ups) {
            let facts = self.done.space.heads.peek(follow_up.key.room);
            self.done.work.get_or_insert_default().add(follow_up, facts);
        }
        let rooms: Vec<_> = if unset.is_some() { items.iter().map(Item::room).collect() } else { Vec::new() };
        self.tell(items, plan);
        // Their facts hold blocks that were not written.
        rooms.into_iter().for_each(|room| self.done.space.heads.forget(room));
        let stopped = unset.or(stopped);
        if let Some(error) = stopped {
            self.done.halt = Some(Halt::Unavailable(error.to_string()));
        }
    }

    /// Writes the blocks the plan has decided on; those it cannot write come again.
    async fn set_blocks(&mut self, items: &[Item], plan: &mut Plan) -> Option<StoreError> {
        let mut stopped = None;
        for (item, decision) in items.iter().zip(&mut plan.decisions) {
            let Decision::Block(on) = *decision else { continue };
            let command = item.command();
            if stopped.is_none()
                && let Err(error) = self.shard.set_blocking(command.room, command.sender.user, on).await
            {
                stopped = Some(error);
            }
            *decision = if stopped.is_none() { Decision::Unchanged } else { Decision::Defer };
        }
        stopped
    }

    /// Looks up the ids of commands that would be refused, or that stood in the batch twice: what is stored is a repeat.
    async fn look_again(&mut self, items: &[Item], plan: &mut Plan, looked: &mut Looked) -> Option<StoreError> {
        let unsure = |decision: &Decision| matches!(decision, Decision::Verify(_) | Decision::Twin);
        let mut keys: Vec<_> =
            items.iter().zip(&plan.decisions).filter(|(_, one)| unsure(one)).map(|(item, _)| item.key()).collect();
        if keys.is_empty() {
            return None;
        }
        keys.sort_unstable();
        keys.dedup();
        let (found, stopped) = match self.shard.known(&keys).await {
            Ok(found) => (found, None),
            Err(error) => (Default::default(), Some(error)),
        };
        for (item, decision) in items.iter().zip(&mut plan.decisions).filter(|(_, one)| unsure(one)) {
            if stopped.is_some() {
                *decision = Decision::Defer;
                continue;
            }
            let ask = Ask { command: item.command(), met_before: item.met_before, waited_out: false };
            let known = found.get(&item.key());
            *decision = match (known, std::mem::replace(decision, Decision::Defer)) {
                (Some(known), _) => repeat::decide(ask, known, self.done.space.heads.get_mut(item.room())),
                (None, Decision::Verify(refusal)) => Decision::Refuse(refusal),
                // The first of the two was refused: this one stands for itself, in the next round.
                (None, _) => Decision::Defer,
            };
        }
        looked.known.clear();
        stopped
    }

    /// Turns decisions into events, outcomes and work.
    fn tell(&mut self, items: Vec<Item>, mut plan: Plan) {
        let decisions = std::mem::take(&mut plan.decisions);
        let held: HashSet<RoomId> = items
            .iter()
            .zip(&decisions)
            .filter(|(item, decision)| has_consequences(item, decision))
            .map(|(item, _)| item.room())
            .collect();
        let latency = self.context.metrics.accepted_to_committed_seconds.local();
        let committed = self.context.clock.micros();
        for (item, decision) in items.into_iter().zip(decisions) {
            let is_held = held.contains(&item.room());
            if is_held && item.met_before && matches!(decision, Decision::Repeat(..)) {
                let facts = self.done.space.heads.peek(item.room());
                self.done.work.get_or_insert_default().add_again(item.command(), facts);
            }
            match decision {
                Decision::Store { first, count, announce } => {
                    let accepted = item.command().accepted_micros;
                    latency.observe(committed.saturating_sub(accepted) as f64 / 1e6);
                    self.stored(&item, &plan.appended[first..first + count], announce, is_held);
                }
                Decision::Repeat(stored, event) => {
                    self.context.metrics.repeats.inc();
                    if let Some(event) = event {
                        self.bundle(is_held).appended.push(event);
                    }
                    self.settle(&item, Outcome::Stored(stored), is_held);
                }
                Decision::Unchanged | Decision::Block(_) => self.settle(&item, Outcome::Unchanged, is_held),
                Decision::Refuse(refusal) | Decision::Verify(refusal) => {
                    self.settle(&item, Outcome::Refused(refusal), is_held);
                }
                Decision::Defer | Decision::Twin => self.done.left.push(item),
                Decision::Wait => self.done.waiting.push(item),
            }
        }
        latency.flush();
    }

    fn stored(&mut self, item: &Item, appended: &[Arc<Appended>], announce: Announce, is_held: bool) {
        let Some(first) = appended.first() else { return };
        self.context.metrics.entries.inc_by(appended.len() as u64);
        let entry = &first.entry;
        if matches!(item.command().action, Action::Append(_)) {
            self.read.push((first.room, entry.sender.user, entry.position));
        }
        let announced = match announce {
            Announce::All => appended,
            Announce::Last => &appended[appended.len() - 1..],
            Announce::Nothing => &[],
        };
        let bundle = self.bundle(is_held);
        bundle.appended.extend_from_slice(announced);
        if announce == Announce::Nothing {
            bundle.lanes.push((first.room, Event::RoomDeleted { room: first.room }));
        }
        let stored = Stored { position: entry.position, ordinal: entry.ordinal, at: entry.at, repeat: false };
        self.settle(item, Outcome::Stored(stored), is_held);
    }

    /// The command is done: who waits for it hears so, and its origin is told when that has gone out.
    fn settle(&mut self, item: &Item, outcome: Outcome, is_held: bool) {
        let command = item.command();
        self.done.progress = true;
        let mut settlement = Settlement::Settled;
        if let Outcome::Refused(refusal) = &outcome {
            self.context.metrics.refusals.with_label_values(&[refusal.code.name()]).inc();
            if refusal.retryable {
                settlement = Settlement::RefusedForNow;
            }
        }
        tracing::debug!(
            room = %command.room,
            message = %command.message_id,
            trace = command.trace.as_deref().unwrap_or_default(),
            outcome = outcome_name(&outcome),
            "settled"
        );
        if command.reply.is_some() || comes_again(command) {
            self.done.space.settlements.note(command.room, command.message_id, settlement);
        }
        let bundle = self.bundle(is_held);
        bundle.settle(item.origin);
        if let Some(reply) = command.reply {
            let (message_id, room) = (command.message_id, command.room);
            bundle.outcomes.push(OutcomeEvent { reply, message_id, room, outcome });
        }
    }

    fn bundle(&mut self, is_held: bool) -> &mut Bundle {
        if is_held { &mut self.done.work.get_or_insert_default().bundle } else { &mut self.done.bundle }
    }
}

/// Whether the directory or inboxes have to hear of it. A repeat that its sender asked for is none: what the first try has
/// left is done, or stands in the shard.
fn has_consequences(item: &Item, decision: &Decision) -> bool {
    let fresh = match decision {
        Decision::Store { .. } => true,
        Decision::Repeat(..) => item.met_before,
        _ => false,
    };
    fresh && !matches!(item.command().action, Action::Append(_) | Action::Notice { .. } | Action::SetBlock { .. })
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Stored(stored) if stored.repeat => "repeat",
        Outcome::Stored(_) => "stored",
        Outcome::Unchanged => "unchanged",
        Outcome::Refused(refusal) => refusal.code.name(),
    }
}

/// What a sender hears whose command was given up.
pub(crate) fn internal() -> Refusal {
    Refusal::new(Code::Internal, "the server cannot store this; it was noted")
}

/// Counts and logs a command that is given up. Ids only: bodies never stand in logs.
pub(crate) fn bury(context: &Context, item: &Item, reason: &str) {
    let command = item.command();
    context.metrics.dead_letters.inc();
    tracing::error!(
        room = %command.room,
        message = %command.message_id,
        user = %command.sender.user,
        trace = command.trace.as_deref().unwrap_or_default(),
        reason,
        "a command was given up"
    );
}
