//! Stands in for chat servers: each pod has an admin port on loopback, which tells as many connections as a test says.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{Router, http::StatusCode, routing::get};
use klatch_controller::gateways::{Gateways, HttpScrape, Pods};
use parking_lot::Mutex;

/// Says nothing.
pub const SILENT: i64 = -1;

/// Admin ports of pods, by name.
#[derive(Default)]
pub struct AdminPorts {
    ports: Mutex<BTreeMap<String, (SocketAddr, Arc<AtomicI64>)>>,
    default: AtomicI64,
}

impl AdminPorts {
    /// Each pod, those to come too, tells so many connections; [`SILENT`] answers an error.
    pub fn set_all(&self, connections: i64) {
        self.default.store(connections, Ordering::SeqCst);
        self.ports.lock().values().for_each(|(_, value)| value.store(connections, Ordering::SeqCst));
    }

    /// This one does.
    ///
    /// # Panics
    /// When nobody has asked it before.
    pub fn set(&self, pod: &str, connections: i64) {
        self.ports.lock().get(pod).expect("a pod that was asked").1.store(connections, Ordering::SeqCst);
    }

    fn address(&self, pod: &str) -> Option<SocketAddr> {
        let mut ports = self.ports.lock();
        if let Some((address, _)) = ports.get(pod) {
            return Some(*address);
        }
        let value = Arc::new(AtomicI64::new(self.default.load(Ordering::SeqCst)));
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        listener.set_nonblocking(true).ok()?;
        let address = listener.local_addr().ok()?;
        let listener = tokio::net::TcpListener::from_std(listener).ok()?;
        let told = Arc::clone(&value);
        let metrics = async move || {
            let connections = told.load(Ordering::SeqCst);
            if connections == SILENT {
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            }
            (
                StatusCode::OK,
                format!("# TYPE klatch_gateway_connections gauge\nklatch_gateway_connections {connections}\n"),
            )
        };
        let app = Router::new().route("/metrics", get(metrics));
        tokio::spawn(async move { axum::serve(listener, app).await });
        ports.insert(pod.to_owned(), (address, value));
        Some(address)
    }

    /// The gateways of these namespaces, asked there.
    ///
    /// # Panics
    /// When this system cannot speak HTTP.
    pub fn gateways(self: &Arc<Self>, namespaces: &[String]) -> Arc<Gateways> {
        let ports = Arc::clone(self);
        let scrape = HttpScrape::at(Arc::new(move |pod| ports.address(&pod.name))).expect("HTTP");
        Arc::new(Gateways::new(Pods::new(namespaces), Arc::new(scrape)))
    }
}
