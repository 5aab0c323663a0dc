//! A chat server.

use std::sync::Arc;

use anyhow::Context;
use klatch_bus::{Bus, Queries};
use klatch_gateway::{Gateway, Parts};
use klatch_identity::Verify;
use klatch_settings::GatewaySettings;

use super::Base;

/// Starts it: subscribed and holding its lease when this returns.
pub(crate) async fn start(
    base: &Base,
    settings: GatewaySettings,
    bus: &Bus,
    queries: Arc<dyn Queries>,
    keys: Arc<dyn Verify>,
) -> anyhow::Result<Arc<Gateway>> {
    let parts =
        Parts { settings, bus: bus.clone(), queries, keys, registry: base.registry.clone(), clock: base.clock.clone() };
    let gateway = Arc::new(Gateway::start(parts).await.context("cannot start the gateway")?);
    let shown = Arc::clone(&gateway);
    base.health.check("gateway", move || shown.ready());
    Ok(gateway)
}
