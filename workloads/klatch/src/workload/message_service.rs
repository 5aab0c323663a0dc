//! The writer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use klatch_bus::Bus;
use klatch_message_service::{MessageService, Parts};
use klatch_service_kit::panic;
use klatch_settings::MessageServiceSettings;
use tokio_util::sync::CancellationToken;

use super::{Base, Stores};

/// How long message-service may be without one of its consumers: they come back by themselves after an outage.
const WITHOUT_CONSUMER: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Starts to consume, and ends the process when it has stopped doing so for good.
pub(crate) async fn start(
    base: &Base,
    settings: MessageServiceSettings,
    bus: &Bus,
    stores: &Stores,
) -> anyhow::Result<Arc<MessageService>> {
    let parts = Parts {
        settings,
        bus: bus.clone(),
        shards: stores.shards.clone(),
        directory: Arc::clone(&stores.directory),
        registry: base.registry.clone(),
        clock: base.clock.clone(),
    };
    let service = Arc::new(MessageService::start(parts).await.context("cannot start message-service")?);
    let shown = Arc::clone(&service);
    base.health.check("message-service", move || shown.ready());
    panic::spawn_critical("watch", base.stop.clone(), watch(Arc::clone(&service), base.stop.clone()));
    Ok(service)
}

/// Ends when message-service has stopped taking commands for good: then the process is half alive, and better ended.
async fn watch(message_service: Arc<MessageService>, stop: CancellationToken) {
    let mut ready_at = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if message_service.ready() {
            ready_at = Instant::now();
        } else if ready_at.elapsed() > WITHOUT_CONSUMER {
            tracing::error!("message-service takes no commands any more");
            return;
        }
    }
}
