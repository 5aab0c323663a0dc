//! Management APIs in memory: what is put there stands there.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::IntoResponse,
};
use klatch_controller::{
    broker::{Broker, BrokerError, BrokerLogin, Request},
    client::{Guard, after, before},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Brokers in memory. What guards the apiserver guards them, too.
#[derive(Default)]
pub struct Brokers {
    /// By path below `/api/`.
    there: Mutex<BTreeMap<String, Value>>,
}

impl Brokers {
    /// Everything that stands there, in words.
    #[must_use]
    pub fn shown(&self) -> String {
        let lines: Vec<_> = self.there.lock().iter().map(|(path, body)| format!("{path} {}", hidden(body))).collect();
        lines.join("\n")
    }

    /// Takes away what has this in its path.
    ///
    /// # Panics
    /// When nothing has.
    pub fn delete(&self, part: &str) {
        let mut there = self.there.lock();
        let before = there.len();
        there.retain(|path, _| !path.contains(part));
        assert!(there.len() < before, "nothing of {part} is there");
    }
}

/// Passwords and salts differ each time.
fn hidden(body: &Value) -> Value {
    let mut body = body.clone();
    if body["password_hash"].is_string() {
        body["password_hash"] = json!("hidden");
    }
    body
}

/// A way to them.
pub struct Guarded {
    /// Where it leads.
    pub brokers: Arc<Brokers>,
    /// Who has a say.
    pub guards: Vec<Arc<dyn Guard>>,
}

#[async_trait]
impl Broker for Guarded {
    async fn call(&self, request: Request<'_>) -> Result<Option<Value>, BrokerError> {
        assert!(request.path.contains('/'), "a path of two parts: {}", request.path);
        let call = request.call();
        before(&self.guards, &call)?;
        let answer = self.brokers.answer(&request);
        after(&self.guards, &call)?;
        Ok(answer)
    }
}

/// Serves them by HTTP on a loopback port, for as long as the runtime lives.
///
/// # Panics
/// When there is no port.
pub async fn serve(brokers: Arc<Brokers>) -> u16 {
    let answer = |State(brokers): State<Arc<Brokers>>, method: Method, uri: Uri, body: Bytes| async move {
        let verb = if method == Method::GET { "GET" } else { "PUT" };
        let login = BrokerLogin::new(String::new(), String::new());
        let path = uri.path().trim_start_matches("/api/").to_owned();
        let request = Request { base: "", verb, path, body: serde_json::from_slice(&body).ok(), login: &login };
        brokers.answer(&request).map_or(StatusCode::NOT_FOUND.into_response(), |value| Json(value).into_response())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let app = Router::new().fallback(answer).with_state(brokers);
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

impl Brokers {
    fn answer(&self, request: &Request<'_>) -> Option<Value> {
        let mut there = self.there.lock();
        if request.verb != "GET" {
            let body = request.body.clone().unwrap_or_default();
            let key = body["routing_key"].as_str().map_or(String::new(), |key| format!("#{key}"));
            there.insert(format!("{}{key}", request.path), body);
            return Some(Value::Null);
        }
        let parts: Vec<&str> = request.path.split('/').collect();
        let below = |prefix: String| -> Vec<(String, Value)> {
            let from = there.range(prefix.clone()..);
            from.map_while(|(path, body)| Some((path.strip_prefix(&prefix)?.to_owned(), body.clone()))).collect()
        };
        match parts.as_slice() {
            ["users", name] => {
                let user = there.get(&format!("users/{name}"))?;
                Some(json!({"password_hash": user["password_hash"].as_str()?}))
            }
            ["vhosts", vhost, "permissions"] => Some(Value::Array(
                below(format!("permissions/{vhost}/"))
                    .into_iter()
                    .map(|(user, body)| json!({"user": user, "configure": body["configure"], "write": body["write"], "read": body["read"]}))
                    .collect(),
            )),
            ["exchanges", vhost] => Some(Value::Array(
                below(format!("exchanges/{vhost}/"))
                    .into_iter()
                    .map(|(name, body)| json!({"name": name, "type": body["type"], "durable": true}))
                    .collect(),
            )),
            ["queues", vhost] => Some(Value::Array(
                below(format!("queues/{vhost}/"))
                    .into_iter()
                    .map(|(name, body)| json!({"name": name, "arguments": body["arguments"], "durable": true}))
                    .collect(),
            )),
            ["bindings", vhost] => Some(Value::Array(
                below(format!("bindings/{vhost}/e/"))
                    .into_iter()
                    .filter_map(|(path, body)| {
                        let (exchange, rest) = path.split_once("/q/")?;
                        let (queue, _) = rest.split_once('#')?;
                        Some(json!({"source": exchange, "destination": queue, "destination_type": "queue", "routing_key": body["routing_key"]}))
                    })
                    .collect(),
            )),
            _ => there.get(&request.path).cloned(),
        }
    }
}
