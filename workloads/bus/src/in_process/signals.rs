//! Signals in memory: one bounded queue a gateway; what does not fit is dropped and counted.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use klatch_domain::Incarnation;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::{
    Options,
    metrics::{BusMetrics, QueueMetrics, counter, gauge},
};
use crate::{Signal, SignalReceiver, Signals, size};

pub(super) struct InProcessSignals(Arc<Shared>);

struct Shared {
    most_signals: usize,
    most_bytes: usize,
    metrics: QueueMetrics,
    gateways: RwLock<Gateways>,
}

#[derive(Default)]
struct Gateways {
    by_incarnation: HashMap<Incarnation, Arc<Inlet>>,
    closed: bool,
}

/// The queue of one gateway.
#[derive(Default)]
struct Inlet {
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    signals: Vec<Signal>,
    bytes: usize,
    closed: bool,
}

impl InProcessSignals {
    pub(super) fn new(options: &Options, metrics: &BusMetrics) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Shared {
            most_signals: options.signal_queue_signals,
            most_bytes: options.signal_queue_bytes,
            metrics: metrics.queue("signals")?,
            gateways: RwLock::default(),
        })))
    }
}

impl Drop for InProcessSignals {
    fn drop(&mut self) {
        let mut gateways = self.0.gateways.write();
        gateways.closed = true;
        for inlet in gateways.by_incarnation.values() {
            inlet.close();
        }
    }
}

#[async_trait]
impl Signals for InProcessSignals {
    async fn publish(&self, from: Incarnation, signals: Vec<Signal>) {
        if signals.is_empty() {
            return;
        }
        for (gateway, inlet) in &self.0.gateways.read().by_incarnation {
            if *gateway != from {
                self.0.put(inlet, &signals);
            }
        }
    }

    /// A second subscription of a gateway takes the place of the first, which ends.
    async fn subscribe(&self, gateway: Incarnation) -> Box<dyn SignalReceiver> {
        let inlet = Arc::new(Inlet::default());
        {
            let mut gateways = self.0.gateways.write();
            inlet.state.lock().closed = gateways.closed;
            if let Some(former) = gateways.by_incarnation.insert(gateway, Arc::clone(&inlet)) {
                former.close();
            }
        }
        Box::new(Receiver { shared: Arc::clone(&self.0), gateway, inlet })
    }
}

impl Shared {
    /// Takes the first ones that fit.
    fn put(&self, inlet: &Inlet, signals: &[Signal]) {
        let mut taken = 0;
        {
            let mut state = inlet.state.lock();
            if state.closed {
                return;
            }
            for signal in signals {
                let bytes = size::of_signal(signal);
                if state.signals.len() >= self.most_signals || state.bytes + bytes > self.most_bytes {
                    break;
                }
                state.bytes += bytes;
                state.signals.push(signal.clone());
                taken += 1;
            }
        }
        self.metrics.dropped.inc_by(counter(signals.len() - taken));
        self.metrics.queued.add(gauge(taken));
        inlet.wake.notify_one();
    }
}

impl Inlet {
    fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }
}

struct Receiver {
    shared: Arc<Shared>,
    gateway: Incarnation,
    inlet: Arc<Inlet>,
}

#[async_trait]
impl SignalReceiver for Receiver {
    async fn receive(&mut self) -> Option<Vec<Signal>> {
        loop {
            let (signals, closed) = {
                let mut state = self.inlet.state.lock();
                state.bytes = 0;
                (std::mem::take(&mut state.signals), state.closed)
            };
            if !signals.is_empty() {
                self.shared.metrics.queued.sub(gauge(signals.len()));
                return Some(signals);
            }
            if closed {
                return None;
            }
            self.inlet.wake.notified().await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        {
            let mut gateways = self.shared.gateways.write();
            // A later subscription of this gateway may have taken the place.
            if gateways.by_incarnation.get(&self.gateway).is_some_and(|one| Arc::ptr_eq(one, &self.inlet)) {
                gateways.by_incarnation.remove(&self.gateway);
            }
        }
        self.shared.metrics.queued.sub(gauge(self.inlet.state.lock().signals.len()));
    }
}
