//! One workload as a process of its own: `klatch gateway --settings FILE` and its like, on PostgreSQL, RabbitMQ and Redis.
//!
//! The admin listener comes first, so that whoever watches sees it wait; then the parts it stands on; then the workload; then
//! its listeners, and the one line on standard output. SIGTERM turns that around: not ready, nothing new taken, what was taken
//! finished, links closed.

mod api;
mod authorities;
mod bus;
#[cfg(test)]
mod certificates;
mod gateway;
mod message_service;
pub(crate) mod migrate;
mod notification_service;
mod public_keys;
mod reach;
pub(crate) mod stores;
mod tls;

pub(crate) use bus::announce;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use axum::Router;
use klatch_service_kit::{panic::spawn_critical, shutdown::Shutdown, trace};
use klatch_settings::{
    Check, ENV_ADMIN_LISTEN, ENV_LISTEN, ENV_SETTINGS, STOP_SECONDS, Secret, SettingsError, TraceSettings, read_file,
    secret,
};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::{
    descriptors, listen, serve,
    up::{banner, ended_by, runtime, start_telemetry, url_of},
    workload::Base,
};

/// Between two looks at files of certificates. Whoever renews them waits for minutes before anybody goes by them alone.
const READ_CERTIFICATES_EVERY: Duration = Duration::from_secs(60);

/// `klatch gateway|message-service|notification-service|api`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "docs/settings/ has an example for each workload, with every field. KLATCH_LISTEN and KLATCH_ADMIN_LISTEN win \
over the file. Secrets are read from files the settings name, or from KLATCH_DIRECTORY_PASSWORD, KLATCH_SHARD_PASSWORD, \
KLATCH_BROKER_PASSWORD, KLATCH_CACHE_PASSWORD and KLATCH_SERVICE_TOKEN."
)]
pub(crate) struct Arguments {
    /// Settings file (YAML).
    #[arg(long, value_name = "FILE", env = ENV_SETTINGS)]
    settings: PathBuf,
}

/// A workload that runs by itself.
pub(crate) trait Process: Check + DeserializeOwned {
    /// What it is called: in logs, at brokers and databases, at collectors of traces.
    const NAME: &'static str;

    /// Where it serves clients, if it does.
    fn listen_mut(&mut self) -> Option<&mut String>;

    /// Where it answers those who run it.
    fn admin_listen_mut(&mut self) -> &mut String;

    /// Its traces.
    fn trace(&self) -> &TraceSettings;

    /// How long its clients may take to go elsewhere.
    fn drain(&self) -> Duration {
        Duration::ZERO
    }

    /// Most connections it takes; each is an open file.
    fn connections(&self) -> Option<usize> {
        None
    }

    /// Connects to what it stands on, and starts.
    async fn start(&self, base: &Base) -> anyhow::Result<Running>;
}

/// A workload that runs.
pub(crate) struct Running {
    /// What its listeners answer: the public one, if it has one, first.
    pub(crate) served: Vec<Served>,
    /// Takes it apart. Called when its listeners take nothing new any more, with what waits for the calls under way.
    pub(crate) stop: Box<dyn FnOnce(TaskTracker) -> Stopping>,
}

/// A stop under way.
pub(crate) type Stopping = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// One listener's answers.
pub(crate) struct Served {
    /// Where; `None` is the process's own `listen`.
    pub(crate) listen: Option<String>,
    pub(crate) tls: Option<serve::Tls>,
    pub(crate) app: Router,
}

