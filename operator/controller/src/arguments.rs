//! The command line of `klatch-operator`.

use std::net::SocketAddr;

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
    /// What is logged, such as info,klatch_controller=debug.
    #[arg(long, env = "KLATCH_LOG")]
    pub log: Option<String>,
}
