//! Signals in memory: one bounded queue a gateway; what does not fit is dropped and counted.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use klatch_domain::Incarnation;
use parking_lot::RwLock;

use super::{
    Options,
    metrics::{BusMetrics, QueueMetrics, counter, gauge},
};
use crate::{
    Signal, SignalReceiver, Signals,
    signal_queue::{Bounds, SignalQueue},
};

pub(super) struct InProcessSignals(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    metrics: QueueMetrics,
    gateways: RwLock<Gateways>,
}

#[derive(Default)]
struct Gateways {
    by_incarnation: HashMap<Incarnation, Arc<SignalQueue>>,
    closed: bool,
}

impl InProcessSignals {
    pub(super) fn new(options: &Options, metrics: &BusMetrics) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Shared {
            bounds: Bounds { signals: options.signal_queue_signals, bytes: options.signal_queue_bytes },
            metrics: metrics.queue("signals")?,
            gateways: RwLock::default(),
        })))
    }
}

impl Drop for InProcessSignals {
    fn drop(&mut self) {
        let mut gateways = self.0.gateways.write();
        gateways.closed = true;
        for queue in gateways.by_incarnation.values() {
            queue.close();
        }
    }
}

#[async_trait]
impl Signals for InProcessSignals {
    async fn publish(&self, from: Incarnation, signals: Vec<Signal>) {
        if signals.is_empty() {
            return;
        }
        for (gateway, queue) in &self.0.gateways.read().by_incarnation {
            if *gateway != from {
                self.0.put(queue, &signals);
            }
        }
    }

    /// A second subscription of a gateway takes the place of the first, which ends.
    async fn subscribe(&self, gateway: Incarnation) -> Box<dyn SignalReceiver> {
        let queue = Arc::new(SignalQueue::default());
        {
            let mut gateways = self.0.gateways.write();
            if gateways.closed {
                queue.close();
            }
            if let Some(former) = gateways.by_incarnation.insert(gateway, Arc::clone(&queue)) {
                former.close();
            }
        }
        Box::new(Receiver { shared: Arc::clone(&self.0), gateway, queue })
    }
}

impl Shared {
    fn put(&self, queue: &SignalQueue, signals: &[Signal]) {
        let Some(taken) = queue.put(signals, self.bounds) else { return };
        self.metrics.dropped.inc_by(counter(signals.len() - taken));
        self.metrics.queued.add(gauge(taken));
    }
}

struct Receiver {
    shared: Arc<Shared>,
    gateway: Incarnation,
    queue: Arc<SignalQueue>,
}

#[async_trait]
impl SignalReceiver for Receiver {
    async fn receive(&mut self) -> Option<Vec<Signal>> {
        let signals = self.queue.receive().await?;
        self.shared.metrics.queued.sub(gauge(signals.len()));
        Some(signals)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        {
            let mut gateways = self.shared.gateways.write();
            // A later subscription of this gateway may have taken the place.
            if gateways.by_incarnation.get(&self.gateway).is_some_and(|one| Arc::ptr_eq(one, &self.queue)) {
                gateways.by_incarnation.remove(&self.gateway);
            }
        }
        self.shared.metrics.queued.sub(gauge(self.queue.len()));
    }
}
