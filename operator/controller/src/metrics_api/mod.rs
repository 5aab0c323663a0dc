//! The connections of gateways, for autoscalers: the group `custom.metrics.k8s.io` of the aggregated API
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/>). A cluster has one such group, and autoscalers
//! use its preferred version: so ours is registered only while nobody else holds the group (`stance`, `register`), and every replica
//! answers (`listen`, `answer`). Who calls is believed only behind the apiserver's own certificate (`trust`, `caller`), and then
//! asked for their rights (`rights`).

mod answer;
pub mod caller;
pub mod certificates;
mod keep;
mod listen;
mod register;
pub mod rights;
pub mod selector;
pub mod stance;
pub mod trust;

use std::sync::Arc;

use kube_client::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use register::{Registrar, register, withdraw};

use crate::gateways::Gateways;

/// The group.
pub const GROUP: &str = "custom.metrics.k8s.io";
/// Its version: the one autoscalers prefer (<https://github.com/kubernetes/metrics/blob/master/IMPLEMENTATIONS.md>).
pub const VERSION: &str = "v1beta2";

/// Where the apiserver finds this API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The operator's namespace: of the Service and of the Secret with the certificates.
    pub namespace: String,
    /// The Service that leads to every replica.
    pub service: String,
    /// Its port.
    pub port: u16,
    /// A ClusterRole of the same release: the registration ends with it, however the operator ends.
    pub owner: Option<String>,
}

impl Place {
    /// The Secret with the certificates.
    #[must_use]
    pub fn secret(&self) -> String {
        format!("{}-metrics-tls", self.service)
    }

    /// The name the apiserver expects in the certificate.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }
}

/// Answers until told to stop. Needs no lease: every replica does.
pub async fn serve(
    client: Client,
    place: Place,
    listener: TcpListener,
    gateways: Arc<Gateways>,
    stop: CancellationToken,
) {
    let (setup, changes) = tokio::sync::watch::channel(None);
    let app = answer::router(gateways, rights::Rights::new(client.clone()));
    tokio::select! {
        () = stop.cancelled() => {}
        () = keep::keep(&client, &place, &setup) => {}
        () = listen::listen(listener, app, changes, stop.clone()) => {}
    }
}
