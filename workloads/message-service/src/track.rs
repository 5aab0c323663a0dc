//! The commands of one shard, from one ingest queue: in order, one round at a time.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use klatch_domain::{RoomId, ShardId};
use tokio::time::Instant;

use crate::{
    after::{Settlement, Settlements},
    item::Item,
    park::Park,
    round::Space,
};

/// How long a command waits for the one before it. A broker's handover returns it within milliseconds; a sender that hears
/// "busy" sends both again, in order.
pub(crate) const AFTER_WAIT: Duration = Duration::from_secs(1);
/// Bytes of one batch: a few ms of a disk.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Track {
    pub(crate) shard: ShardId,
    /// Of the slot map by which its commands were dealt.
    pub(crate) epoch: u64,
    pub(crate) pending: VecDeque<Item>,
    /// For the command before them.
    waiting: Vec<Item>,
    /// Elsewhere while a round runs.
    space: Option<Space>,
    /// Rooms whose last membership change is not told yet.
    held: HashSet<RoomId>,
    pub(crate) park: Option<Park>,
    /// What runs alone just now.
    pub(crate) alone: Option<Item>,
    /// Something was settled since the waiting ones were last looked at.
    recheck: bool,
}

impl Track {
    pub(crate) fn new(shard: ShardId, epoch: u64, heads: usize) -> Self {
        Self {
            shard,
            epoch,
            pending: VecDeque::new(),
            waiting: Vec::new(),
            space: Some(Space::new(heads)),
            held: HashSet::new(),
            park: None,
            alone: None,
            recheck: false,
        }
    }

    pub(crate) fn waits(&self) -> usize {
        self.pending.len() + self.waiting.len()
    }

    /// A command was refused before it reached a round.
    pub(crate) fn note_refused_for_now(&mut self, item: &Item) {
        if let Some(space) = &mut self.space {
            let (room, id) = item.key();
            space.settlements.note(room, id, Settlement::RefusedForNow);
        }
    }

    /// Takes out the later half of what is pending, the latest first, up to the first that would not come again. The last one stays: it is
    /// what a parked shard is tried with.
    pub(crate) fn shed(&mut self) -> Vec<Item> {
        let mut shed = Vec::new();
        for _ in 0..self.pending.len() / 2 {
            let Some(item) = self.pending.pop_back_if(|item| item.comes_again()) else { break };
            self.note_refused_for_now(&item);
            shed.push(item);
        }
        shed
    }

    /// The next batch, and what it is worked on with; nothing while a round runs, a park lasts or nothing can be done.
    pub(crate) fn start(&mut self, now: Instant, most: usize) -> Option<(Space, Vec<Item>)> {
        if self.space.is_none() || self.park.as_ref().is_some_and(|park| now < park.next_try) {
            return None;
        }
        let batch = self.take(now, most);
        if batch.is_empty() {
            if let Some(park) = &mut self.park {
                park.again(now);
            }
            return None;
        }
        self.recheck = false;
        self.alone = batch.first().filter(|item| item.alone).cloned();
        self.space.take().map(|space| (space, batch))
    }

    fn take(&mut self, now: Instant, most: usize) -> Vec<Item> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let (recheck, held) = (self.recheck, &self.held);
        let settlements = self.space.as_ref().map(|space| &space.settlements);
        let ready = |item: &mut Item| {
            let due = now >= item.taken_at + AFTER_WAIT || (recheck && before_is_settled(item, settlements));
            due && !held.contains(&item.room())
        };
        for item in self.waiting.extract_if(.., ready).collect::<Vec<_>>().into_iter().rev() {
            self.pending.push_front(item);
        }
        let mut skipped = Vec::new();
        while batch.len() < most && bytes < BATCH_BYTES {
            let Some(item) = self.pending.pop_front() else { break };
            if !held.is_empty() && held.contains(&item.room()) {
                skipped.push(item);
                continue;
            }
            if item.alone {
                // It comes first, or next time.
                if batch.is_empty() {
                    batch.push(item);
                } else {
                    self.pending.push_front(item);
                }
                break;
            }
            bytes += item.bytes();
            batch.push(item);
        }
        skipped.into_iter().rev().for_each(|item| self.pending.push_front(item));
        batch
    }

    /// A round has come back.
    pub(crate) fn finish(&mut self, space: Space, left: Vec<Item>, waiting: Vec<Item>, progress: bool) {
        self.space = Some(space);
        self.alone = None;
        left.into_iter().rev().for_each(|item| self.pending.push_front(item));
        self.waiting.extend(waiting);
        self.recheck |= progress;
    }

    pub(crate) fn hold(&mut self, rooms: impl IntoIterator<Item = RoomId>) {
        self.held.extend(rooms);
    }

    pub(crate) fn held(&self) -> Vec<RoomId> {
        self.held.iter().copied().collect()
    }

    pub(crate) fn release(&mut self, rooms: &[RoomId]) {
        for room in rooms {
            self.held.remove(room);
        }
    }

    /// Everything that waits, in order of arrival: for another owner of some slots.
    pub(crate) fn hand_over(&mut self) -> Vec<Item> {
        let mut items: Vec<_> = self.pending.drain(..).chain(self.waiting.drain(..)).collect();
        items.sort_by_key(|item| item.arrival);
        items
    }

    /// When this track has something to do without being asked.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.space.as_ref()?;
        let free = self.waiting.iter().filter(|item| !self.held.contains(&item.room()));
        let due = free.map(|item| item.taken_at + AFTER_WAIT).min();
        match &self.park {
            Some(park) => Some(park.next_try),
            None => due,
        }
    }
}

fn before_is_settled(item: &Item, settlements: Option<&Settlements>) -> bool {
    let command = item.command();
    match (command.after, settlements) {
        (Some(before), Some(settlements)) => settlements.of(command.room, before).is_some(),
        _ => true,
    }
}
