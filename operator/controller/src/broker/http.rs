//! By HTTP.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::{Certificate, Client, ClientBuilder};
use serde_json::Value;

use super::{Broker, BrokerError, Request};
use crate::{
    bounded,
    client::{Guard, after, before},
};

/// How long a call may take: a broker under load answers its management API late, but not this late.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes of an answer that are read: a listing of 64 queues has some 100 KB. Whom a ChatCluster names as its brokers answers what it
/// likes, and read as JSON it takes some twenty times that.
const MOST_BYTES: usize = 1024 * 1024;
/// Characters of a refusal that are shown.
const MOST_CHARACTERS: usize = 300;

/// Authorities of brokers that are remembered, each with the connections of its own client: enough for companies with several, and
/// whoever has more pays a handshake.
const MOST_AUTHORITIES: usize = 16;

/// Speaks to real brokers; what guards the apiserver guards them, too.
pub struct HttpBroker {
    client: Client,
    /// By the authority, as PEM, that each believes alone.
    believing: Mutex<BTreeMap<String, Client>>,
    guards: Vec<Arc<dyn Guard>>,
}

fn builder() -> ClientBuilder {
    // A proxy of the cluster's way out knows no broker inside of it.
    Client::builder().timeout(TIMEOUT).no_proxy().redirect(reqwest::redirect::Policy::none())
}

impl HttpBroker {
    /// With these guards.
    ///
    /// # Errors
    /// When no TLS can be had.
    pub fn new(guards: Vec<Arc<dyn Guard>>) -> Result<Self, reqwest::Error> {
        let client = match builder().build() {
            Ok(client) => client,
            // Our own brokers are spoken to without it.
            Err(error) => {
                tracing::warn!(
                    "brokers by https are believed by tls.caSecretRef alone, as this image holds no authorities: {}",
                    words(&error)
                );
                builder().tls_certs_only([]).build()?
            }
        };
        Ok(Self { client, believing: Mutex::default(), guards })
    }

    fn client(&self, authority: Option<&str>) -> Result<Client, BrokerError> {
        let Some(authority) = authority else { return Ok(self.client.clone()) };
        let mut believing = self.believing.lock();
        if let Some(client) = believing.get(authority) {
            return Ok(client.clone());
        }
        let unusable = |error| BrokerError::Unreachable(format!("the authority in tls.caSecretRef: {}", words(&error)));
        let certificates = Certificate::from_pem_bundle(authority.as_bytes()).map_err(unusable)?;
        let client = builder().tls_certs_only(certificates).build().map_err(unusable)?;
        if believing.len() >= MOST_AUTHORITIES {
            believing.clear();
        }
        believing.insert(authority.to_owned(), client.clone());
        Ok(client)
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
        let login = request.login;
        let client = self.client(login.authority())?;
        let mut builder = client.request(method, url).basic_auth(&login.user, Some(login.password()));
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let unreachable = |error: reqwest::Error| BrokerError::Unreachable(words(&error.without_url()));
        let mut response = builder.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = bounded::body(&mut response, MOST_BYTES).await.map_err(unreachable)?;
        let body = body.ok_or_else(|| BrokerError::Unreachable("the answer is too large".to_owned()))?;
        match status.as_u16() {
            200..=299 if body.is_empty() => Ok(Some(Value::Null)),
            200..=299 => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|error| BrokerError::Unreachable(format!("the answer is no JSON: {error}"))),
            404 => Ok(None),
            401 => Err(BrokerError::Unauthorised(login.user.clone())),
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::broker::BrokerLogin;

    /// Whoever may write a ChatCluster names who answers.
    #[tokio::test]
    async fn an_answer_without_an_end_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let endless = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            // Who answers before being asked is not listened to.
            peer.read_buf(&mut Vec::with_capacity(MOST_BYTES)).await.unwrap();
            let _ = peer.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            let chunk = format!("1000\r\n{}\r\n", "0".repeat(0x1000));
            let mut sent = 0_usize;
            while peer.write_all(chunk.as_bytes()).await.is_ok() {
                sent += chunk.len();
            }
            sent
        });
        let login = BrokerLogin::new("admin".to_owned(), "password".to_owned());
        let request = Request { base: &base, verb: "GET", path: "queues".to_owned(), body: None, login: &login };
        let broker = HttpBroker::new(Vec::new()).unwrap();
        let said = broker.call(request).await.unwrap_err().to_string();
        assert_eq!(said, "the answer is too large");
        drop(broker);
        assert!(
            endless.await.unwrap() < 16 * MOST_BYTES,
            "what was not read was not sent either, but for what buffers hold"
        );
    }
}
