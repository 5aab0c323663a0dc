//! The workloads of `klatch up`, put together and taken apart in their order.

use std::sync::Arc;

use anyhow::Context;
use axum::{Router, middleware::from_fn};
use klatch_api::Api;
use klatch_bus::in_process;
use klatch_gateway::Gateway;
use klatch_identity::Keys;
use klatch_message_service::MessageService;
use klatch_notification_service::NotificationService;
use klatch_service_kit::{
    metrics::{Metrics, loopback_only},
    panic,
    shutdown::Shutdown,
};
use klatch_settings::UpSettings;
use tokio_util::task::TaskTracker;

use super::lock::{DataFolder, KEYS_FOLDER};
use crate::{
    admin::{AdminSocket, Administration, Hearers, Users},
    backup::{Snapshots, clear_left_over},
    rotation, stores,
    workload::{self, Base},
};

/// Everything that runs.
pub(super) struct System {
    base: Base,
    stores: stores::Stores,
    message_service: Arc<MessageService>,
    notification_service: Arc<NotificationService>,
    api: Arc<Api>,
    gateway: Arc<Gateway>,
    metrics: Metrics,
}

impl System {
    /// Starts from the stores up: whoever listens is there before whoever speaks.
    pub(super) async fn start(folder: &DataFolder, settings: &UpSettings, shutdown: &Shutdown) -> anyhow::Result<Self> {
        clear_left_over(folder.path())?;
        let opened = stores::open(folder.path(), &settings.store).await?;
        let keys = Keys::open(&folder.path().join(KEYS_FOLDER)).context("cannot open the signing keys")?;
        let base = Base::new(shutdown)?;
        let options = in_process::Options { ingest_queues: settings.bus.ingest_queues, ..Default::default() };
        let bus = in_process::bus(options, &base.registry).context("cannot start the bus")?;
        let stores = workload::Stores { directory: Arc::clone(&opened.directory), shards: opened.shards.clone() };

        let notification_service =
            workload::notification_service::start(&base, settings.notification_service.clone(), &bus, &stores)?;
        let message_service =
            workload::message_service::start(&base, settings.message_service.clone(), &bus, &stores).await?;
        let api = workload::api::start(&base, settings.api.clone(), &bus, &stores, Arc::clone(&keys)).await?;
        let mut gateway_settings = settings.gateway.clone();
        // An old data folder keeps the slots it was made with.
        gateway_settings.slots = stores.shards.map().slots();
        let gateway = workload::gateway::start(&base, gateway_settings, &bus, api.queries(), keys.clone()).await?;

        let rotation = rotation::run(Arc::clone(&keys), base.clock.clone(), shutdown.token());
        panic::spawn_critical("key rotation", shutdown.token(), rotation);
        let users = Users::new(stores.directory, base.clock.clone(), Hearers::Api(api.revocations()));
        let administration = Administration::new(users, keys, base.clock.clone());
        start_admin(folder, administration, shutdown)?;
        let metrics = base.metrics()?;
        Ok(Self { base, stores: opened, message_service, notification_service, api, gateway, metrics })
    }

    /// What the one listener answers; `/metrics` too unless they have a listener of their own.
    pub(super) fn router(&self, with_metrics: bool) -> Router {
        let app = self.gateway.router().merge(self.base.health.router());
        let app = if with_metrics { app.merge(self.metrics.router().layer(from_fn(loopback_only))) } else { app };
        // Last, as it answers whatever nobody else does.
        app.merge(self.api.router())
    }

    /// What the admin listener answers.
    pub(super) fn admin_router(&self) -> Router {
        self.metrics.router().merge(self.base.health.router())
    }

    /// Drains the gateway while calls under way finish, then stops from the front to the back.
    pub(super) async fn stop(&self, serving: TaskTracker) {
        self.gateway.drain().await;
        serving.wait().await;
        self.api.stop().await;
        self.message_service.stop().await;
        self.notification_service.stop().await;
        self.stores.close().await;
    }
}

fn start_admin(folder: &DataFolder, administration: Administration, shutdown: &Shutdown) -> anyhow::Result<()> {
    let snapshots = Arc::new(Snapshots::new(folder.path()));
    let socket = AdminSocket::open(folder.path(), Arc::new(administration), snapshots)?;
    panic::spawn_critical("admin socket", shutdown.token(), socket.serve(shutdown.token()));
    Ok(())
}
