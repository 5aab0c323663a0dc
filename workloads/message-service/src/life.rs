//! What a queue's task holds from the moment it consumes until it closes the channel. Nothing of it outlives that: the queue
//! is the outbox, the shard is the truth.

use std::{collections::HashMap, sync::Arc, time::Duration};

use klatch_bus::Delivery;
use klatch_domain::{Code, Event, Outcome, OutcomeEvent, Refusal, ShardId, Slot};
use klatch_store::Shard;
use tokio::{
    sync::mpsc,
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    consequence,
    consume::{End, Failures},
    context::Context,
    fan_out::{Bundle, Outgoing},
    follower::Follower,
    item::{Item, bytes_of, trace_each},
    ledger::Ledger,
    notes::{Note, Post},
    park::Park,
    round::{self, Done, Halt},
    supervise,
    track::Track,
};

/// From this redelivery on a delivery's commands run one by one. Handovers and parks count too, so it is only a suspicion.
const ALONE_FROM: u32 = 3;
/// Rounds a command may bring down while it runs alone, before it is given up.
const ALONE_FAILURES: u32 = 3;
/// What gateways hear of a parked slot, milliseconds: until they hear again, once a second, and some slack.
const BUSY_MS: u64 = 1_500;

pub(crate) struct Channels {
    pub(crate) fan_out: mpsc::UnboundedSender<Outgoing>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
}

/// Ends when it is dropped.
async fn keep_following(context: Arc<Context>, follower: Arc<Follower>) {
    supervise::keep_running(&context, "a follower", &CancellationToken::new(), || {
        vec![Arc::clone(&follower).run(Arc::clone(&context))]
    })
    .await;
}

/// The outcome of a spawned round.
pub(crate) type Round = Result<(Id, (ShardId, Done)), JoinError>;

pub(crate) struct Life<'a> {
    context: Arc<Context>,
    queue: u16,
    number: u64,
    channels: Channels,
    failures: &'a mut Failures,
    ledger: Ledger,
    shards: HashMap<ShardId, Arc<dyn Shard>>,
    /// Of the slot map that this life began with.
    epoch: u64,
    /// Slot 0 first. Changes for a track's slots only between its rounds, so that no room is ever in two tracks.
    owners: Vec<ShardId>,
    tracks: HashMap<ShardId, Track>,
    rounds: JoinSet<(ShardId, Done)>,
    running: HashMap<Id, ShardId>,
    works: JoinSet<()>,
    followers: HashMap<ShardId, Arc<Follower>>,
    /// Ends followers.
    follow: JoinSet<()>,
    arrivals: u64,
    settled: Vec<u64>,
    untold: bool,
}

