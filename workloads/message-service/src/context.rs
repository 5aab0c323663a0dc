//! What every part of the service holds on to.

use std::sync::Arc;

use klatch_bus::Bus;
use klatch_domain::Timestamp;
use klatch_service_kit::Clock;
use klatch_settings::MessageServiceSettings;
use klatch_store::Directory;

use crate::{metrics::Metrics, own_reads::OwnReads, owners::Owners};

pub(crate) struct Context {
    pub(crate) settings: MessageServiceSettings,
    pub(crate) bus: Bus,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) owners: Owners,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) own_reads: OwnReads,
    /// Who waits for the directory with nothing but outcomes to tell.
    pub(crate) answers: tokio::sync::Semaphore,
    /// Whose turn it is to publish notices, for each ingest queue.
    pub(crate) turns: Vec<tokio::sync::Mutex<()>>,
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }
}

#[cfg(test)]
impl Context {
    /// For tests of parts: these stores, queues in memory.
    pub(crate) fn of_stores(stores: &klatch_store::sqlite::SqliteStores, clock: Clock) -> Self {
        let registry = prometheus::Registry::new();
        let bus = klatch_bus::in_process::bus(klatch_bus::in_process::Options::default(), &registry).unwrap();
        let queues = bus.commands.queues();
        Self {
            settings: MessageServiceSettings::default(),
            bus,
            directory: Arc::clone(&stores.directory) as Arc<dyn Directory>,
            owners: Owners::new(stores.shards.clone()),
            clock,
            metrics: Metrics::register(&registry).unwrap(),
            own_reads: OwnReads::default(),
            answers: tokio::sync::Semaphore::new(1),
            turns: (0..queues).map(|_| tokio::sync::Mutex::new(())).collect(),
        }
    }
}
