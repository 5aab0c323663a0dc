//! The command line of `klatch-operator`.

use std::net::SocketAddr;

use crate::metrics_api::Place;

/// Whether the operator serves `custom.metrics.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricsApi {
    /// While nobody else does.
    Auto,
    /// Never.
    Disabled,
}

/// Runs Klatch on Kubernetes: turns each ChatCluster into what it asks for, and keeps it so.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "klatch-operator", version, about)]
pub struct Arguments {
    /// Namespaces whose ChatClusters are looked after, separated by commas. Left out: all.
    #[arg(long, env = "KLATCH_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "KLATCH_LISTEN", default_value = "0.0.0.0:8485")]
    pub listen: SocketAddr,
    /// Namespace of the Lease by which replicas agree on who writes; the operator's own.
    #[arg(long, env = "KLATCH_NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Name of the Lease.
    #[arg(long, default_value = "klatch-operator")]
    pub lease: String,
    /// Whether autoscalers are told of connections by this operator: Auto, while nobody else serves custom.metrics.k8s.io, or
    /// Disabled.
    #[arg(long, env = "KLATCH_METRICS_API", value_enum, ignore_case = true, default_value = "disabled")]
    pub metrics_api: MetricsApi,
    /// Where it is served, by TLS.
    #[arg(long, default_value = "0.0.0.0:8486")]
    pub metrics_api_listen: SocketAddr,
    /// The Service in the operator's namespace that leads there.
    #[arg(long, default_value = "klatch-operator")]
    pub metrics_api_service: String,
    /// That Service's port.
    #[arg(long, default_value_t = 443)]
    pub metrics_api_port: u16,
    /// A ClusterRole of the same release: the registration of the API ends with it, however the operator ends.
    #[arg(long)]
    pub metrics_api_owner: Option<String>,
    /// What is logged, such as info,klatch_controller=debug.
    #[arg(long, env = "KLATCH_LOG")]
    pub log: Option<String>,
}

impl Arguments {
    /// Where the metrics API is found, if it is to be.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        (self.metrics_api == MetricsApi::Auto).then(|| Place {
            namespace: self.namespace.clone(),
            service: self.metrics_api_service.clone(),
            port: self.metrics_api_port,
            owner: self.metrics_api_owner.clone(),
        })
    }
}
