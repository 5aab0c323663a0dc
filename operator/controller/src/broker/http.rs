//! By HTTP.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use super::{Broker, BrokerError, Request};
use crate::client::{Guard, after, before};

/// How long a call may take: a broker under load answers its management API late, but not this late.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes of an answer that are read: a listing of 64 queues has some 100 KB.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Characters of a refusal that are shown.
const MOST_CHARACTERS: usize = 300;

/// Speaks to real brokers; what guards the apiserver guards them, too.
pub struct HttpBroker {
    client: reqwest::Client,
    guards: Vec<Arc<dyn Guard>>,
}

impl HttpBroker {
    /// With these guards.
    ///
    /// # Errors
    /// When no TLS can be had.
    pub fn new(guards: Vec<Arc<dyn Guard>>) -> Result<Self, reqwest::Error> {
        let builder = || {
            // A proxy of the cluster's way out knows no broker inside of it.
            let builder = reqwest::Client::builder().timeout(TIMEOUT).no_proxy();
            builder.redirect(reqwest::redirect::Policy::none())
        };
        let client = match builder().build() {
            Ok(client) => client,
            // Our own brokers are spoken to without it.
            Err(error) => {
                tracing::warn!(
                    "brokers by https are not believed, as this image holds no authorities: {}",
                    words(&error)
                );
                builder().tls_certs_only([]).build()?
            }
        };
        Ok(Self { client, guards })
    }
}

#[async_trait]
impl Broker for HttpBroker {
    async fn call(&self, request: Request<'_>) -> Result<Option<Value>, BrokerError> {
        let call = request.call();
        before(&self.guards, &call)?;
        let answer = self.send(&request).await;
        after(&self.guards, &call)?;
        answer
    }
}

impl HttpBroker {
    async fn send(&self, request: &Request<'_>) -> Result<Option<Value>, BrokerError> {
        let url = format!("{}/api/{}", request.base.trim_end_matches('/'), request.path);
        let method = match request.verb {
            "PUT" => reqwest::Method::PUT,
            "POST" => reqwest::Method::POST,
            _ => reqwest::Method::GET,
        };
        let mut builder =
            self.client.request(method, url).basic_auth(&request.login.user, Some(request.login.password()));
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let unreachable = |error: reqwest::Error| BrokerError::Unreachable(words(&error.without_url()));
        let response = builder.send().await.map_err(unreachable)?;
        let status = response.status();
        if response.content_length().is_some_and(|length| length > MOST_BYTES as u64) {
            return Err(BrokerError::Unreachable("the answer is too large".to_owned()));
        }
        let body = response.bytes().await.map_err(unreachable)?;
        match status.as_u16() {
            200..=299 if body.is_empty() => Ok(Some(Value::Null)),
            200..=299 => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|error| BrokerError::Unreachable(format!("the answer is no JSON: {error}"))),
            404 => Ok(None),
            401 => Err(BrokerError::Unauthorised(request.login.user.clone())),
            status => Err(BrokerError::Refused {
                status,
                detail: String::from_utf8_lossy(&body).chars().take(MOST_CHARACTERS).collect(),
            }),
        }
    }
}

fn words(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    if last.to_string() == error.to_string() { error.to_string() } else { format!("{error}: {last}") }
}
