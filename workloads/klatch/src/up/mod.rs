//! `klatch up`: every workload in one process, on the embedded twins.

pub(crate) mod banner;
pub(crate) mod lock;
pub(crate) mod settings;
mod system;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, middleware::from_fn_with_state};
use klatch_service_kit::{panic::spawn_critical, shutdown::Shutdown, telemetry, trace};
use klatch_settings::{DEFAULT_DATA, ENV_LOG, SignUp, TraceSettings, UpSettings};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use banner::Banner;
use lock::DataFolder;
use system::System;

use crate::{
    descriptors, listen, serve,
    web_client::{self, AssetsBase, WebClient},
};

/// A stop takes at most this: what has not ended by then is left as a crash would leave it, which loses nothing.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// `klatch up`
#[derive(Debug, clap::Args)]
#[command(after_help = "It runs all workloads in this one process. 'klatch gateway', 'api', 'message-service' and \
'notification-service' run one each, on PostgreSQL, RabbitMQ and Redis.")]
pub(crate) struct Arguments {
    /// Where the data is kept; made when it is not there.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Where to listen [default: what the settings file says, or 127.0.0.1:8480].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where to answer /metrics; without it, on the one listener to callers on this machine only.
    #[arg(long, value_name = "HOST:PORT")]
    admin_listen: Option<String>,
    /// Settings file (YAML); flags win over it.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Folder of the built web client, served at /; without it a small page says what runs here.
    #[arg(long, value_name = "DIR")]
    web: Option<PathBuf>,
    /// Lift every rate limit: for measuring only.
    #[arg(long)]
    no_limits: bool,
}

impl Arguments {
    fn settings(&self) -> anyhow::Result<UpSettings> {
        let mut settings = settings::read(self.file.as_deref())?;
        if let Some(listen) = &self.listen {
            settings.listen.clone_from(listen);
        }
        if self.admin_listen.is_some() {
            settings.admin_listen.clone_from(&self.admin_listen);
        }
        if self.no_limits {
            settings.lift_limits();
        }
        settings::check(&settings)?;
        Ok(settings)
    }
}

/// Serves until it is told to stop.
///
/// # Errors
/// What stands in the way of serving, in words for an owner.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.settings()?;
    let limit = descriptors::raise();
    let banner = Banner::new();
    let runtime = runtime()?;
    let entered = runtime.enter();
    start_telemetry("klatch", &settings.trace)?;
    if let Some(short) = descriptors::shortage(limit, settings.gateway.max_connections) {
        tracing::warn!("{short}");
    }
    let assets = settings.web.assets_base_url.as_deref().map(AssetsBase::parse).transpose()?;
    let web_client = arguments.web.as_deref().map(|folder| WebClient::read(folder, assets.as_ref())).transpose()?;
    let folder = DataFolder::take_or_make(&arguments.data)?;
    let ended = runtime.block_on(live(&folder, &settings, web_client, banner));
    drop(entered);
    trace::shut_down();
    // A hash or a read that still runs is not waited for.
    runtime.shutdown_background();
    ended
}

/// A runtime with a worker for each core this process may use.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .context("cannot start the async runtime")
}

/// For a command that does one thing.
pub(crate) fn single_threaded() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the async runtime")
}

/// Sets up the log and the traces of this process, which a collector knows as `service`.
pub(crate) fn start_telemetry(service: &'static str, settings: &TraceSettings) -> anyhow::Result<()> {
    let trace = trace::Options {
        endpoint: settings.endpoint.clone(),
        ca_file: settings.ca_file.clone(),
        ratio: settings.sample_ratio,
        service,
    };
    let options = telemetry::Options { filter: std::env::var(ENV_LOG).ok(), trace, ..Default::default() };
    telemetry::init(&options).with_context(|| format!("look at {ENV_LOG} and the settings of traces"))
}

async fn live(
    folder: &DataFolder,
    settings: &UpSettings,
    web_client: Option<Arc<WebClient>>,
    banner: Banner,
) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen().context("cannot listen for signals")?;
    let listener = listen::listen(&settings.listen, "--listen").await?;
    let admin_listener = match &settings.admin_listen {
        Some(address) => Some(listen::listen(address, "--admin-listen").await?),
        None => None,
    };
    banner.step(&format!("opening {}", folder.path().display()));
    let system = tokio::select! {
        started = System::start(folder, settings, &shutdown) => started?,
        // Nothing was promised to anyone yet.
        () = shutdown.requested() => return Ok(ended_by(&shutdown)),
    };
    let url = url_of(&listener)?;
    let app = system.router(admin_listener.is_none());
    let app = match web_client {
        Some(client) => app.layer(from_fn_with_state(client, web_client::serve)),
        None => app,
    };
    let serving = start_serving(&system, app, listener, admin_listener, &shutdown)?;
    tracing::info!(url, data = %folder.path().display(), version = env!("CARGO_PKG_VERSION"), "ready");
    if let Err(error) = banner::ready(&url) {
        tracing::warn!(%error, "nobody reads standard output");
    }
    banner.welcome(&url, settings.api.sign_up == SignUp::Open);

    shutdown.requested().await;
    banner.step("stopping; press Ctrl-C again to stop at once");
    match tokio::time::timeout(STOP_WITHIN, system.stop(serving)).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::warn!("not everything ended within {} s; the rest is left as it is", STOP_WITHIN.as_secs()),
    }
    Ok(ended_by(&shutdown))
}

/// Told to stop, the process ends well; otherwise a part of it failed, and whoever runs it starts it whole again.
pub(crate) fn ended_by(shutdown: &Shutdown) -> ExitCode {
    if shutdown.signal().is_some() {
        return ExitCode::SUCCESS;
    }
    crate::output::complain(
        "a part of klatch has failed, so all of it ends; start it again, and report what the log says",
    );
    ExitCode::FAILURE
}

/// The address with the port that was really opened.
pub(crate) fn url_of(listener: &TcpListener) -> anyhow::Result<String> {
    let address = listener.local_addr().context("cannot read the listener's address")?;
    Ok(format!("http://{address}"))
}

fn start_serving(
    system: &System,
    app: Router,
    listener: TcpListener,
    admin_listener: Option<TcpListener>,
    shutdown: &Shutdown,
) -> anyhow::Result<TaskTracker> {
    let serving = TaskTracker::new();
    serving.spawn(spawn_critical("listener", shutdown.token(), serve::serve(listener, None, app, shutdown.token())));
    if let Some(listener) = admin_listener {
        let address = listener.local_addr().context("cannot read the admin listener's address")?;
        tracing::info!(admin_address = %address, "metrics are served");
        let app = system.admin_router();
        serving.spawn(spawn_critical(
            "admin listener",
            shutdown.token(),
            serve::serve(listener, None, app, shutdown.token()),
        ));
    }
    serving.close();
    Ok(serving)
}
