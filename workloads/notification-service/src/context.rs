//! What every part of the service holds on to.

use std::sync::Arc;

use klatch_bus::Presence;
use klatch_domain::Timestamp;
use klatch_service_kit::Clock;
use klatch_settings::NotificationServiceSettings;
use klatch_store::{Directory, Shards};

use crate::{metrics::Metrics, push::Push};

pub(crate) struct Context {
    pub(crate) settings: NotificationServiceSettings,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) shards: Shards,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) push: Arc<dyn Push>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }
}
