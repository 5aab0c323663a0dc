//! `klatch-operator`

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::Parser;
use klatch_controller::{
    arguments::Arguments,
    broker::HttpBroker,
    client::{Fence, Guard, connect},
    gateways::{Gateways, HttpScrape, Pods},
    leader::Leader,
    metrics::OperatorMetrics,
    metrics_api::{self, Registrar},
    operator::Operator,
    watch,
};
use klatch_service_kit::{health::Health, metrics::Metrics, panic, shutdown::Shutdown, telemetry};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("klatch-operator: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("klatch-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::init(&telemetry::Options { filter: arguments.log.clone(), ..telemetry::Options::default() })?;
    // The one provider of cryptography; a second call would only say that it is there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let shutdown = Shutdown::listen().context("cannot listen for signals")?;
    let registry = Registry::new();
    panic::install(&registry).context("cannot register metrics")?;
    let metrics = OperatorMetrics::new(&registry).context("cannot register metrics")?;
    let fence = Arc::new(Fence::default());
    let guards: Vec<Arc<dyn Guard>> = vec![Arc::new(metrics.clone()), Arc::clone(&fence) as Arc<dyn Guard>];
    let config = kube_client::Config::infer().await.context("no cluster: neither a kubeconfig nor a pod's account")?;
    let client = connect(config, guards.clone()).context("cannot use this cluster's configuration")?;
    client.apiserver_version().await.context("the apiserver does not answer")?;
    let health = Health::new();
    let told = shutdown.token();
    health.check("running", move || !told.is_cancelled());
    let app = health.router().merge(Metrics::new(registry)?.router());
    let listener = tokio::net::TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let served = shutdown.token();
    panic::spawn_critical("server", shutdown.token(), async move {
        let serving = axum::serve(listener, app).with_graceful_shutdown(served.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the server ended");
        }
    });
    let broker = Arc::new(HttpBroker::new(guards).context("cannot speak HTTP")?);
    let scrape = Arc::new(HttpScrape::new().context("cannot speak HTTP")?);
    let gateways = Arc::new(Gateways::new(Pods::new(&arguments.watch_namespaces), scrape));
    let operator = Arc::new(Operator::new(client.clone(), broker, metrics, Arc::clone(&gateways)));
    let registrar = arguments.place().map(|place| Registrar { client: client.clone(), place });
    panic::spawn_critical("gateways", shutdown.token(), {
        let (gateways, client, stop) = (Arc::clone(&gateways), client.clone(), shutdown.token());
        async move { gateways.pods.run(&client, &stop).await }
    });
    if let Some(Registrar { client, place }) = registrar.clone() {
        let listener = tokio::net::TcpListener::bind(arguments.metrics_api_listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", arguments.metrics_api_listen))?;
        let serving = metrics_api::serve(client, place, listener, gateways, shutdown.token());
        panic::spawn_critical("metrics API", shutdown.token(), serving);
    }
    let leader = Leader::new(client, &arguments.namespace, &arguments.lease, identity(), fence);
    let post = Post { operator, registrar, namespaces: arguments.watch_namespaces };
    lead(post, leader, &shutdown.token()).await;
    match shutdown.signal() {
        Some(_) => Ok(()),
        None => anyhow::bail!("a part of it ended"),
    }
}

/// What is done by who has the lease.
struct Post {
    operator: Arc<Operator>,
    registrar: Option<Registrar>,
    namespaces: Vec<String>,
}

impl Post {
    /// Until the term ends.
    async fn hold(self: Arc<Self>, term: CancellationToken) {
        let passes = watch::run(Arc::clone(&self.operator), &self.namespaces, term.clone());
        let registering = async {
            if let Some(registrar) = &self.registrar {
                metrics_api::register(registrar.clone(), term.clone()).await;
            }
        };
        tokio::join!(passes, registering);
    }

    /// For good, as far as anybody knows: the next who leads registers again.
    async fn leave(&self) {
        let Some(registrar) = &self.registrar else { return };
        if let Err(failure) = metrics_api::withdraw(registrar).await {
            tracing::warn!("metrics API: {failure}");
        }
    }
}

/// Whenever the lease is ours, looks after everything.
async fn lead(post: Post, mut leader: Leader, stop: &CancellationToken) {
    let post = Arc::new(post);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = leader.acquire() => {}
        }
        tracing::info!("this operator has the lease");
        post.operator.metrics.leader.set(1);
        let term = stop.child_token();
        let mut work = tokio::spawn(Arc::clone(&post).hold(term.clone()));
        let ended = tokio::select! {
            () = leader.hold(stop) => None,
            ended = &mut work => Some(ended),
        };
        post.operator.metrics.leader.set(0);
        term.cancel();
        let ended = match ended {
            Some(ended) => ended,
            None => work.await,
        };
        if let Err(error) = ended {
            // A panic. Whoever kept the lease after it would keep everybody else from the work as well.
            tracing::error!(%error, "looking after ChatClusters was interrupted: this process ends");
            break;
        }
        if stop.is_cancelled() {
            post.leave().await;
        }
    }
    leader.release().await;
}

/// No other process's: a pod's name comes again when its node is lost, so a number goes along.
fn identity() -> String {
    let name = std::env::var("HOSTNAME").unwrap_or_else(|_| "klatch-operator".to_owned());
    let mut bytes = [0_u8; 4];
    // Without random numbers the process's own number must do.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        bytes = std::process::id().to_be_bytes();
    }
    format!("{name}_{:08x}", u32::from_be_bytes(bytes))
}
