//! What entries have left in a shard is done: at the start of a consumer's life, which may be another's take-over, and
//! whenever a work could not do all of its own.
//!
//! A follower has the follow-ups of one ingest queue in one shard. While it is **behind** it reads them from the shard, in
//! order, pass after pass, until a pass finds none; works leave theirs to it. Otherwise works publish their notices
//! themselves, and it only looks whether these have arrived. A follow-up is forgotten when the directory holds it and the
//! inbox does: an ingest queue may be memory.

mod owed;
mod pass;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use klatch_domain::{Command, RoomId, Slot};
use klatch_store::{FollowUp, FollowUpKey, Shard, StoreError};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use self::{owed::Owed, pass::Memory};
use crate::{backoff::Backoff, context::Context};

/// Between publishing notices and looking for them: rounds of an inbox's shard take milliseconds.
const LOOK_AFTER: Duration = Duration::from_millis(200);
/// A notice that has not arrived after this is published again: it was refused, or its queue is gone.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A store that has not answered after this counts as away. What it does all the same may be done twice.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Notices of one publish: half a batch, so that others' commands share the round.
const CHUNK: usize = 256;

pub(crate) struct Follower {
    queue: u16,
    shard: Arc<dyn Shard>,
    owed: Mutex<Owed>,
    wake: Notify,
}

impl Follower {
    /// Is behind until it has looked.
    pub(crate) fn new(queue: u16, shard: Arc<dyn Shard>) -> Self {
        Self { queue, shard, owed: Mutex::new(Owed::new()), wake: Notify::new() }
    }

    /// Something is left in the shard that nobody else does.
    pub(crate) fn fall_behind(&self) {
        self.owed.lock().fall_behind();
        self.wake.notify_one();
    }

    /// Publishes what these owe to inboxes, in order, and sees to the rest. The directory has them already. What cannot be
    /// published is left to the next pass.
    pub(crate) async fn follow(&self, context: &Context, follow_ups: Vec<FollowUp>) {
        if follow_ups.is_empty() {
            return;
        }
        let Some(commands) = self.owed.lock().take(&follow_ups, Instant::now(), context.clock.micros()) else { return };
        self.wake.notify_one();
        if !publish(context, commands).await {
            self.owed.lock().recall();
            self.fall_behind();
        }
    }

    /// Runs for as long as the consumer's life.
    pub(crate) async fn run(self: Arc<Self>, context: Arc<Context>) {
        let mut backoff = Backoff::new();
        let mut memory = Memory::new();
        // Brought down and started again, it may have missed something.
        self.fall_behind();
        loop {
            let Some(seen) = self.owed.lock().behind() else {
                self.rest(&context).await;
                continue;
            };
            match pass::run(&context, &self, &mut memory).await {
                Ok(true) => {
                    backoff = Backoff::new();
                    if self.owed.lock().caught_up(seen) {
                        tracing::debug!(queue = self.queue, shard = self.shard.id().0, "follow-ups are done");
                    }
                    continue;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(queue = self.queue, shard = self.shard.id().0, %error, "follow-ups wait");
                }
            }
            sleep(backoff.next()).await;
        }
    }

    /// Waits for notices on their way, and looks whether they have arrived.
    async fn rest(&self, context: &Context) {
        if self.owed.lock().is_empty() {
            self.wake.notified().await;
        }
        sleep(LOOK_AFTER).await;
        if let Err(error) = self.look(context).await {
            tracing::warn!(queue = self.queue, shard = self.shard.id().0, %error, "follow-ups are looked at again");
            self.fall_behind();
        }
    }

    async fn look(&self, context: &Context) -> Result<(), StoreError> {
        let sent = self.owed.lock().sent();
        let shards = context.owners.current();
        for (inbox_shard, group) in by_shard(&shards, sent) {
            let ids: Vec<_> = group.iter().map(|(_, inbox, id)| (*inbox, *id)).collect();
            // An inbox's shard that is away: for as long as a notice may be on its way, it may come back.
            let Ok(found) = within(inbox_shard.known(&ids)).await else { continue };
            let mut owed = self.owed.lock();
            for (key, inbox, id) in group {
                if found.contains_key(&(inbox, id)) {
                    owed.arrived(key);
                }
            }
        }
        let (done, late) = {
            let mut owed = self.owed.lock();
            (owed.done(), owed.is_late(Instant::now()))
        };
        if !done.is_empty() {
            within(self.shard.followed_up(done)).await?;
        }
        if late {
            self.fall_behind();
        }
        Ok(())
    }

    fn is_mine(&self, context: &Context, key: &FollowUpKey) -> bool {
        let shards = context.owners.current();
        let slot = shards.map().slot_of(key.room);
        slot.ingest_queue(context.bus.commands.queues()) == self.queue
            && shards.map().shard_of(key.room) == self.shard.id()
    }
}

type Sent = (FollowUpKey, RoomId, klatch_domain::MessageId);

/// Notices by the shard of their inbox.
fn by_shard(shards: &klatch_store::Shards, sent: Vec<Sent>) -> Vec<(Arc<dyn Shard>, Vec<Sent>)> {
    let mut groups: BTreeMap<klatch_domain::ShardId, Vec<Sent>> = BTreeMap::new();
    for one in sent {
        groups.entry(shards.map().shard_of(one.1)).or_default().push(one);
    }
    groups.into_values().map(|group| (Arc::clone(shards.of(group[0].1)), group)).collect()
}

/// Puts notices into the ingest queues of their inboxes, each queue's in order. Answers false when not all were taken.
async fn publish(context: &Context, commands: Vec<Command>) -> bool {
    let (slots, queues) = (context.owners.current().map().slots(), context.bus.commands.queues());
    let mut by_queue: BTreeMap<u16, Vec<Command>> = BTreeMap::new();
    for command in commands {
        by_queue.entry(Slot::of(command.room, slots).ingest_queue(queues)).or_default().push(command);
    }
    let mut all = true;
    for (queue, commands) in by_queue {
        for chunk in commands.chunks(CHUNK) {
            context.metrics.follow_ups.inc_by(chunk.len() as u64);
            let published = {
                // One unconfirmed publish a queue, or notices of one inbox could overtake each other.
                let _turn = context.turns[usize::from(queue)].lock().await;
                context.bus.commands.publish(queue, chunk.to_vec()).await
            };
            if let Err(error) = published {
                context.metrics.follow_up_retries.inc_by(chunk.len() as u64);
                tracing::debug!(queue, %error, "notices wait for an ingest queue");
                all = false;
                // What comes after them in this queue must not overtake them.
                break;
            }
        }
    }
    all
}

/// An answer of a store, or none in time.
async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable { step: "follow up", source_text: "no answer in time".to_owned() })
    })
}
