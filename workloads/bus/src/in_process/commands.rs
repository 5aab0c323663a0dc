//! Ingest queues in memory: one mutex a queue, taken once a publish, once a delivery and once an acknowledgement.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use klatch_domain::Command;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Options,
    metrics::{BusMetrics, IngestMetrics, counter, gauge},
};
use crate::{CommandConsumer, Commands, Delivery, OwnershipLost, PublishError, size};

/// What a refused publisher waits, milliseconds: half of what a full queue takes to drain, so that it comes back to room.
const RETRY_AFTER_MS: u64 = 500;

pub(super) struct InProcessCommands {
    queues: Vec<Arc<IngestQueue>>,
    durable: bool,
}

struct IngestQueue {
    most_commands: usize,
    most_bytes: usize,
    prefetch: usize,
    metrics: IngestMetrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Batch>,
    /// Of all that is not acknowledged, ready or handed out.
    commands: usize,
    bytes: usize,
    /// In order of arrival; the first is active.
    consumers: VecDeque<(u64, Arc<Notify>)>,
    next_consumer: u64,
    closed: bool,
}

/// What one publish carried.
struct Batch {
    commands: Arc<Vec<Command>>,
    bytes: usize,
    redeliveries: u32,
}

impl InProcessCommands {
    pub(super) fn new(options: &Options, metrics: &BusMetrics) -> Result<Self, prometheus::Error> {
        let queues = (0..options.ingest_queues.max(1))
            .map(|queue| {
                Ok(Arc::new(IngestQueue {
                    most_commands: options.ingest_commands,
                    most_bytes: options.ingest_bytes,
                    prefetch: options.prefetch.max(1),
                    metrics: metrics.ingest(queue)?,
                    state: Mutex::default(),
                }))
            })
            .collect::<Result<_, prometheus::Error>>()?;
        Ok(Self { queues, durable: options.claim_durable })
    }

    fn queue(&self, queue: u16) -> Result<&Arc<IngestQueue>, PublishError> {
        self.queues
            .get(usize::from(queue))
            .ok_or_else(|| PublishError::Unknown(format!("there is no ingest queue {queue}")))
    }
}

impl Drop for InProcessCommands {
    fn drop(&mut self) {
        for queue in &self.queues {
            let mut state = queue.state.lock();
            state.closed = true;
            for (_, wake) in &state.consumers {
                wake.notify_one();
            }
        }
    }
}

#[async_trait]
impl Commands for InProcessCommands {
    fn queues(&self) -> u16 {
        // Made from a u16.
        u16::try_from(self.queues.len()).unwrap_or(u16::MAX)
    }

    fn durable(&self) -> bool {
        self.durable
    }

    async fn publish(&self, queue: u16, batch: Vec<Command>) -> Result<(), PublishError> {
        self.queue(queue)?.publish(batch)
    }

    async fn consume(&self, queue: u16) -> Result<Box<dyn CommandConsumer>, PublishError> {
        let queue = Arc::clone(self.queue(queue)?);
        let wake = Arc::new(Notify::new());
        let id = {
            let mut state = queue.state.lock();
            state.next_consumer += 1;
            let id = state.next_consumer;
            state.consumers.push_back((id, Arc::clone(&wake)));
            id
        };
        Ok(Box::new(Consumer { queue, wake, id, last_tag: 0, outstanding: VecDeque::new() }))
    }
}

impl IngestQueue {
    fn publish(&self, batch: Vec<Command>) -> Result<(), PublishError> {
        if batch.is_empty() {
            return Ok(());
        }
        let bytes = size::of_commands(&batch);
        let mut state = self.state.lock();
        // An empty queue takes a batch of any size: its publisher holds it in memory already, and it would never fit later.
        let fits = state.commands + batch.len() <= self.most_commands && state.bytes + bytes <= self.most_bytes;
        if !fits && state.commands > 0 {
            self.metrics.refused.inc_by(counter(batch.len()));
            return Err(PublishError::Full { retry_after_ms: RETRY_AFTER_MS });
        }
        state.commands += batch.len();
        state.bytes += bytes;
        state.ready.push_back(Batch { commands: Arc::new(batch), bytes, redeliveries: 0 });
        self.show(&state);
        state.wake_active();
        Ok(())
    }

    fn show(&self, state: &State) {
        self.metrics.commands.set(gauge(state.commands));
        self.metrics.bytes.set(gauge(state.bytes));
    }
}

impl State {
    fn wake_active(&self) {
        if let Some((_, wake)) = self.consumers.front() {
            wake.notify_one();
        }
    }

    fn is_active(&self, id: u64) -> bool {
        self.consumers.front().is_some_and(|(active, _)| *active == id)
    }
}

struct Consumer {
    queue: Arc<IngestQueue>,
    /// Holds one permit when something may have come: a wake between looking and waiting is not lost.
    wake: Arc<Notify>,
    id: u64,
    last_tag: u64,
    /// Handed out and not acknowledged; tags rise, and so does the place in the queue.
    outstanding: VecDeque<(u64, Batch)>,
}

/// What there is for a consumer just now.
enum Next {
    Delivery(Delivery),
    Nothing,
    Closed,
}

impl Consumer {
    fn next(&mut self) -> Next {
        let batch = {
            let mut state = self.queue.state.lock();
            let may_take = state.is_active(self.id) && self.outstanding.len() < self.queue.prefetch;
            let taken = if may_take { state.ready.pop_front() } else { None };
            match taken {
                Some(batch) => batch,
                // Whoever is at the prefetch bound acknowledges first, then gets what still waits.
                None if state.closed && (state.ready.is_empty() || !state.is_active(self.id)) => return Next::Closed,
                None => return Next::Nothing,
            }
        };
        self.last_tag += 1;
        let delivery =
            Delivery { tag: self.last_tag, commands: Arc::clone(&batch.commands), redeliveries: batch.redeliveries };
        self.outstanding.push_back((self.last_tag, batch));
        Next::Delivery(delivery)
    }
}

#[async_trait]
impl CommandConsumer for Consumer {
    async fn receive(&mut self) -> Option<Delivery> {
        loop {
            match self.next() {
                Next::Delivery(delivery) => return Some(delivery),
                Next::Closed => return None,
                Next::Nothing => self.wake.notified().await,
            }
        }
    }

    fn try_receive(&mut self) -> Option<Delivery> {
        match self.next() {
            Next::Delivery(delivery) => Some(delivery),
            Next::Nothing | Next::Closed => None,
        }
    }

    async fn acknowledge(&mut self, tag: u64) -> Result<(), OwnershipLost> {
        // A tag that is not outstanding was acknowledged before, or is another consumer's: a broker closes the channel.
        let place = self.outstanding.binary_search_by_key(&tag, |(held, _)| *held).map_err(|_| OwnershipLost)?;
        let (_, batch) = self.outstanding.remove(place).ok_or(OwnershipLost)?;
        let mut state = self.queue.state.lock();
        state.commands -= batch.commands.len();
        state.bytes -= batch.bytes;
        self.queue.show(&state);
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        self.queue.metrics.redelivered.inc_by(counter(self.outstanding.len()));
        while let Some((_, mut batch)) = self.outstanding.pop_back() {
            batch.redeliveries = batch.redeliveries.saturating_add(1);
            state.ready.push_front(batch);
        }
        state.consumers.retain(|(id, _)| *id != self.id);
        state.wake_active();
    }
}
