//! Starting and stopping an api.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use axum::Router;
use klatch_bus::{Bus, Queries, http::ServiceToken};
use klatch_domain::Incarnation;
use klatch_identity::{Keys, Passwords};
use klatch_service_kit::Clock;
use klatch_settings::ApiSettings;
use klatch_store::{Directory, Shards, StoreError};
use prometheus::Registry;
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    address::TrustedProxies,
    bot_tokens::BotSessions,
    internal,
    landing::Landing,
    listen::listen,
    metrics::Metrics,
    openapi::openapi,
    outcomes::Outcomes,
    owed::Owing,
    queries::StoreQueries,
    rates::Rates,
    recents::Recents,
    revocation::Revocations,
    routes,
    shared::{CALLS, Shared},
    shared_rates::SharedRates,
    sign_in_failures::SignInFailures,
    under_way::UnderWay,
};

/// How long a stop waits for calls under way; `klatch up` has 5 s for everything.
const STOP: Duration = Duration::from_secs(3);

/// What an api is made of.
pub struct Parts {
    /// Its settings.
    pub settings: ApiSettings,
    /// The bus.
    pub bus: Bus,
    /// The shards, for reading.
    pub shards: Shards,
    /// The directory.
    pub directory: Arc<dyn Directory>,
    /// Signs and verifies access tokens.
    pub keys: Arc<Keys>,
    /// Takes the metrics.
    pub registry: Registry,
    /// The time.
    pub clock: Clock,
}

/// Why an api did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error("api settings: {0}")]
    Settings(String),
    /// The ended sessions could not be read: without them their tokens would be accepted.
    #[error("api start: {0}")]
    Store(#[from] StoreError),
    /// The registry has these metrics already.
    #[error("api metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The OpenAPI document.
    #[error("api document: {0}")]
    Document(#[from] serde_json::Error),
}

/// A running api.
pub struct Api {
    shared: Arc<Shared>,
    queries: Arc<dyn Queries>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Api {
    /// Starts it: subscribed to its events, and knowing which sessions have ended, when it returns.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { settings, bus, shards, directory, keys, registry, clock } = parts;
        let proxies = TrustedProxies::parse(&settings.trusted_proxies);
        let proxies = proxies.map_err(|error| StartError::Settings(error.to_string()))?;
        let metrics = Arc::new(Metrics::register(&registry)?);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let incarnation = Incarnation::now();
        let events = bus.events.subscribe(incarnation, false).await;
        let revocations = Arc::new(Revocations::new(
            Arc::clone(&directory),
            bus.events.publisher(incarnation),
            clock.clone(),
            metrics.revoked.clone(),
        ));
        // Subscribed first: what ends while the list is read is heard.
        revocations.start().await?;
        let map = shards.map().clone();
        let outcomes = Outcomes::start(incarnation, map, &bus, clock.clone(), Arc::clone(&metrics), (&tasks, &stop));
        let heard = (tasks.clone(), stop.clone());
        tasks.spawn(listen(events, Arc::clone(&outcomes), Arc::clone(&revocations), heard));
        let owing = Owing::new(Arc::clone(&directory), Arc::clone(&outcomes), metrics.owed_refused.clone());
        let owing = Arc::new(owing);
        tasks.spawn(Arc::clone(&owing).run(stop.clone()));
        let limits = &settings.limits;
        let shared = Arc::new(Shared {
            passwords: Passwords::new(available_parallelism().map_or(1, NonZeroUsize::get)),
            bot_sessions: BotSessions::new(),
            by_address: Rates::new(limits.enabled, limits.unauthenticated_per_minute, 60),
            by_user: Rates::new(limits.enabled, limits.calls_per_second, 1),
            sign_in_failures: SignInFailures::new(limits.enabled, limits.failed_sign_ins),
            recent: Recents::new(bus.recent, Arc::clone(&metrics)),
            shared_rates: SharedRates::new(limits, bus.rate_limits, metrics.rate_limits_unknown.clone()),
            calls: Arc::new(Semaphore::new(CALLS)),
            under_way: UnderWay::new(limits.enabled),
            stopping: AtomicBool::new(false),
            landing: Landing::new(&settings),
            openapi: openapi().to_json()?,
            settings,
            directory: Arc::clone(&directory),
            shards: shards.clone(),
            keys,
            outcomes,
            owing,
            revocations,
            proxies,
            metrics,
            clock,
        });
        Ok(Self { shared, queries: Arc::new(StoreQueries { directory, shards }), tasks, stop })
    }

    /// Everything it serves. Merge it with routers that have no fallback of their own, and serve it with
    /// `into_make_service_with_connect_info::<SocketAddr>()`, or all callers count as one address.
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.shared))
    }

    /// The internal listener: what gateways ask, over HTTP, of whoever shows one of these tokens (two while they are
    /// changed). It has no place on a public address; encrypt the way to it.
    pub fn internal_router(&self, tokens: &[ServiceToken]) -> Router {
        internal::router(Arc::clone(&self.shared), self.queries(), tokens.to_vec())
    }

    /// What gateways ask, in the same process.
    #[must_use]
    pub fn queries(&self) -> Arc<dyn Queries> {
        Arc::clone(&self.queries)
    }

    /// Ends sessions for who administers users beside this api: it refuses them before the call returns.
    #[must_use]
    pub fn revocations(&self) -> Arc<Revocations> {
        Arc::clone(&self.shared.revocations)
    }

    /// How many passwords were hashed or checked since the start.
    #[must_use]
    pub fn password_hashes(&self) -> u64 {
        self.shared.passwords.calls()
    }

    /// Takes no more calls, finishes those under way (for 3 s at most), and stops.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        // All permits: no call is under way.
        let all = u32::try_from(CALLS).unwrap_or(u32::MAX);
        if timeout(STOP, self.shared.calls.acquire_many(all)).await.is_err() {
            tracing::warn!("calls were still under way at the stop; their callers see a broken connection");
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
