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

use super::authorities::Authorities;
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
pub(super) async fn follow(
    base: &Base,
    settings: &QueriesSettings,
    authorities: Authorities,
) -> anyhow::Result<Arc<PublicKeys>> {
    let mut source = Source::new(settings, authorities)?;
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

async fn keep(mut source: Source, keys: Arc<PublicKeys>, stop: CancellationToken) {
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
    authorities: Authorities,
    /// Believes those.
    client: reqwest::Client,
    addresses: Vec<String>,
}

impl Source {
    fn new(settings: &QueriesSettings, mut authorities: Authorities) -> anyhow::Result<Self> {
        let client = client(authorities.borrow_and_update().as_deref())?;
        let address = |address: &String| format!("{}{PATH}", address.trim_end_matches('/'));
        Ok(Self { authorities, client, addresses: settings.addresses.iter().map(address).collect() })
    }

    /// Asks one replica after the other, until one answers.
    async fn read(&mut self, keys: &PublicKeys) -> anyhow::Result<()> {
        if self.authorities.has_changed().unwrap_or(false) {
            self.client = client(self.authorities.borrow_and_update().as_deref())?;
        }
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

fn client(authorities: Option<&[u8]>) -> anyhow::Result<reqwest::Client> {
    let mut client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy();
    if let Some(pem) = authorities {
        let certificates = reqwest::Certificate::from_pem_bundle(pem).context("an authority cannot be read")?;
        client = client.tls_certs_only(certificates);
    }
    client.build().context("cannot make an HTTP client")
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, sync::watch};
    use tokio_rustls::rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::process::{authorities::look, certificates::Certificates};

    fn shows(certificates: &Certificates) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_slice(certificates.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).unwrap();
        Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap())
    }

    /// The three steps of a renewal, as a gateway sees them.
    #[tokio::test]
    async fn keys_are_read_through_a_renewal_and_of_nobody_who_is_believed_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (Certificates::make(), Certificates::make());
        let signing = Keys::open(&folder.path().join("keys")).unwrap();
        let (shown, tls) = watch::channel(shows(&old));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![format!("https://{}", listener.local_addr().unwrap())];
        let serving = crate::serve::serve(listener, Some(tls), router(signing), CancellationToken::new());
        let _serving = AbortOnDropHandle::new(tokio::spawn(serving));
        let file = folder.path().join("ca.crt");
        let (believed, authorities) = watch::channel(Some(old.authority.clone().into_bytes()));
        let settings = QueriesSettings { addresses, ..QueriesSettings::default() };
        let (mut source, keys) = (Source::new(&settings, authorities.clone()).unwrap(), PublicKeys::default());
        source.read(&keys).await.unwrap();

        std::fs::write(&file, format!("{}{}", new.authority, old.authority)).unwrap();
        look(&file, &believed).await;
        source.read(&keys).await.unwrap();
        shown.send_replace(shows(&new));
        source.read(&keys).await.unwrap();
        // Whoever comes only now believes both as well.
        let mut late = Source::new(&settings, authorities).unwrap();
        late.read(&keys).await.unwrap();
        std::fs::write(&file, "no certificate").unwrap();
        look(&file, &believed).await;
        late.read(&keys).await.unwrap();
        std::fs::write(&file, &new.authority).unwrap();
        look(&file, &believed).await;
        source.read(&keys).await.unwrap();
        shown.send_replace(shows(&old));
        late.read(&keys).await.unwrap_err();
    }
}
