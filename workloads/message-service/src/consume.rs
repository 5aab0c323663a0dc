//! The task of one ingest queue: takes what has arrived, hands it to the tracks, acknowledges what is settled.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use klatch_bus::CommandConsumer;
use klatch_domain::{MessageId, RoomId};
use lru::LruCache;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    context::Context,
    fan_out::Outgoing,
    life::{Channels, Life},
    notes::Note,
};

/// How long a stop waits for what was taken: commits take milliseconds, and what is left comes again elsewhere.
const STOP_WAIT: Duration = Duration::from_secs(1);
/// Commands whose failures while running alone are remembered.
const FAILURES: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// How often a command has brought a round down while it ran alone.
pub(crate) type Failures = LruCache<(RoomId, MessageId), u32>;

/// Why a life of a consumer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The service stops.
    Stopped,
    /// The bus has shut down.
    Closed,
    /// Close the channel and consume again: what is unacknowledged comes back, in order.
    Reopen(&'static str),
}

/// Consumes one ingest queue until the service stops.
pub(crate) struct Consume {
    context: Arc<Context>,
    queue: u16,
    stop: CancellationToken,
    consuming: Arc<AtomicUsize>,
    fan_out: mpsc::UnboundedSender<Outgoing>,
    notes: (mpsc::UnboundedSender<Note>, mpsc::UnboundedReceiver<Note>),
    failures: Failures,
}

impl Consume {
    /// `consuming` counts the queues that have a consumer.
    pub(crate) fn new(
        context: Arc<Context>,
        queue: u16,
        stop: CancellationToken,
        consuming: Arc<AtomicUsize>,
        fan_out: mpsc::UnboundedSender<Outgoing>,
        notes: (mpsc::UnboundedSender<Note>, mpsc::UnboundedReceiver<Note>),
    ) -> Self {
        Self { context, queue, stop, consuming, fan_out, notes, failures: LruCache::new(FAILURES) }
    }

    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new();
        let mut number = 0;
        while !self.stop.is_cancelled() {
            let mut consumer = match self.context.bus.commands.consume(self.queue).await {
                Ok(consumer) => consumer,
                Err(error) => {
                    tracing::warn!(queue = self.queue, %error, "cannot consume an ingest queue");
                    tokio::select! {
                        () = self.stop.cancelled() => break,
                        () = sleep(backoff.next()) => continue,
                    }
                }
            };
            backoff = Backoff::new();
            number += 1;
            let counted = Counted::new(&self.consuming);
            let end = self.live(number, &mut *consumer).await;
            drop((consumer, counted));
            match end {
                End::Stopped | End::Closed => break,
                End::Reopen(reason) => {
                    tracing::warn!(queue = self.queue, reason, "an ingest queue's channel is closed and opened again");
                    self.context.metrics.reopened.with_label_values(&[reason]).inc();
                }
            }
        }
    }

    /// One life of a consumer: what it holds is void once it ends.
    async fn live(&mut self, number: u64, consumer: &mut dyn CommandConsumer) -> End {
        let channels = Channels { fan_out: self.fan_out.clone(), notes: self.notes.0.clone() };
        let mut life = Life::new(Arc::clone(&self.context), self.queue, number, channels, &mut self.failures);
        let notes = &mut self.notes.1;
        let mut stops_at: Option<Instant> = None;
        let end = loop {
            life.start_rounds();
            if stops_at.is_some() && life.is_empty() {
                break End::Stopped;
            }
            let takes = stops_at.is_none() && life.has_room();
            let wakes_at = life.wakes_at();
            tokio::select! {
                () = self.stop.cancelled(), if stops_at.is_none() => stops_at = Some(Instant::now() + STOP_WAIT),
                () = until(stops_at), if stops_at.is_some() => break End::Stopped,
                () = until(wakes_at), if wakes_at.is_some() => {}
                Some(round) = life.next_round() => {
                    if let Err(end) = life.finish(round) {
                        break end;
                    }
                }
                Some(note) = notes.recv() => {
                    life.note(note);
                    while let Ok(note) = notes.try_recv() {
                        life.note(note);
                    }
                }
                delivery = consumer.receive(), if takes => {
                    let Some(delivery) = delivery else { break End::Closed };
                    life.take(delivery);
                    while life.has_room() && let Some(delivery) = consumer.try_receive() {
                        life.take(delivery);
                    }
                }
            }
            if let Err(end) = life.look_at_the_clock() {
                break end;
            }
            let mut lost = false;
            for tag in life.settled() {
                lost |= consumer.acknowledge(tag).await.is_err();
            }
            if lost {
                break End::Reopen("ownership_lost");
            }
        };
        life.end();
        end
    }
}

/// Counted as long as it lives, also when its task is brought down.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits for a moment; for ever without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
