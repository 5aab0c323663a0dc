//! What the listener needs, kept as the cluster says: our certificate, and whom to believe.

use std::sync::Arc;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube_client::{Api, Client};
use kube_runtime::{WatchStreamExt, watcher::watch_object};
use tokio::sync::watch::Sender;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::{
    Place,
    certificates::Certificates,
    trust::{self, Trust},
};

/// What the listener needs.
pub(super) struct Setup {
    /// How it encrypts, and whom it lets in.
    pub(super) acceptor: TlsAcceptor,
    /// Whom it believes.
    pub(super) trust: Arc<Trust>,
}

/// Keeps it until dropped. While something is missing there is nothing, and nobody is let in.
pub(super) async fn keep(client: &Client, place: &Place, setup: &Sender<Option<Arc<Setup>>>) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &place.namespace);
    let name = place.secret();
    let mut secrets = std::pin::pin!(watch_object(secrets, &name).default_backoff());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), trust::NAMESPACE);
    let mut maps = std::pin::pin!(watch_object(maps, trust::CONFIG_MAP).default_backoff());
    let (mut certificates, mut trusted) = (None, None);
    loop {
        tokio::select! {
            Some(seen) = secrets.next() => match seen {
                Ok(secret) => certificates = secret.and_then(|one| Certificates::read(&one.data?)),
                Err(error) => {
                    tracing::warn!(%error, "the watch of the metrics API's certificate ended; it begins again");
                    continue;
                }
            },
            Some(seen) = maps.next() => match seen.map(|map| map.and_then(|one| one.data).unwrap_or_default()) {
                Ok(data) => match Trust::read(&data) {
                    Ok(read) => trusted = Some(Arc::new(read)),
                    Err(error) => {
                        tracing::error!(%error, "the metrics API believes nobody");
                        trusted = None;
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "the watch of the apiserver's certificate ended; it begins again");
                    continue;
                }
            },
            else => return,
        }
        let made = certificates.as_ref().zip(trusted.as_ref()).map(|(certificates, trust)| build(certificates, trust));
        match made.transpose() {
            Ok(made) => {
                tracing::info!(serves = made.is_some(), "the metrics API's certificates were read");
                setup.send_replace(made.map(Arc::new));
            }
            Err(error) => {
                tracing::error!(%error, "the metrics API's certificates cannot be used");
                setup.send_replace(None);
            }
        }
    }
}

fn build(certificates: &Certificates, trust: &Arc<Trust>) -> anyhow::Result<Setup> {
    let current = &certificates.current;
    let chain = CertificateDer::pem_slice_iter(current.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(current.key.as_bytes())?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(trust.verifier()?)
        .with_single_cert(chain, key)?;
    Ok(Setup { acceptor: TlsAcceptor::from(Arc::new(config)), trust: Arc::clone(trust) })
}
