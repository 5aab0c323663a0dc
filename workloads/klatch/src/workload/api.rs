//! The HTTP API.

use std::sync::Arc;

use anyhow::Context;
use klatch_api::{Api, Parts};
use klatch_bus::Bus;
use klatch_identity::Keys;
use klatch_settings::ApiSettings;

use super::{Base, Stores};

/// Starts it: subscribed, and knowing which sessions have ended, when this returns.
pub(crate) async fn start(
    base: &Base,
    settings: ApiSettings,
    bus: &Bus,
    stores: &Stores,
    keys: Arc<Keys>,
) -> anyhow::Result<Arc<Api>> {
    let parts = Parts {
        settings,
        bus: bus.clone(),
        shards: stores.shards.clone(),
        directory: Arc::clone(&stores.directory),
        keys,
        registry: base.registry.clone(),
        clock: base.clock.clone(),
    };
    Ok(Arc::new(Api::start(parts).await.context("cannot start api")?))
}