impl<'a> Life<'a> {
    pub(crate) fn new(
        context: Arc<Context>,
        queue: u16,
        number: u64,
        channels: Channels,
        failures: &'a mut Failures,
    ) -> Self {
        let shards = context.owners.current();
        let (epoch, owners) = (shards.map().epoch(), shards.map().owners().to_vec());
        let shards: HashMap<_, _> = shards.all().map(|shard| (shard.id(), Arc::clone(shard))).collect();
        let followers: HashMap<_, _> =
            shards.values().map(|shard| (shard.id(), Arc::new(Follower::new(queue, Arc::clone(shard))))).collect();
        let mut follow = JoinSet::new();
        for follower in followers.values() {
            follow.spawn(keep_following(Arc::clone(&context), Arc::clone(follower)));
        }
        Self {
            context,
            queue,
            number,
            channels,
            failures,
            ledger: Ledger::default(),
            shards,
            epoch,
            owners,
            tracks: HashMap::new(),
            rounds: JoinSet::new(),
            running: HashMap::new(),
            works: JoinSet::new(),
            followers,
            follow,
            arrivals: 0,
            settled: Vec::new(),
            untold: false,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.ledger.has_room()
    }

    /// All that was taken is settled.
    pub(crate) fn is_empty(&self) -> bool {
        self.ledger.is_empty()
    }

    /// Takes a delivery apart.
    pub(crate) fn take(&mut self, delivery: Delivery) {
        let mut commands = delivery.commands;
        let mut spans = trace_each(&mut commands).into_iter().peekable();
        let bytes = commands.iter().map(bytes_of).sum();
        let origin = self.ledger.open_delivery(delivery.tag, commands.len(), bytes);
        if commands.is_empty() {
            self.settled.extend(self.ledger.settle(origin, 0));
        }
        let now = Instant::now();
        for index in 0..commands.len() {
            self.arrivals += 1;
            self.place(Item {
                batch: Arc::clone(&commands),
                index,
                origin,
                arrival: self.arrivals,
                taken_at: now,
                met_before: delivery.redeliveries > 0,
                alone: delivery.redeliveries >= ALONE_FROM,
                traced: spans.next_if(|(traced, _)| *traced == index).map(|(_, span)| span),
            });
        }
    }

    fn place(&mut self, item: Item) {
        if item.alone && self.failures.peek(&item.key()).is_some_and(|failures| *failures >= ALONE_FAILURES) {
            round::bury(&self.context, &item, "it brings its round down");
            return self.refuse(&item, round::internal());
        }
        let track = self.track_of(&item);
        let is_parked = track.park.is_some();
        if is_parked && self.ledger.is_half_full() && item.comes_again() {
            if let Some(shard) = self.owner(&item) {
                self.tracks.entry(shard).and_modify(|track| track.note_refused_for_now(&item));
            }
            return self.refuse(&item, Refusal::retryable(Code::Busy, "this room's shard is unavailable", BUSY_MS));
        }
        self.track_of(&item).pending.push_back(item);
    }

    fn owner(&self, item: &Item) -> Option<ShardId> {
        // A slot map has as many owners as slots, and below 2^16 of them.
        let slots = u16::try_from(self.owners.len()).unwrap_or(u16::MAX);
        self.owners.get(usize::from(Slot::of(item.room(), slots).0)).copied()
    }

    fn track_of(&mut self, item: &Item) -> &mut Track {
        let shard = self.owner(item).unwrap_or(ShardId(0));
        let heads = self.context.settings.heads / self.shards.len().max(1);
        // Not the newest: its slots may still be dealt by the first map. If they are not, they are dealt again for nothing.
        let epoch = self.epoch;
        self.tracks.entry(shard).or_insert_with(|| Track::new(shard, epoch, heads.max(1)))
    }

    /// Refuses a command that has not reached a round.
    fn refuse(&mut self, item: &Item, refusal: Refusal) {
        self.context.metrics.refusals.with_label_values(&[refusal.code.name()]).inc();
        let mut bundle = Bundle::default();
        bundle.settle(item.origin);
        let command = item.command();
        if let Some(reply) = command.reply {
            let outcome = Outcome::Refused(refusal);
            bundle.outcomes.push(OutcomeEvent { reply, message_id: command.message_id, room: command.room, outcome });
        }
        self.post().announce(bundle);
    }

    fn post(&self) -> Post {
        Post { life: self.number, fan_out: self.channels.fan_out.clone(), notes: self.channels.notes.clone() }
    }

    /// Starts a round in every track that has something to do and none running.
    pub(crate) fn start_rounds(&mut self) {
        let now = Instant::now();
        for track in self.tracks.values_mut() {
            let Some(shard) = self.shards.get(&track.shard) else { continue };
            let Some((space, items)) = track.start(now, self.context.settings.batch_commands.max(1)) else { continue };
            let (id, shard, context) = (track.shard, Arc::clone(shard), Arc::clone(&self.context));
            let task = self.rounds.spawn(async move { (id, round::run(context, shard, space, items).await) });
            self.running.insert(task.id(), id);
        }
    }

    /// The next round that ends; `None` when none runs.
    pub(crate) async fn next_round(&mut self) -> Option<Round> {
        self.rounds.join_next_with_id().await
    }

    /// Takes a round's results.
    ///
    /// # Errors
    /// The end of this life, when the round was brought down: its commands went with it.
    pub(crate) fn finish(&mut self, round: Round) -> Result<(), End> {
        let (shard, done) = match round {
            Ok((task, finished)) => {
                self.running.remove(&task);
                finished
            }
            Err(error) => return Err(self.brought_down(&error)),
        };
        let post = self.post();
        post.announce(done.bundle);
        // Every shard has both.
        let (Some(track), Some(follower)) = (self.tracks.get_mut(&shard), self.followers.get(&shard)) else {
            return Ok(());
        };
        track.finish(done.space, done.left, done.waiting, done.progress);
        if let Some(work) = done.work {
            track.hold(work.rooms());
            self.works.spawn(consequence::run(Arc::clone(&self.context), work, post, Arc::clone(follower)));
        }
        // Works that have ended are of no interest.
        while self.works.try_join_next().is_some() {}
        self.halt(shard, done.halt);
        self.shed(shard);
        self.deal_again(shard);
        Ok(())
    }

    /// What had come for a shard before it was known to be away may have taken all the room there is: the later half goes
    /// back, at every try again, until half of the room is free for the shards that work.
    fn shed(&mut self, shard: ShardId) {
        let full = self.ledger.is_half_full();
        let Some(track) = self.tracks.get_mut(&shard) else { return };
        if track.park.is_none() || !full {
            return;
        }
        for item in track.shed() {
            self.refuse(&item, Refusal::retryable(Code::Busy, "this room's shard is unavailable", BUSY_MS));
        }
    }

    fn brought_down(&mut self, error: &JoinError) -> End {
        let track = self.running.remove(&error.id()).and_then(|shard| self.tracks.get_mut(&shard));
        if let Some(item) = track.and_then(|track| track.alone.take()) {
            let failures = self.failures.get_or_insert_mut(item.key(), || 0);
            *failures += 1;
            tracing::error!(message = %item.command().message_id, failures = *failures, "a command brought its round down");
        }
        tracing::error!(queue = self.queue, %error, "a round was brought down");
        End::Reopen("round_failed")
    }

    fn halt(&mut self, shard: ShardId, halt: Option<Halt>) {
        let now = Instant::now();
        let Some(track) = self.tracks.get_mut(&shard) else { return };
        match halt {
            Some(Halt::Unavailable(reason)) => {
                tracing::warn!(queue = self.queue, shard = shard.0, reason, "commands wait for their shard");
                match &mut track.park {
                    Some(park) => park.again(now),
                    None => track.park = Some(Park::new(now)),
                }
            }
            Some(Halt::Moved) => {}
            None => {
                if let Some(park) = track.park.take() {
                    tracing::info!(queue = self.queue, shard = shard.0, "the shard is back");
                    if park.was_told() {
                        self.tell_busy(shard, 0);
                    }
                }
            }
        }
        self.show_parks(now);
    }

    /// After the slot map has changed: this track's commands go to the owners their slots have now.
    fn deal_again(&mut self, shard: ShardId) {
        let epoch = self.context.owners.epoch();
        let Some(track) = self.tracks.get_mut(&shard) else { return };
        if track.epoch == epoch {
            return;
        }
        track.epoch = epoch;
        // What it waits for may be another shard now.
        track.park = None;
        // What its new slots have left in their shards is this consumer's now.
        self.followers.values().for_each(|follower| follower.fall_behind());
        let items = track.hand_over();
        let held = track.held();
        let current = self.context.owners.current();
        for (slot, owner) in current.map().owners().iter().enumerate() {
            if let Some(known) = self.owners.get_mut(slot)
                && *known == shard
            {
                *known = *owner;
            }
        }
        for item in items {
            let track = self.track_of(&item);
            track.pending.push_back(item);
            if !held.is_empty() {
                track.hold(held.iter().copied());
            }
        }
    }

    pub(crate) fn note(&mut self, note: Note) {
        match note {
            Note::Settled { life, settled } if life == self.number => {
                for (origin, count) in settled {
                    self.settled.extend(self.ledger.settle(origin, count));
                }
            }
            Note::Released { life, rooms } if life == self.number => {
                self.tracks.values_mut().for_each(|track| track.release(&rooms));
            }
            Note::Untold { life } if life == self.number => self.untold = true,
            Note::Settled { .. } | Note::Untold { .. } | Note::Released { .. } => {}
        }
    }

    /// Deliveries to acknowledge.
    pub(crate) fn settled(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.settled)
    }

