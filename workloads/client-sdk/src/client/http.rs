//! Calls to the HTTP API: one place that builds them, bounds them and reads their errors.

use std::{sync::Arc, time::Duration};

use klatch_protocol::http::Problem;
use reqwest::{Method, StatusCode, Url, header};
use rustls::ClientConfig;
use serde::{Serialize, de::DeserializeOwned};

use super::{ClientError, Roots};

/// A connection that does not open within this is given up.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// A call that is not answered within this is given up: above the 30 s a server waits for a slow shard.
const CALL_WAIT: Duration = Duration::from_secs(40);
/// An answer's body: 500 rooms with 200 entries of the largest kind do not come in one answer; 64 MiB is some ten times
/// what the core asks for at once.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Characters of a strange answer that an error repeats.
const SHOWN_CHARS: usize = 200;

/// Connects and calls a server.
#[derive(Clone)]
pub(crate) struct Http {
    base: Url,
    client: reqwest::Client,
    /// What sockets are encrypted with; none for plain ones.
    tls: Option<Arc<ClientConfig>>,
}

/// One call, ready to be sent, and sent again.
#[derive(Clone)]
pub(crate) struct Call {
    step: &'static str,
    method: Method,
    url: Url,
    body: Option<Vec<u8>>,
    idempotency_key: Option<String>,
}

impl Call {
    /// With this query.
    pub(crate) fn query<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        for (name, value) in pairs {
            self.url.query_pairs_mut().append_pair(name, &value);
        }
        self
    }

    /// With this body.
    pub(crate) fn body<B: Serialize>(mut self, body: &B) -> Self {
        // The shapes of the protocol are structs with string keys: they always serialise.
        self.body = serde_json::to_vec(body).ok();
        self
    }

    /// Met twice with the same key, it is done once.
    pub(crate) fn idempotency_key(mut self, key: String) -> Self {
        self.idempotency_key = Some(key);
        self
    }
}

impl Http {
    pub(crate) fn new(server: &str, roots: &Roots) -> Result<Self, ClientError> {
        let wrong = |reason: String| ClientError::Address { address: server.to_owned(), reason };
        let base = Url::parse(server).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong("it starts with http:// or https:// and names a host".to_owned()));
        }
        let tls = (base.scheme() == "https").then(|| roots.config()).transpose()?;
        let builder = reqwest::Client::builder();
        let builder = match &tls {
            Some(config) => builder.tls_backend_preconfigured(ClientConfig::clone(config)),
            None => builder,
        };
        let client = builder
            .connect_timeout(CONNECT_WAIT)
            .timeout(CALL_WAIT)
            // An API that redirects a token elsewhere is not ours.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|source| ClientError::Unreachable { step: "prepare the HTTP client", source })?;
        Ok(Self { base, client, tls })
    }

    /// The address without a slash at its end.
    pub(crate) fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// What sockets are encrypted with; none for plain ones.
    pub(crate) fn tls(&self) -> Option<Arc<ClientConfig>> {
        self.tls.clone()
    }

    /// Where the WebSocket is.
    pub(crate) fn socket_url(&self) -> String {
        let tail = self.server().split_once("://").map_or("", |(_, tail)| tail);
        let scheme = if self.base.scheme() == "https" { "wss" } else { "ws" };
        format!("{scheme}://{tail}/v1/connect")
    }

    /// A call of `/v1/` and these path segments, which are encoded.
    pub(crate) fn call(&self, step: &'static str, method: Method, path: &[&str]) -> Call {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        Call { step, method, url, body: None, idempotency_key: None }
    }

    /// Sends it and reads the answer.
    pub(crate) async fn send<T: DeserializeOwned>(&self, call: Call, token: Option<&str>) -> Result<T, ClientError> {
        let step = call.step;
        let (status, body) = self.exchange(call, token).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Unexpected {
            step,
            status: status.as_u16(),
            reason: format!("{error}: {}", shown(&body)),
        })
    }

    /// Sends it; the answer has no body that matters.
    pub(crate) async fn send_empty(&self, call: Call, token: Option<&str>) -> Result<(), ClientError> {
        self.exchange(call, token).await.map(drop)
    }

    async fn exchange(&self, call: Call, token: Option<&str>) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let step = call.step;
        let unreachable = |source: reqwest::Error| ClientError::Unreachable { step, source: source.without_url() };
        let mut request = self.client.request(call.method, call.url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = call.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let retry_after_ms = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                let reason = format!("its body has more than {ANSWER_BYTES} bytes");
                return Err(ClientError::Unexpected { step, status: status.as_u16(), reason });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok((status, body));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Refused { step, problem: Box::new(problem), retry_after_ms }),
            Err(_) => Err(ClientError::Unexpected { step, status: status.as_u16(), reason: shown(&body) }),
        }
    }
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3; the servers of this protocol send no dates).
pub(crate) fn retry_after(headers: &header::HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000))
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().filter(|character| !character.is_control()).take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths() {
        for bad in ["", "localhost:80", "ftp://a", "http://"] {
            assert!(matches!(Http::new(bad, &Roots::default()), Err(ClientError::Address { .. })), "{bad:?}");
        }
        let http = Http::new("https://chat.example/base/", &Roots::default()).unwrap();
        assert_eq!(http.socket_url(), "wss://chat.example/base/v1/connect");
        let call = http.call("test", Method::GET, &["users", "a/b"]).query([("query", "ä&b".to_owned())]);
        assert_eq!(call.url.as_str(), "https://chat.example/base/v1/users/a%2Fb?query=%C3%A4%26b");
    }
}
