//! What passes work with, and what they remember of each other: only when to look, and how often it failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube_client::Client;
use kube_runtime::events::{Recorder, Reporter};
use parking_lot::Mutex;

use crate::{
    Key,
    broker::{Broker, Sighting},
    gateways::{Aim, Gateways, is_news},
    metrics::OperatorMetrics,
    observe::Reference,
    plan::outcome::SHOWN_AFTER,
};

/// Everything that acts.
pub struct Operator {
    /// The apiserver.
    pub client: Client,
    /// The brokers.
    pub broker: Arc<dyn Broker>,
    /// Counts.
    pub metrics: OperatorMetrics,
    /// The chat servers that run.
    pub gateways: Arc<Gateways>,
    /// What one pass leaves for the next.
    pub memory: Memory,
    /// Events.
    pub recorder: Recorder,
}

impl Operator {
    /// With this client.
    #[must_use]
    pub fn new(client: Client, broker: Arc<dyn Broker>, metrics: OperatorMetrics, gateways: Arc<Gateways>) -> Self {
        let reporter = Reporter { controller: "klatch-operator".to_owned(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, broker, metrics, gateways, memory: Memory::default(), recorder }
    }
}

/// What one pass leaves for the next. All of it may be lost at any time.
#[derive(Debug, Default)]
pub struct Memory {
    failures: Mutex<BTreeMap<Key, u32>>,
    references: Mutex<BTreeMap<Key, BTreeSet<String>>>,
    brokers: Mutex<BTreeMap<Key, Arc<Sighting>>>,
    connections: Mutex<BTreeMap<Key, u64>>,
    aims: Mutex<BTreeMap<Key, Aim>>,
    not_scaling: Mutex<BTreeSet<Key>>,
}

impl Memory {
    /// Failures in a row, with this one.
    pub(crate) fn count(&self, key: &Key, failed: bool) -> u32 {
        let mut failures = self.failures.lock();
        if !failed {
            failures.remove(key);
            return 0;
        }
        let count = failures.entry(key.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Whether a failure is worth telling.
    #[must_use]
    pub const fn is_shown(failures: u32) -> bool {
        failures >= SHOWN_AFTER
    }

    pub(crate) fn refer(&self, key: &Key, references: Vec<Reference>) {
        let names = references.into_iter().map(|reference| reference.name).collect();
        self.references.lock().insert(key.clone(), names);
    }

    /// ChatClusters that name this Secret.
    #[must_use]
    pub fn who_refers(&self, namespace: &str, secret: &str) -> Vec<Key> {
        let references = self.references.lock();
        let named = references.iter().filter(|(key, names)| key.namespace == namespace && names.contains(secret));
        named.map(|(key, _)| key.clone()).collect()
    }

    pub(crate) fn saw_brokers(&self, key: &Key, sighting: Sighting) {
        self.brokers.lock().insert(key.clone(), Arc::new(sighting));
    }

    /// What was seen of brokers. It is the larger part of what is remembered of a ChatCluster, and so it is not copied.
    #[must_use]
    pub fn brokers(&self) -> Vec<(Key, Arc<Sighting>)> {
        self.brokers.lock().iter().map(|(key, sighting)| (key.clone(), Arc::clone(sighting))).collect()
    }

    /// Whether it is news.
    pub(crate) fn saw_connections(&self, key: &Key, now: u64) -> bool {
        let mut connections = self.connections.lock();
        let news = connections.get(key).is_none_or(|told| is_news(*told, now));
        if news {
            connections.insert(key.clone(), now);
        }
        news
    }

    /// Connections that gateways hold, as far as they are worth telling.
    #[must_use]
    pub fn connections(&self, key: &Key) -> Option<u64> {
        self.connections.lock().get(key).copied()
    }

    /// What gateways are scaled by, and whether that works.
    pub(crate) fn scales(&self, key: &Key, aim: Option<Aim>, works: bool) {
        let mut not_scaling = self.not_scaling.lock();
        if works {
            not_scaling.remove(key)
        } else {
            not_scaling.insert(key.clone())
        };
        match aim {
            Some(aim) => self.aims.lock().insert(key.clone(), aim),
            None => self.aims.lock().remove(key),
        };
    }

    pub(crate) fn aim(&self, key: &Key) -> Option<Aim> {
        self.aims.lock().get(key).copied()
    }

    pub(crate) fn not_scaling(&self) -> Vec<Key> {
        self.not_scaling.lock().iter().cloned().collect()
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.connections.lock().remove(key);
        self.scales(key, None, true);
        self.failures.lock().remove(key);
        self.references.lock().remove(key);
        self.brokers.lock().remove(key);
    }
}
