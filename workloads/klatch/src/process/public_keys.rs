//! What gateways check tokens with: read from api's internal listener, and again and again, so that every rotation and every
//! key that was taken back reaches them.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Json, Router, routing::get};
use klatch_identity::{Keys, PublicKeys};
use klatch_service_kit::panic;
use klatch_settings::QueriesSettings;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::workload::Base;

/// Where they stand.
const PATH: &str = "/.well-known/jwks.json";
/// Between two looks: a key that was taken back is believed so long.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two looks for a key that a token names and nobody knows: bounds what made-up tokens cost api.
const LOOK_FOR_UNKNOWN_EVERY: Duration = Duration::from_secs(2);
/// Between two tries while api does not answer.
const TRY_EVERY: Duration = Duration::from_millis(500);
/// One try.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a set that are read: a rotation's three keys have some 500.
const SET_BYTES: usize = 64 * 1024;

/// What api's internal listener shows; public halves, so no token is asked for.
pub(super) fn router(keys: Arc<Keys>) -> Router {
    Router::new().route(PATH, get(move || async move { Json(keys.jwks()) }))
}

/// Waits for the keys, and keeps them up to date until the process stops.
pub(super) async fn follow(base: &Base, settings: &QueriesSettings) -> anyhow::Result<Arc<PublicKeys>> {
    let source = Source::new(settings)?;
    let keys = Arc::new(PublicKeys::default());
    let mut said = false;
    while let Err(error) = source.read(&keys).await {
        if !said {
            tracing::info!(error = format!("{error:#}"), "waiting for api's public keys");
            said = true;
        }
        sleep(TRY_EVERY).await;
    }
    let following = keep(source, Arc::clone(&keys), base.stop.clone());
    panic::spawn_critical("public keys", base.stop.clone(), following);
    Ok(keys)
}

async fn keep(source: Source, keys: Arc<PublicKeys>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK_EVERY) => {}
            () = keys.met_unknown() => {}
        }
        if let Err(error) = source.read(&keys).await {
            tracing::warn!(error = format!("{error:#}"), "cannot read api's public keys; the ones there stay");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK_FOR_UNKNOWN_EVERY) => {}
        }
    }
}

struct Source {
    client: reqwest::Client,
    addresses: Vec<String>,
}

impl Source {
    fn new(settings: &QueriesSettings) -> anyhow::Result<Self> {
        let mut client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy();
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{} holds no certificates", path.display()))?;
            client = client.tls_certs_only(certificates);
        }
        let client = client.build().context("cannot make an HTTP client")?;
        let address = |address: &String| format!("{}{PATH}", address.trim_end_matches('/'));
        Ok(Self { client, addresses: settings.addresses.iter().map(address).collect() })
    }

    /// Asks one replica after the other, until one answers.
    async fn read(&self, keys: &PublicKeys) -> anyhow::Result<()> {
        let mut failed = anyhow::anyhow!("no api is named");
        for address in &self.addresses {
            match self.read_from(address, keys).await {
                Ok(()) => return Ok(()),
                Err(error) => failed = error.context(format!("{address} has no keys for us")),
            }
        }
        Err(failed)
    }

    async fn read_from(&self, address: &str, keys: &PublicKeys) -> anyhow::Result<()> {
        let mut response = self.client.get(address).send().await?.error_for_status()?;
        let mut set = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            anyhow::ensure!(set.len() + chunk.len() <= SET_BYTES, "the answer has more than {SET_BYTES} bytes");
            set.extend_from_slice(&chunk);
        }
        keys.replace(std::str::from_utf8(&set).context("the answer is no text")?)?;
        Ok(())
    }
}
