//! Who decides whom a message notifies.

use std::sync::Arc;

use anyhow::Context;
use klatch_bus::Bus;
use klatch_notification_service::{Counted, NotificationService, Parts};
use klatch_settings::NotificationServiceSettings;

use super::{Base, Stores};

/// Starts to consume. Notifications are counted; adapters that push come with devices that can be pushed to.
pub(crate) fn start(
    base: &Base,
    settings: NotificationServiceSettings,
    bus: &Bus,
    stores: &Stores,
) -> anyhow::Result<Arc<NotificationService>> {
    let parts = Parts {
        settings,
        bus: bus.clone(),
        shards: stores.shards.clone(),
        directory: Arc::clone(&stores.directory),
        push: Arc::new(Counted),
        registry: base.registry.clone(),
        clock: base.clock.clone(),
    };
    let service = Arc::new(NotificationService::start(parts).context("cannot start notification-service")?);
    let shown = Arc::clone(&service);
    base.health.check("notification-service", move || shown.ready());
    Ok(service)
}