    /// When there is something to do without news.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        let busy_after = self.busy_after();
        let parks = self.tracks.values().filter_map(|track| track.park.as_ref()).map(|park| park.tells_at(busy_after));
        self.tracks.values().filter_map(Track::wakes_at).chain(parks).min()
    }

    fn busy_after(&self) -> Duration {
        Duration::from_millis(self.context.settings.busy_after_ms)
    }

    /// Tells the gateways of parks, and gives up on those that last too long, and on what cannot be told to anybody.
    ///
    /// # Errors
    /// The end of this life.
    pub(crate) fn look_at_the_clock(&mut self) -> Result<(), End> {
        if self.untold {
            return Err(End::Reopen("untold"));
        }
        if self.tracks.values().all(|track| track.park.is_none()) {
            return Ok(());
        }
        let now = Instant::now();
        let busy_after = self.busy_after();
        let longest = Duration::from_millis(self.context.settings.park_ms);
        let mut told = Vec::new();
        for track in self.tracks.values_mut() {
            let Some(park) = &mut track.park else { continue };
            if now.duration_since(park.since) >= longest {
                return Err(End::Reopen("parked_too_long"));
            }
            if park.tell(now, busy_after) {
                told.push(track.shard);
            }
        }
        told.into_iter().for_each(|shard| self.tell_busy(shard, BUSY_MS));
        self.show_parks(now);
        Ok(())
    }

    fn tell_busy(&self, shard: ShardId, retry_after_ms: u64) {
        let queues = self.context.bus.commands.queues();
        let slots = (0..).map(Slot).zip(&self.owners);
        let slots: Arc<[Slot]> = slots
            .filter(|(slot, owner)| **owner == shard && slot.ingest_queue(queues) == self.queue)
            .map(|(slot, _)| slot)
            .collect();
        let everyone = vec![Event::SlotsBusy { slots, retry_after_ms }];
        self.post().announce(Bundle { everyone, ..Bundle::default() });
    }

    fn show_parks(&self, now: Instant) {
        let label = self.queue.to_string();
        let parked = self.tracks.values().filter(|track| track.park.is_some());
        let commands: usize = parked.clone().map(Track::waits).sum();
        let oldest = parked.filter_map(|track| track.park.as_ref()).map(|park| now.duration_since(park.since)).max();
        let metrics = &self.context.metrics;
        metrics.parked_commands.with_label_values(&[&label]).set(i64::try_from(commands).unwrap_or(i64::MAX));
        let seconds = oldest.unwrap_or_default().as_secs();
        metrics.parked_seconds.with_label_values(&[&label]).set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Lets go. Rounds under way may still write: what they write is met again as a repeat. Works stop where they are.
    pub(crate) fn end(mut self) {
        self.rounds.detach_all();
        self.works.abort_all();
        self.follow.abort_all();
        self.tracks.clear();
        self.show_parks(Instant::now());
    }
}
