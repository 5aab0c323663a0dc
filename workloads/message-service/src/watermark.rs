//! Watermarks: what members report and what their own sends imply, gathered for a moment, written at once, then announced.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use klatch_bus::{WatermarkConsumer, WatermarkMove};
use klatch_domain::{Position, RoomId, ShardId, UserId};
use klatch_store::{Shard, StoreError, shard::Watermark};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    fan_out::{Batches, Directed, FanOut},
    receipts::Receipts,
};

/// How long moves gather: a read position shows within a second, and a room of thirty that reads along writes once.
const GATHER: Duration = Duration::from_millis(200);
/// Moves that wait, one a member: some 150 bytes each.
const WAITING: usize = 65_536;
/// Moves of one write: a few ms of a shard, which messages wait for.
const FLUSH: usize = 2_048;
/// How long a stop waits for the last writes.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// How far a member wants to come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Move {
    pub(crate) to: Watermark,
    /// The member said so; otherwise it only follows from a send, which says it better than an event could.
    pub(crate) reported: bool,
}

pub(crate) type Moves = HashMap<(RoomId, UserId), Move>;

/// Gathers and writes until `stop`; then writes what is left. To be stopped after whatever notes own reads.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let consumer = context.bus.watermarks.consume().await;
    let mut gatherer = Gatherer {
        receipts: Arc::new(Receipts::new(Arc::clone(&context))),
        fan_out: FanOut::new(Arc::clone(&context)),
        context,
        waiting: HashMap::new(),
        held: 0,
        flushing: HashSet::new(),
        flushes: JoinSet::new(),
    };
    gatherer.run(consumer, stop).await;
}

/// What a write to one shard came to.
struct Flushed {
    shard: ShardId,
    events: Vec<Directed>,
    /// Not written: the shard is unavailable.
    left: Moves,
}

struct Gatherer {
    context: Arc<Context>,
    receipts: Arc<Receipts>,
    fan_out: FanOut,
    waiting: HashMap<ShardId, Moves>,
    held: usize,
    flushing: HashSet<ShardId>,
    flushes: JoinSet<Flushed>,
}

impl Gatherer {
    async fn run(&mut self, mut consumer: Box<dyn WatermarkConsumer>, stop: CancellationToken) {
        let mut ticks = interval(GATHER);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.flush(),
                Some(flushed) = self.flushes.join_next() => self.flushed(flushed.ok()).await,
                moves = consumer.receive(), if open && self.held < WAITING => match moves {
                    Some(moves) => self.report(moves),
                    None => open = false,
                },
            }
        }
        let until = Instant::now() + STOP_WAIT;
        self.flush();
        while let Ok(Some(flushed)) = timeout_at(until, self.flushes.join_next()).await {
            let written = flushed.as_ref().is_ok_and(|flushed| flushed.left.is_empty());
            self.flushed(flushed.ok()).await;
            // A shard that is away now keeps nothing of it: watermarks are reported again.
            if written {
                self.flush();
            }
        }
    }

    fn report(&mut self, moves: Vec<WatermarkMove>) {
        let shards = self.context.owners.current();
        for one in moves {
            let to = Watermark { read: one.read.unwrap_or_default(), delivered: one.delivered.unwrap_or_default() };
            self.add(shards.map().shard_of(one.room), (one.room, one.user), Move { to, reported: true });
        }
    }

    fn add(&mut self, shard: ShardId, member: (RoomId, UserId), one: Move) {
        let moves = self.waiting.entry(shard).or_default();
        if let Some(known) = moves.get_mut(&member) {
            known.to.read = known.to.read.max(one.to.read);
            known.to.delivered = known.to.delivered.max(one.to.delivered);
            known.reported |= one.reported;
        } else if self.held >= WAITING {
            self.context.metrics.watermarks_dropped.inc();
        } else {
            moves.insert(member, one);
            self.held += 1;
        }
    }

    /// Starts a write to every shard that has moves and is not busy with the last ones.
    fn flush(&mut self) {
        let shards = self.context.owners.current();
        for ((room, user), read) in self.context.own_reads.take() {
            let to = Watermark::read_to(read);
            self.add(shards.map().shard_of(room), (room, user), Move { to, reported: false });
        }
        for shard in shards.all() {
            if self.flushing.contains(&shard.id()) {
                continue;
            }
            let Some(moves) = self.waiting.get_mut(&shard.id()).filter(|moves| !moves.is_empty()) else { continue };
            let batch: Moves = if moves.len() <= FLUSH {
                std::mem::take(moves)
            } else {
                moves.extract_if(|_, _| true).take(FLUSH).collect()
            };
            self.held -= batch.len();
            self.flushing.insert(shard.id());
            self.flushes.spawn(flush(Arc::clone(&self.context), Arc::clone(&self.receipts), Arc::clone(shard), batch));
        }
    }

    async fn flushed(&mut self, flushed: Option<Flushed>) {
        let Some(flushed) = flushed else {
            // A write was brought down, nobody knows whose: all may write again.
            self.flushing.clear();
            return;
        };
        self.flushing.remove(&flushed.shard);
        for (member, one) in flushed.left {
            self.add(flushed.shard, member, one);
        }
        if !flushed.events.is_empty() {
            // Marks may be lost: the next move says where they are.
            drop(self.fan_out.send(flushed.events, Batches::default()).await);
        }
    }
}