/// Serves until it is told to stop.
///
/// # Errors
/// What stands in the way of serving, in words for an owner.
pub(crate) fn run<P: Process>(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut settings: P = read_file(&arguments.settings)?;
    if let (Ok(listen), Some(field)) = (std::env::var(ENV_LISTEN), settings.listen_mut()) {
        *field = listen;
    }
    if let Ok(listen) = std::env::var(ENV_ADMIN_LISTEN) {
        *settings.admin_listen_mut() = listen;
    }
    check(&settings, &arguments.settings)?;
    let limit = descriptors::raise();
    let runtime = runtime()?;
    let entered = runtime.enter();
    start_telemetry(P::NAME, settings.trace())?;
    if let Some(short) = settings.connections().and_then(|connections| descriptors::shortage(limit, connections)) {
        tracing::warn!("{short}");
    }
    let ended = runtime.block_on(live(settings));
    drop(entered);
    trace::shut_down();
    // A hash or a read that still runs is not waited for.
    runtime.shutdown_background();
    ended
}

/// Refuses what nobody could keep to.
///
/// # Errors
/// The file, and the first field that is wrong.
pub(crate) fn check(settings: &impl Check, file: &Path) -> anyhow::Result<()> {
    settings.check().with_context(|| format!("the settings file {} is wrong", file.display()))
}

async fn live<P: Process>(mut settings: P) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen().context("cannot listen for signals")?;
    let base = Base::new(&shutdown)?;
    let admin = listen::listen(settings.admin_listen_mut(), "adminListen").await?;
    let admin_url = url_of(&admin)?;
    let public = match settings.listen_mut() {
        Some(address) => Some(listen::listen(address, "listen").await?),
        None => None,
    };
    let url = public.as_ref().map_or_else(|| Ok(admin_url.clone()), url_of)?;
    // Ready only once there is something to be ready: this check is the workload's own start.
    let started = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let shown = std::sync::Arc::clone(&started);
    base.health.check("started", move || shown.load(std::sync::atomic::Ordering::Relaxed));
    let admin_app = base.metrics()?.router().merge(base.health.router());
    // It answers to the last: whoever watches sees the drain.
    let watched = tokio_util::sync::CancellationToken::new();
    let admin_serving = tokio::spawn(serve::serve(admin, None, admin_app, watched.clone()));
    tracing::info!(workload = P::NAME, admin_address = admin_url, version = env!("CARGO_PKG_VERSION"), "starting");

    let running = tokio::select! {
        running = settings.start(&base) => running?,
        // Nothing was promised to anyone yet.
        () = shutdown.requested() => return Ok(ended_by(&shutdown)),
    };
    let serving = start_serving(running.served, public, &shutdown).await?;
    started.store(true, std::sync::atomic::Ordering::Relaxed);
    tracing::info!(workload = P::NAME, url, "ready");
    if let Err(error) = banner::ready(&url) {
        tracing::warn!(%error, "nobody reads standard output");
    }

    shutdown.requested().await;
    let within = settings.drain() + Duration::from_secs(STOP_SECONDS.into());
    match tokio::time::timeout(within, (running.stop)(serving)).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::warn!("not everything ended within {} s; the rest is left as it is", within.as_secs()),
    }
    watched.cancel();
    if admin_serving.await.is_err() {
        tracing::warn!("the admin listener broke");
    }
    Ok(ended_by(&shutdown))
}

async fn start_serving(
    served: Vec<Served>,
    mut public: Option<TcpListener>,
    shutdown: &Shutdown,
) -> anyhow::Result<TaskTracker> {
    let serving = TaskTracker::new();
    for Served { listen, tls, app } in served {
        let listener = match listen {
            None => public.take().context("a workload without a listener serves something")?,
            Some(address) => {
                let listener = listen::listen(&address, "internal.listen").await?;
                tracing::info!(internal_address = url_of(&listener)?, "queries are answered");
                listener
            }
        };
        serving.spawn(spawn_critical("listener", shutdown.token(), serve::serve(listener, tls, app, shutdown.token())));
    }
    serving.close();
    Ok(serving)
}

/// A secret that must be there.
fn needed(file: Option<&Path>, variable: &'static str, what: &str) -> anyhow::Result<Secret> {
    let found: Result<Option<Secret>, SettingsError> = secret(file, variable);
    found?.with_context(|| format!("{what} is missing: name its file in the settings, or set {variable}"))
}
