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
    /// Whose turn it is to publish follow-ups, for each ingest queue.
    pub(crate) turns: Vec<tokio::sync::Mutex<()>>,
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }
}
