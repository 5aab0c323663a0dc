//! `/healthz`: the process lives. `/readyz`: its parts are ready for work.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parking_lot::RwLock;
use serde_json::json;

type Check = Box<dyn Fn() -> bool + Send + Sync>;

/// Named checks of a process; clones share them.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<RwLock<Vec<(&'static str, Check)>>>,
}

impl Health {
    /// Without any check a process is ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the process is ready only while `ready` answers true. It is called at every `/readyz`, so it looks at
    /// something that is known already and does not wait.
    pub fn check(&self, name: &'static str, ready: impl Fn() -> bool + Send + Sync + 'static) {
        self.checks.write().push((name, Box::new(ready)));
    }

    /// Names of the parts that are not ready, in the order they were named.
    #[must_use]
    pub fn not_ready(&self) -> Vec<&'static str> {
        self.checks.read().iter().filter(|(_, ready)| !ready()).map(|(name, _)| *name).collect()
    }

    /// Serves `GET /healthz` (200 for as long as anything is answered) and `GET /readyz` (200 or 503, with
    /// `{"ready": true or false, "not_ready": [names]}`).
    pub fn router(&self) -> Router {
        Router::new().route("/healthz", get(live)).route("/readyz", get(ready)).with_state(self.clone())
    }
}

/// Nobody in between may remember an answer.
const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

async fn live() -> Response {
    (NO_STORE, "ok\n").into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    let not_ready = health.not_ready();
    let ready = not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, NO_STORE, Json(json!({ "ready": ready, "not_ready": not_ready }))).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::{body::Body, extract::Request};
    use tower::ServiceExt;

    use super::*;

    async fn ask(health: &Health, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = health.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_is_ready_when_all_its_parts_are() {
        let health = Health::new();
        let store = Arc::new(AtomicBool::new(false));
        let open = Arc::clone(&store);
        health.check("gateway", || true);
        health.check("store", move || open.load(Ordering::Relaxed));
        let (status, body) = ask(&health, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&body).unwrap(),
            json!({"ready": false, "not_ready": ["store"]})
        );
        assert_eq!(ask(&health, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()), "it lives all the same");
        store.store(true, Ordering::Relaxed);
        let (status, body) = ask(&health, "/readyz").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), json!({"ready": true, "not_ready": []}));
    }
}
