//! Notify commands in memory: one bounded queue of batches with competing consumers.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Options,
    metrics::{BusMetrics, QueueMetrics, counter, gauge},
};
use crate::{NotificationConsumer, Notifications, NotifyCommand, NotifyDelivery, OwnershipLost, size};

pub(super) struct InProcessNotifications(Arc<Shared>);

struct Shared {
    most_commands: usize,
    most_bytes: usize,
    prefetch: usize,
    metrics: QueueMetrics,
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Batch>,
    /// Of all that is not acknowledged, ready or handed out.
    commands: usize,
    bytes: usize,
    closed: bool,
}

/// What one publish carried.
struct Batch {
    commands: Vec<NotifyCommand>,
    bytes: usize,
    redeliveries: u32,
}

impl InProcessNotifications {
    pub(super) fn new(options: &Options, metrics: &BusMetrics) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Shared {
            most_commands: options.notify_queue_commands,
            most_bytes: options.notify_queue_bytes,
            prefetch: options.prefetch.max(1),
            metrics: metrics.queue("notifications")?,
            wake: Notify::new(),
            state: Mutex::default(),
        })))
    }
}

impl Drop for InProcessNotifications {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.wake.notify_waiters();
    }
}

#[async_trait]
impl Notifications for InProcessNotifications {
    async fn publish(&self, batch: Vec<NotifyCommand>) {
        if batch.is_empty() {
            return;
        }
        let bytes = size::of_notify(&batch);
        {
            let mut state = self.0.state.lock();
            if state.commands + batch.len() > self.0.most_commands || state.bytes + bytes > self.0.most_bytes {
                self.0.metrics.dropped.inc_by(counter(batch.len()));
                return;
            }
            state.commands += batch.len();
            state.bytes += bytes;
            state.ready.push_back(Batch { commands: batch, bytes, redeliveries: 0 });
            self.0.metrics.queued.set(gauge(state.commands));
        }
        self.0.wake.notify_one();
    }

    async fn consume(&self) -> Box<dyn NotificationConsumer> {
        Box::new(Consumer { shared: Arc::clone(&self.0), last_tag: 0, outstanding: VecDeque::new() })
    }
}

struct Consumer {
    shared: Arc<Shared>,
    last_tag: u64,
    /// Handed out and not acknowledged; tags rise.
    outstanding: VecDeque<(u64, Batch)>,
}

/// What there is for a consumer just now.
enum Next {
    Delivery(NotifyDelivery),
    Nothing,
    /// As much is handed out as may be.
    Full,
    Closed,
}

impl Consumer {
    fn next(&mut self) -> Next {
        let (batch, more) = {
            let mut state = self.shared.state.lock();
            if self.outstanding.len() >= self.shared.prefetch {
                return Next::Full;
            }
            match state.ready.pop_front() {
                Some(batch) => (batch, !state.ready.is_empty()),
                None if state.closed && state.ready.is_empty() => return Next::Closed,
                None => return Next::Nothing,
            }
        };
        if more {
            // Another consumer may be free.
            self.shared.wake.notify_one();
        }
        self.last_tag += 1;
        let delivery =
            NotifyDelivery { tag: self.last_tag, commands: batch.commands.clone(), redeliveries: batch.redeliveries };
        self.outstanding.push_back((self.last_tag, batch));
        Next::Delivery(delivery)
    }
}

#[async_trait]
impl NotificationConsumer for Consumer {
    async fn receive(&mut self) -> Option<NotifyDelivery> {
        let shared = Arc::clone(&self.shared);
        loop {
            // Made before looking: a closing in between is not missed.
            let woken = shared.wake.notified();
            match self.next() {
                Next::Delivery(delivery) => return Some(delivery),
                Next::Closed => return None,
                Next::Nothing => woken.await,
                // Only an acknowledgement makes room, which needs this consumer. A wake taken here would be another's.
                Next::Full => std::future::pending().await,
            }
        }
    }

    async fn acknowledge(&mut self, tag: u64) -> Result<(), OwnershipLost> {
        let place = self.outstanding.binary_search_by_key(&tag, |(held, _)| *held).map_err(|_| OwnershipLost)?;
        let (_, batch) = self.outstanding.remove(place).ok_or(OwnershipLost)?;
        let mut state = self.shared.state.lock();
        state.commands -= batch.commands.len();
        state.bytes -= batch.bytes;
        self.shared.metrics.queued.set(gauge(state.commands));
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        while let Some((_, mut batch)) = self.outstanding.pop_back() {
            batch.redeliveries = batch.redeliveries.saturating_add(1);
            state.ready.push_front(batch);
        }
        drop(state);
        self.shared.wake.notify_one();
    }
}
