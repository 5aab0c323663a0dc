//! What stands on the brokers, by their management HTTP API (<https://www.rabbitmq.com/docs/http-api-reference>).

mod check;
mod difference;
mod ensure;
mod http;
mod listing;
mod password;

use async_trait::async_trait;
use serde_json::Value;

pub use check::{Sighting, check};
pub use difference::{Edit, edits};
pub use ensure::{BrokerLogin, Ensured, ensure};
pub use http::HttpBroker;
pub use listing::{Listing, list};

use crate::{
    client::{Call, Refused},
    failure::{Failure, Step},
};

/// A request to a management API.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `http://chat-rabbitmq.talk.svc:15672`
    pub base: &'a str,
    /// `GET`, `PUT`, `POST`.
    pub verb: &'static str,
    /// Below `/api/`, each part encoded.
    pub path: String,
    /// What is sent.
    pub body: Option<Value>,
    /// Who asks.
    pub login: &'a BrokerLogin,
}

impl Request<'_> {
    /// As guards know it.
    #[must_use]
    pub fn call(&self) -> Call {
        let (kind, name) = self.path.split_once('/').unwrap_or((&self.path, ""));
        Call {
            verb: self.verb.to_owned(),
            kind: format!("rabbitmq/{kind}"),
            namespace: String::new(),
            name: name.to_owned(),
            watch: false,
        }
    }
}

/// Somebody who speaks to management APIs.
#[async_trait]
pub trait Broker: Send + Sync {
    /// The answer's body; `None` when there is nothing of this name (404).
    ///
    /// # Errors
    /// Whatever else was answered, or that nobody did.
    async fn call(&self, request: Request<'_>) -> Result<Option<Value>, BrokerError>;
}

/// What a broker, or the way to it, said.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// Nobody answered, or nothing that can be read.
    #[error("{0}")]
    Unreachable(String),
    /// The administrator's login is not taken.
    #[error("the administrator {0} is refused")]
    Unauthorised(String),
    /// Something else was refused.
    #[error("{status}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// In the broker's words.
        detail: String,
    },
}

impl From<Refused> for BrokerError {
    fn from(refused: Refused) -> Self {
        Self::Unreachable(refused.0)
    }
}

impl BrokerError {
    fn failure(self, base: &str) -> Failure {
        Failure::passing(Step::Broker, format!("look after {base}"), self)
    }
}

/// One part of a path (RFC 3986 section 3.3): only what is unreserved stays as it is.
fn part(text: &str) -> String {
    let of = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(of).collect()
}
