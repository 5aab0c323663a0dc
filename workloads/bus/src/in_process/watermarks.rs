//! Watermark moves in memory: one bounded queue, in which a later move of a session joins the one that waits.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use klatch_domain::{RoomId, SessionId, UserId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Options,
    metrics::{BusMetrics, QueueMetrics, gauge},
};
use crate::{WatermarkConsumer, WatermarkMove, Watermarks};

/// Moves handed out at once: what one transaction writes without holding up messages.
const RECEIVE_MOVES: usize = 1_024;

pub(super) struct InProcessWatermarks(Arc<Shared>);

struct Shared {
    most_moves: usize,
    metrics: QueueMetrics,
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    moves: VecDeque<WatermarkMove>,
    /// Where a member's move waits: its number since the start.
    places: HashMap<Whose, u64>,
    /// Number of the first move that waits.
    first: u64,
    closed: bool,
}

type Whose = (RoomId, UserId, SessionId);

fn whose(one: &WatermarkMove) -> Whose {
    (one.room, one.user, one.session)
}

impl InProcessWatermarks {
    pub(super) fn new(options: &Options, metrics: &BusMetrics) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Shared {
            most_moves: options.watermark_queue_moves,
            metrics: metrics.queue("watermarks")?,
            wake: Notify::new(),
            state: Mutex::default(),
        })))
    }
}

impl Drop for InProcessWatermarks {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.wake.notify_waiters();
    }
}

#[async_trait]
impl Watermarks for InProcessWatermarks {
    async fn publish(&self, batch: Vec<WatermarkMove>) {
        if batch.is_empty() {
            return;
        }
        {
            let mut state = self.0.state.lock();
            for one in batch {
                if !state.put(one, self.0.most_moves) {
                    self.0.metrics.dropped.inc();
                }
            }
            self.0.metrics.queued.set(gauge(state.moves.len()));
        }
        self.0.wake.notify_one();
    }

    async fn consume(&self) -> Box<dyn WatermarkConsumer> {
        Box::new(Consumer(Arc::clone(&self.0)))
    }
}

impl State {
    /// False when it does not fit.
    fn put(&mut self, one: WatermarkMove, most: usize) -> bool {
        let waiting = self.places.get(&whose(&one)).and_then(|place| usize::try_from(place - self.first).ok());
        if let Some(earlier) = waiting.and_then(|place| self.moves.get_mut(place)) {
            earlier.read = earlier.read.max(one.read);
            earlier.delivered = earlier.delivered.max(one.delivered);
            return true;
        }
        if self.moves.len() >= most {
            return false;
        }
        self.places.insert(whose(&one), self.first + self.moves.len() as u64);
        self.moves.push_back(one);
        true
    }

    fn take(&mut self) -> Vec<WatermarkMove> {
        let taken: Vec<_> = self.moves.drain(..self.moves.len().min(RECEIVE_MOVES)).collect();
        self.first += taken.len() as u64;
        for one in &taken {
            self.places.remove(&whose(one));
        }
        taken
    }
}

struct Consumer(Arc<Shared>);

#[async_trait]
impl WatermarkConsumer for Consumer {
    async fn receive(&mut self) -> Option<Vec<WatermarkMove>> {
        loop {
            // Made before looking: a closing in between is not missed.
            let woken = self.0.wake.notified();
            let (taken, more, closed) = {
                let mut state = self.0.state.lock();
                let taken = state.take();
                self.0.metrics.queued.set(gauge(state.moves.len()));
                (taken, !state.moves.is_empty(), state.closed)
            };
            if more {
                // Another consumer may be free.
                self.0.wake.notify_one();
            }
            if !taken.is_empty() {
                return Some(taken);
            }
            if closed {
                return None;
            }
            woken.await;
        }
    }
}
