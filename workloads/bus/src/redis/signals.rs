//! Signals by pub/sub: a gateway publishes a batch a tick in its channel, and hears all channels.
//!
//! A process publishes and listens on one connection (RESP3 allows both), so that what it has published itself has come
//! back, where somebody here listens, before its next answer. Nothing is repeated: what falls into a time without a
//! connection is lost, and counted where it is known.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use klatch_domain::Incarnation;
use parking_lot::RwLock;
use prometheus::{IntCounter, IntGauge};
use redis::{Cmd, PushInfo, PushKind, RedisError, Value};
use tokio::time::timeout;

use super::{
    Mode, Options,
    client::{Connection, OnPush},
    keys::Keys,
    link::{Link, Prepare},
    metrics::{Call, Metrics},
    wire,
};
use crate::{
    Signal, SignalReceiver, Signals,
    signal_queue::{Bounds, SignalQueue},
};

/// How long closing waits for what is on its way back.
const LAST_ANSWER: Duration = Duration::from_secs(1);

pub(super) struct RedisSignals {
    keys: Keys,
    mode: Mode,
    call: Call,
    /// Until closing.
    link: Option<Link>,
    shared: Arc<Shared>,
    unsent: IntCounter,
}

/// What takes in the messages of all channels.
struct Shared {
    bounds: Bounds,
    queued: IntGauge,
    full: IntCounter,
    unreadable: IntCounter,
    gateways: RwLock<Gateways>,
}

#[derive(Default)]
struct Gateways {
    by_incarnation: HashMap<Incarnation, Arc<SignalQueue>>,
}

/// Subscribes a new connection; again and again on an old one, which changes nothing and says when earlier messages are in.
struct Subscribe(Vec<String>);

#[async_trait]
impl Prepare for Subscribe {
    async fn prepare(&self, connection: &mut Connection) -> Result<(), RedisError> {
        connection.subscribe(&self.0).await
    }
}

impl RedisSignals {
    pub(super) async fn open(options: &Options, metrics: &Metrics) -> Self {
        let keys = Keys::new(&options.prefix, options.mode);
        let shared = Arc::new(Shared {
            bounds: Bounds { signals: options.signal_queue_signals, bytes: options.signal_queue_bytes },
            queued: metrics.signals_queued.clone(),
            full: metrics.dropped("queue"),
            unreadable: metrics.dropped("unreadable"),
            gateways: RwLock::default(),
        });
        let taker = Arc::clone(&shared);
        let on_push: OnPush = Arc::new(move |push| taker.take(push));
        let up = metrics.up.with_label_values(&["signals"]);
        let link = Link::open("signals", options, Subscribe(keys.channels()), Some(on_push), up).await;
        Self {
            keys,
            mode: options.mode,
            call: metrics.call("signals_publish"),
            link: Some(link),
            shared,
            unsent: metrics.dropped("publish"),
        }
    }

    fn publication(&self, from: Incarnation, message: &[u8]) -> Cmd {
        let mut command = redis::cmd(match self.mode {
            Mode::Standalone => "PUBLISH",
            Mode::Cluster => "SPUBLISH",
        });
        command.arg(self.keys.channel_of(from)).arg(message);
        command
    }
}

impl Drop for RedisSignals {
    /// Receivers get what was published here before, then the end.
    fn drop(&mut self) {
        let (link, shared) = (self.link.take(), Arc::clone(&self.shared));
        let subscribe = Subscribe(self.keys.channels());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return shared.close() };
        runtime.spawn(async move {
            if let Some(link) = link {
                // Late, or not at all: the end comes either way.
                let _ = timeout(LAST_ANSWER, link.prepare(&subscribe)).await;
            }
            shared.close();
        });
    }
}

#[async_trait]
impl Signals for RedisSignals {
    async fn publish(&self, from: Incarnation, signals: Vec<Signal>) {
        let count = signals.len();
        if count == 0 {
            return;
        }
        let messages = match wire::encode(from, signals) {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%error, "signals cannot be written");
                return self.unsent.inc_by(count as u64);
            }
        };
        let Some(link) = &self.link else { return };
        for (message, count) in messages {
            let publication = self.publication(from, &message);
            if self.call.watch(link.one(&publication)).await.is_err() {
                self.unsent.inc_by(count as u64);
            }
        }
    }

    /// A second subscription of a gateway takes the place of the first, which ends.
    async fn subscribe(&self, gateway: Incarnation) -> Box<dyn SignalReceiver> {
        if let Some(link) = &self.link {
            // Without a connection: the next one is subscribed before it is used.
            let _ = link.prepare(&Subscribe(self.keys.channels())).await;
        }
        let queue = Arc::new(SignalQueue::default());
        let former = self.shared.gateways.write().by_incarnation.insert(gateway, Arc::clone(&queue));
        if let Some(former) = former {
            former.close();
        }
        Box::new(Receiver { shared: Arc::clone(&self.shared), gateway, queue })
    }
}

impl Shared {
    /// Called by the connection's task: must not wait.
    fn take(&self, push: PushInfo) {
        if !matches!(push.kind, PushKind::Message | PushKind::SMessage) {
            return;
        }
        let Some(Value::BulkString(message)) = push.data.into_iter().nth(1) else { return };
        let batch = match wire::decode(&message) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::debug!(%error, "signals cannot be read");
                return self.unreadable.inc();
            }
        };
        self.unreadable.inc_by(batch.unknown as u64);
        for (gateway, queue) in &self.gateways.read().by_incarnation {
            if *gateway != batch.from
                && let Some(taken) = queue.put(&batch.signals, self.bounds)
            {
                self.full.inc_by((batch.signals.len() - taken) as u64);
                self.queued.add(gauge(taken));
            }
        }
    }

    fn close(&self) {
        self.gateways.read().by_incarnation.values().for_each(|queue| queue.close());
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
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
        self.shared.queued.sub(gauge(signals.len()));
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
        self.shared.queued.sub(gauge(self.queue.len()));
    }
}