async fn flush(context: Arc<Context>, receipts: Arc<Receipts>, shard: Arc<dyn Shard>, mut moves: Moves) -> Flushed {
    let id = shard.id();
    match write(&receipts, &*shard, &mut moves).await {
        Ok((moved, rooms)) => {
            let own = moves.values().filter(|one| !one.reported).count();
            context.metrics.watermarks_moved.inc_by((moved.len() + own) as u64);
            let reported =
                moved.into_iter().filter(|(room, user, _)| moves.get(&(*room, *user)).is_some_and(|one| one.reported));
            let events = receipts.events(reported.collect(), &rooms).await;
            Flushed { shard: id, events, left: Moves::new() }
        }
        Err(error) => {
            tracing::warn!(shard = id.0, %error, "watermarks were not written");
            let again = matches!(error, StoreError::Unavailable { .. } | StoreError::Unknown { .. });
            if !again {
                context.metrics.watermarks_dropped.inc_by(moves.len() as u64);
            }
            Flushed { shard: id, events: Vec::new(), left: if again { moves } else { Moves::new() } }
        }
    }
}

type Moved = Vec<(RoomId, UserId, Watermark)>;

async fn write(
    receipts: &Receipts,
    shard: &dyn Shard,
    moves: &mut Moves,
) -> Result<(Moved, HashMap<RoomId, Arc<[UserId]>>), StoreError> {
    let reported: HashSet<RoomId> = moves.iter().filter(|(_, one)| one.reported).map(|((room, _), _)| *room).collect();
    let small = receipts.small_rooms(shard, reported).await?;
    let (mut batch, mut own) = (Vec::new(), Vec::new());
    for ((room, user), one) in &*moves {
        let mut to = one.to;
        if !one.reported {
            own.push((*room, *user, to.read));
            continue;
        }
        if !small.contains_key(room) {
            // Only small rooms have delivered watermarks of their own.
            to.delivered = Position::NOTHING;
        }
        batch.push((*room, *user, to));
    }
    match shard.note_own_reads(own.clone()).await {
        Ok(()) => {}
        Err(error @ (StoreError::Unavailable { .. } | StoreError::Unknown { .. })) => return Err(error),
        // Some slot is no longer here: as reported, those of the others are moved.
        Err(_) => batch.extend(own.into_iter().map(|(room, user, read)| (room, user, Watermark::read_to(read)))),
    }
    let moved = if batch.is_empty() { Moved::new() } else { shard.move_watermarks(batch).await? };
    Ok((moved, small))
}
