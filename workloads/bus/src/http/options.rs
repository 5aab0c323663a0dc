//! Whom to ask, and how patiently.

use std::time::Duration;

use klatch_domain::limits::GROUP_MEMBERS;
use reqwest::Url;

use super::ServiceToken;

/// How long connecting to a replica may take, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one replica may take for a whole answer: a room of the largest size is 4 MB.
pub const TIMEOUT: Duration = Duration::from_secs(3);
/// Questions under way at once, over all replicas; further ones wait for a place within their own time.
pub const AT_ONCE: usize = 64;
/// Bytes of an answer that are read: eight rooms of the largest size. More is an error: nothing asked here is so large.
pub const ANSWER_BYTES: usize = 8 * 40 * GROUP_MEMBERS;

/// The replicas that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replicas {
    /// Each is one replica, or a balancer before several.
    Addresses(Vec<Url>),
    /// Every address its host name has is a replica (in Kubernetes, a headless Service); they are looked up again and again.
    Name(Url),
}

/// How to ask.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whom: `http://` or `https://`, host and port; a path counts as none.
    pub replicas: Replicas,
    /// What they are shown.
    pub token: ServiceToken,
    /// The certificates that are trusted, PEM. `None`: those of the machine.
    pub ca: Option<Vec<u8>>,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`TIMEOUT`].
    pub timeout: Duration,
    /// See [`AT_ONCE`]; at least 1.
    pub at_once: usize,
}

/// An option that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// There is nobody to ask.
    #[error("queries: no replica is named")]
    NoReplica,
    /// An address that is no `http` or `https` URL with a host.
    #[error("queries: {0} is no http or https address")]
    Address(String),
    /// Authorities of which there is none.
    #[error("queries: there is no certificate among the authorities")]
    NoAuthority,
    /// A certificate that cannot be read, or a token that no header takes.
    #[error("queries: {0}")]
    Client(#[from] reqwest::Error),
}

impl Options {
    /// These replicas, and the defaults of this module.
    #[must_use]
    pub fn new(replicas: Replicas, token: ServiceToken) -> Self {
        Self { replicas, token, ca: None, connect_timeout: CONNECT_TIMEOUT, timeout: TIMEOUT, at_once: AT_ONCE }
    }
}
