//! Takes notify commands, holds each for the delay, decides, and only then acknowledges.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use klatch_bus::{NotificationConsumer, NotifyCommand, NotifyDelivery};
use klatch_domain::{MessageId, RoomId};
use lru::LruCache;
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    present,
    room::{self, Stopped},
};

/// Messages that wait to be decided on: three seconds of 10,000 a second. Beyond, the rest waits in the queue.
const HELD: usize = 32_768;
/// Messages decided on whose ids are remembered, in case one comes again: as many as may be unacknowledged at a time.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(HELD * 2).unwrap();
/// Between two rounds of decisions: what comes due in this time shares its look-ups, and nobody notices a quarter of a second.
const ROUND: Duration = Duration::from_millis(250);

/// After this many acknowledgements others who share the thread have their turn.
const ACKNOWLEDGED_A_TURN: usize = 64;

/// A delivery, and when it is decided on.
struct Held {
    tag: u64,
    due: Instant,
    commands: Vec<NotifyCommand>,
}

/// One consumer of the queue.
pub(crate) struct Consume {
    context: Arc<Context>,
    stop: CancellationToken,
    /// In order of arrival; the first is due first, or late with those behind it.
    held: VecDeque<Held>,
    messages: usize,
    next_round: Instant,
    decided: LruCache<(RoomId, MessageId), ()>,
}

impl Consume {
    pub(crate) fn new(context: Arc<Context>, stop: CancellationToken) -> Self {
        let decided = LruCache::new(REMEMBERED);
        Self { context, stop, held: VecDeque::new(), messages: 0, next_round: Instant::now(), decided }
    }

    /// Consumes until the service stops or the bus has shut down. What is held then is not acknowledged: another decides on it.
    pub(crate) async fn run(mut self, consumer: &mut dyn NotificationConsumer) {
        loop {
            let next = self.held.front().map(|held| held.due.max(self.next_round));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = until(next), if next.is_some() => {
                    if self.decide_due(consumer).await == Err(Stopped) {
                        return;
                    }
                }
                delivery = consumer.receive(), if self.messages < HELD => {
                    let Some(delivery) = delivery else { return };
                    self.hold(delivery);
                }
            }
        }
    }

    fn hold(&mut self, delivery: NotifyDelivery) {
        let (now, delay) = (self.context.now(), self.context.settings.delay_ms);
        let wait = delivery.commands.iter().map(|command| room::wait_for(command, now, delay)).max();
        self.messages += delivery.commands.len();
        self.context.metrics.held.set(i64::try_from(self.messages).unwrap_or(i64::MAX));
        let due = Instant::now() + wait.unwrap_or_default();
        self.held.push_back(Held { tag: delivery.tag, due, commands: delivery.commands });
    }

    /// Decides on everything whose time has come, then acknowledges it.
    async fn decide_due(&mut self, consumer: &mut dyn NotificationConsumer) -> Result<(), Stopped> {
        let now = Instant::now();
        self.next_round = now + ROUND;
        let (tags, mut messages) = self.take_due(now);
        present::leave_alone(&self.context, &mut messages).await;
        let mut rooms: BTreeMap<RoomId, Vec<NotifyCommand>> = BTreeMap::new();
        for message in messages {
            rooms.entry(message.room).or_default().push(message);
        }
        let at_once = self.context.settings.rooms_at_once.max(1);
        let (context, stop) = (&*self.context, &self.stop);
        let mut decisions = stream::iter(rooms)
            .map(|(room, messages)| room::decide_all(context, room, messages, stop))
            .buffer_unordered(at_once);
        while let Some(decided) = decisions.next().await {
            decided?;
        }
        drop(decisions);
        for (number, tag) in tags.into_iter().enumerate() {
            if number % ACKNOWLEDGED_A_TURN == ACKNOWLEDGED_A_TURN - 1 {
                yield_now().await;
            }
            if consumer.acknowledge(tag).await.is_err() {
                // Whoever has it now decides again; the same notification replaces the first.
                tracing::debug!("notify commands went to another consumer");
            }
        }
        Ok(())
    }

    /// Deliveries whose time has come, and the messages in them that were not decided on before.
    fn take_due(&mut self, now: Instant) -> (Vec<u64>, Vec<NotifyCommand>) {
        let (mut tags, mut messages) = (Vec::new(), Vec::new());
        while let Some(held) = self.held.pop_front_if(|held| held.due <= now) {
            tags.push(held.tag);
            self.messages -= held.commands.len();
            for command in held.commands {
                if self.decided.put((command.room, command.message_id), ()).is_some() {
                    self.context.metrics.repeats.inc();
                    continue;
                }
                let age = self.context.now().as_millis().saturating_sub(command.at.as_millis());
                self.context.metrics.age_seconds.observe(age as f64 / 1e3);
                messages.push(command);
            }
        }
        self.context.metrics.held.set(i64::try_from(self.messages).unwrap_or(i64::MAX));
        (tags, messages)
    }
}

async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}
