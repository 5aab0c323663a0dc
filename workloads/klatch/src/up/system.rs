//! The workloads of `klatch up`, put together and taken apart in their order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::{from_fn, map_response},
    response::Response,
};
use klatch_api::Api;
use klatch_bus::in_process;
use klatch_gateway::Gateway;
use klatch_identity::Keys;
use klatch_message_service::MessageService;
use klatch_service_kit::{
    Clock,
    health::Health,
    metrics::{Metrics, loopback_only},
    panic,
    shutdown::Shutdown,
};
use klatch_settings::UpSettings;
use prometheus::Registry;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    lock::{DataFolder, KEYS_FOLDER},
    rotation,
};
use crate::{
    admin::{AdminSocket, Administration},
    backup::{Snapshots, clear_left_over},
    stores::{self, Stores},
};

/// Everything that runs.
pub(super) struct System {
    stores: Stores,
    message_service: Arc<MessageService>,
    api: Api,
    gateway: Arc<Gateway>,
    health: Health,
    metrics: Metrics,
}

impl System {
    /// Starts from the stores up: whoever listens is there before whoever speaks.
    pub(super) async fn start(folder: &DataFolder, settings: &UpSettings, shutdown: &Shutdown) -> anyhow::Result<Self> {
        clear_left_over(folder.path())?;
        let stores = stores::open(folder.path(), &settings.store).await?;
        let keys = Keys::open(&folder.path().join(KEYS_FOLDER)).context("cannot open the signing keys")?;
        let clock = Clock::system();
        let registry = Registry::new();
        panic::install(&registry).context("cannot register metrics")?;
        let options = in_process::Options { ingest_queues: settings.bus.ingest_queues, ..Default::default() };
        let bus = in_process::bus(options, &registry).context("cannot start the bus")?;

        let message_service = MessageService::start(klatch_message_service::Parts {
            settings: settings.message_service.clone(),
            bus: bus.clone(),
            shards: stores.shards.clone(),
            directory: Arc::clone(&stores.directory),
            registry: registry.clone(),
            clock: clock.clone(),
        })
        .await
        .context("cannot start message-service")?;
        let api = Api::start(klatch_api::Parts {
            settings: settings.api.clone(),
            bus: bus.clone(),
            shards: stores.shards.clone(),
            directory: Arc::clone(&stores.directory),
            keys: Arc::clone(&keys),
            registry: registry.clone(),
            clock: clock.clone(),
        })
        .await
        .context("cannot start api")?;
        let mut gateway_settings = settings.gateway.clone();
        // An old data folder keeps the slots it was made with.
        gateway_settings.slots = stores.shards.map().slots();
        let gateway = Gateway::start(klatch_gateway::Parts {
            settings: gateway_settings,
            bus: bus.clone(),
            queries: api.queries(),
            keys: Arc::clone(&keys),
            registry: registry.clone(),
            clock: clock.clone(),
        })
        .await
        .context("cannot start the gateway")?;

        let rotation = rotation::run(Arc::clone(&keys), clock.clone(), shutdown.token());
        panic::spawn_critical("key rotation", shutdown.token(), rotation);
        let administration = Administration::new(Arc::clone(&stores.directory), keys, clock, Some(api.revocations()));
        start_admin(folder, administration, shutdown)?;
        let metrics = Metrics::new(registry).context("cannot register metrics")?;
        let (message_service, gateway) = (Arc::new(message_service), Arc::new(gateway));
        let health = health(&message_service, &gateway, shutdown);
        panic::spawn_critical("watch", shutdown.token(), watch(Arc::clone(&message_service), shutdown.token()));
        Ok(Self { stores, message_service, api, gateway, health, metrics })
    }

    /// What the one listener answers; `/metrics` too unless they have a listener of their own.
    pub(super) fn router(&self, with_metrics: bool) -> Router {
        let app = self.gateway.router().merge(self.health.router());
        let app = if with_metrics { app.merge(self.metrics.router().layer(from_fn(loopback_only))) } else { app };
        let app = app.layer(map_response(no_sniffing));
        // Last, as it answers whatever nobody else does.
        app.merge(self.api.router())
    }

    /// What the admin listener answers.
    pub(super) fn admin_router(&self) -> Router {
        self.metrics.router().merge(self.health.router())
    }

    /// Drains the gateway while calls under way finish, then stops from the front to the back.
    pub(super) async fn stop(&self, serving: TaskTracker) {
        self.gateway.drain().await;
        serving.wait().await;
        self.api.stop().await;
        self.message_service.stop().await;
        self.stores.close().await;
    }
}

/// What these answer is no page and no script, whatever it looks like; the API says so itself.
async fn no_sniffing(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn health(message_service: &Arc<MessageService>, gateway: &Arc<Gateway>, shutdown: &Shutdown) -> Health {
    let health = Health::new();
    let token = shutdown.token();
    health.check("running", move || !token.is_cancelled());
    let message_service = Arc::clone(message_service);
    health.check("message-service", move || message_service.ready());
    let gateway = Arc::clone(gateway);
    health.check("gateway", move || gateway.ready());
    health
}

/// How long message-service may be without one of its consumers: they come back by themselves after an outage of the disk.
const WITHOUT_CONSUMER: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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

fn start_admin(folder: &DataFolder, administration: Administration, shutdown: &Shutdown) -> anyhow::Result<()> {
    let snapshots = Arc::new(Snapshots::new(folder.path()));
    let socket = AdminSocket::open(folder.path(), Arc::new(administration), snapshots)?;
    panic::spawn_critical("admin socket", shutdown.token(), socket.serve(shutdown.token()));
    Ok(())
}
