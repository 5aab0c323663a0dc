//! Where Redis is, and how patient its callers are.

use std::{fmt, sync::Arc, time::Duration};

/// How long connecting may take, the TLS and Redis handshakes included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer may take. Fan-out waits for presence: beyond a quarter of a second a lane is the better answer. One
/// silent answer closes the link, so a Redis that hangs costs its callers this once and not with every call.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
/// Signals that wait for one gateway: typing older than a few ticks is no news.
pub const SIGNAL_QUEUE_SIGNALS: usize = 8_192;
/// Bytes of signals that wait for one gateway (estimated): 1 KiB a signal.
pub const SIGNAL_QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// How long a registry that was begun anew is not believed: one lease. By then every living gateway has found its lease
/// gone, at its next renewal, and has registered its users again.
pub const DOUBT: Duration = Duration::from_secs(<dyn crate::Presence>::LEASE_SECONDS);
/// Before every key and channel, unless told otherwise.
pub const PREFIX: &str = "klatch";

/// One server, or many that share the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One primary; of several endpoints (a primary and its replicas), the one that is it now.
    Standalone,
    /// A Redis Cluster; the endpoints are where its map is read from.
    Cluster,
}

/// One address of a Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Encryption on the way.
#[derive(Clone, Default)]
pub struct Tls {
    /// The certificates that are trusted, PEM. `None`: those of the machine.
    pub ca: Option<Vec<u8>>,
}

/// How far the clock of leases is ahead of the server's: zero, but for a test that lets leases run out.
pub type Ahead = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How to reach Redis. Nothing is read from the environment, and no secret is shown by `Debug`.
#[derive(Clone)]
pub struct Options {
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// One server or a cluster.
    pub mode: Mode,
    /// A user of Redis' access control lists (6.0); `None`: the default user.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<String>,
    /// `None`: plain TCP.
    pub tls: Option<Tls>,
    /// The numbered database; a cluster has only 0. Channels are the server's, whatever the database: see `prefix`.
    pub database: u32,
    /// Before every key and channel. Two Klatches may share a Redis under different prefixes.
    pub prefix: String,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`RESPONSE_TIMEOUT`].
    pub response_timeout: Duration,
    /// See [`SIGNAL_QUEUE_SIGNALS`].
    pub signal_queue_signals: usize,
    /// See [`SIGNAL_QUEUE_BYTES`].
    pub signal_queue_bytes: usize,
    /// See [`DOUBT`].
    pub doubt: Duration,
    /// See [`Ahead`].
    pub ahead: Ahead,
}

/// An option that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// There is no address.
    #[error("Redis: no endpoint is named")]
    NoEndpoint,
    /// Braces mark what a cluster keeps together; one of ours would move everything to one server.
    #[error("Redis: the prefix {0:?} must be 1 to 64 characters of A-Z a-z 0-9 . _ : -")]
    Prefix(String),
    /// A cluster has no numbered databases.
    #[error("Redis: a cluster has only database 0, not {0}")]
    Database(u32),
    /// Access control needs both.
    #[error("Redis: a user is named, but no password")]
    NoPassword,
}

const PREFIX_BYTES: usize = 64;

impl Options {
    /// These endpoints, and the defaults of this module.
    #[must_use]
    pub fn new(mode: Mode, endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            mode,
            user: None,
            password: None,
            tls: None,
            database: 0,
            prefix: PREFIX.to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            signal_queue_signals: SIGNAL_QUEUE_SIGNALS,
            signal_queue_bytes: SIGNAL_QUEUE_BYTES,
            doubt: DOUBT,
            ahead: Arc::new(|| Duration::ZERO),
        }
    }

    pub(super) fn check(&self) -> Result<(), OptionsError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if self.endpoints.is_empty() {
            return Err(OptionsError::NoEndpoint);
        }
        if self.prefix.is_empty() || self.prefix.len() > PREFIX_BYTES || !self.prefix.bytes().all(plain) {
            return Err(OptionsError::Prefix(self.prefix.chars().take(PREFIX_BYTES).collect()));
        }
        if self.mode == Mode::Cluster && self.database != 0 {
            return Err(OptionsError::Database(self.database));
        }
        if self.user.is_some() && self.password.is_none() {
            return Err(OptionsError::NoPassword);
        }
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").field("own_ca", &self.ca.is_some()).finish()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("endpoints", &self.endpoints)
            .field("mode", &self.mode)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("tls", &self.tls)
            .field("database", &self.database)
            .field("prefix", &self.prefix)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(mode: Mode) -> Options {
        Options::new(mode, vec![Endpoint { host: "localhost".to_owned(), port: 6379 }])
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(options(Mode::Standalone).check(), Ok(()));
        assert_eq!(Options::new(Mode::Standalone, vec![]).check(), Err(OptionsError::NoEndpoint));
        for prefix in ["", "a{b}", "a b", &"x".repeat(65)] {
            let options = Options { prefix: prefix.to_owned(), ..options(Mode::Standalone) };
            assert!(matches!(options.check(), Err(OptionsError::Prefix(_))), "{prefix:?}");
        }
        let numbered = Options { database: 3, ..options(Mode::Cluster) };
        assert_eq!(numbered.check(), Err(OptionsError::Database(3)));
        let half = Options { user: Some("ada".to_owned()), ..options(Mode::Standalone) };
        assert_eq!(half.check(), Err(OptionsError::NoPassword));
    }

    #[test]
    fn no_secret_is_shown() {
        let secret = Options {
            user: Some("ada".to_owned()),
            password: Some("correct horse".to_owned()),
            tls: Some(Tls { ca: Some(b"BEGIN CERTIFICATE".to_vec()) }),
            ..options(Mode::Standalone)
        };
        let shown = format!("{secret:?}");
        assert!(shown.contains("ada") && !shown.contains("horse") && !shown.contains("BEGIN"), "{shown}");
    }
}
