//! `/metrics` in the Prometheus text format, and a guard for listeners that the world reaches too.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Registry, TextEncoder};

/// What a proxy on this machine sets when it speaks for somebody else (RFC 7239, and the older form).
const FORWARDED: [HeaderName; 2] = [header::FORWARDED, HeaderName::from_static("x-forwarded-for")];

/// The metrics of a process.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Shows what is registered, and on Linux the process itself: `process_resident_memory_bytes`, `process_open_fds`,
    /// `process_cpu_seconds_total` and the like.
    ///
    /// # Errors
    /// When the registry holds the metrics of the process already.
    pub fn new(registry: Registry) -> Result<Self, prometheus::Error> {
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self { registry })
    }

    /// Serves `GET /metrics`, to everyone who reaches it: see [`loopback_only`].
    pub fn router(&self) -> Router {
        Router::new().route("/metrics", get(show)).with_state(self.clone())
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// When one of them breaks the text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

async fn show(State(metrics): State<Metrics>) -> Response {
    // Counting tens of thousands of open descriptors in /proc takes milliseconds: not on a thread that serves.
    let text = tokio::task::spawn_blocking(move || metrics.text()).await;
    match text {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Ok(Err(error)) => broken(&error),
        Err(error) => broken(&error),
    }
}

fn broken(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "cannot gather metrics");
    (StatusCode::INTERNAL_SERVER_ERROR, "cannot gather metrics\n").into_response()
}

/// Lets through who calls from this machine, and answers 403 to everyone else; a call that a proxy forwards is somebody
/// else's. For `axum::middleware::from_fn`; the router must be served with `ConnectInfo<SocketAddr>`, without it nobody
/// gets through.
pub async fn loopback_only(request: Request, next: Next) -> Response {
    let from_here = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        // Canonical: a listener on [::] sees 127.0.0.1 as ::ffff:127.0.0.1.
        .is_some_and(|ConnectInfo(address)| address.ip().to_canonical().is_loopback());
    if from_here && !FORWARDED.iter().any(|name| request.headers().contains_key(name)) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "only for callers on this machine\n").into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, middleware::from_fn};
    use prometheus::IntCounter;
    use tower::ServiceExt;

    use super::*;

    fn metrics() -> Metrics {
        let registry = Registry::new();
        let counter = IntCounter::new("klatch_test_total", "Of this test").unwrap();
        counter.inc_by(3);
        registry.register(Box::new(counter)).unwrap();
        Metrics::new(registry).unwrap()
    }

    #[tokio::test]
    async fn metrics_are_shown_as_text() {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = metrics().router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
        let body = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("klatch_test_total 3\n"), "{text}");
        #[cfg(target_os = "linux")]
        for name in ["process_resident_memory_bytes ", "process_open_fds "] {
            assert!(text.contains(name), "{text}");
        }
    }

    #[tokio::test]
    async fn only_this_machine_gets_through() {
        for (peer, forwarded, expected) in [
            (Some("127.0.0.1:1"), None, StatusCode::OK),
            (Some("[::1]:1"), None, StatusCode::OK),
            (Some("[::ffff:127.0.0.1]:1"), None, StatusCode::OK),
            (Some("192.0.2.1:1"), None, StatusCode::FORBIDDEN),
            (Some("[::ffff:192.0.2.1]:1"), None, StatusCode::FORBIDDEN),
            (Some("127.0.0.1:1"), Some("x-forwarded-for"), StatusCode::FORBIDDEN),
            (Some("127.0.0.1:1"), Some("forwarded"), StatusCode::FORBIDDEN),
            (None, None, StatusCode::FORBIDDEN),
        ] {
            let mut request = Request::get("/metrics").body(Body::empty()).unwrap();
            if let Some(peer) = peer {
                request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
            }
            if let Some(header) = forwarded {
                request.headers_mut().insert(header, "192.0.2.1".parse().unwrap());
            }
            let response = metrics().router().layer(from_fn(loopback_only)).oneshot(request).await.unwrap();
            assert_eq!(response.status(), expected, "{peer:?} {forwarded:?}");
        }
    }

    #[test]
    fn the_process_is_shown_once() {
        let registry = Registry::new();
        let _metrics = Metrics::new(registry.clone()).unwrap();
        #[cfg(target_os = "linux")]
        assert!(Metrics::new(registry).is_err());
    }
}
