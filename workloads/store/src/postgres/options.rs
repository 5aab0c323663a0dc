//! Where the databases are and how they are spoken to.

use std::{fmt, path::PathBuf, time::Duration};

use klatch_domain::ShardId;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// How long a connection may take to come up, name look-up and TLS included: one on a busy server takes milliseconds, and
/// whoever waits must learn that a server is away before a client gives up.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection of a full pool: longer than [`CONNECT_TIMEOUT`], as it may need a new one.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(6);
/// How long one statement may take, as seen from here. The slowest of them (a room of 100,000 members) takes about a second.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same at the server, a little longer, so that what nobody waits for any more ends there as well. Milliseconds.
const SERVER_STATEMENT_TIMEOUT: &str = "12000";
/// A transaction that waits for its client this long is over: no fence may wait for a dead process. Milliseconds.
const SERVER_IDLE_TIMEOUT: &str = "15000";
/// A connection that was idle this long is tried before it is used: a restarted server has closed it.
pub(super) const IDLE_BEFORE_PING: Duration = Duration::from_secs(1);
/// Connections beyond the first are closed after this long without work.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// A connection is replaced after this long: what a server keeps for it only grows.
pub(super) const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Statements that stay prepared on a connection: more than this program has for one database.
pub const STATEMENTS: usize = 128;

/// A text that no log may hold.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text to itself.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// Whether a connection is encrypted, and whom it trusts. There is no "if the server likes": whoever is in between would
/// dislike it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tls {
    /// In the clear: loopback, or a network that encrypts by itself.
    #[default]
    Disabled,
    /// Encrypted; the server may be anyone.
    Unverified,
    /// Its certificate is signed by an authority of this PEM file, whatever name it bears.
    Authority {
        /// PEM file of the authorities.
        ca_file: PathBuf,
    },
    /// As before, and it bears the host's name.
    Full {
        /// PEM file of the authorities; `None`: those the public web trusts.
        ca_file: Option<PathBuf>,
    },
}

/// What stands between here and the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing. Timeouts are then set at the server as well, with the connection.
    #[default]
    None,
    /// PgBouncer 1.21 or newer in transaction mode with `max_prepared_statements` of at least [`STATEMENTS`]: statements
    /// stay prepared (<https://www.pgbouncer.org/config.html#max_prepared_statements>).
    Prepared,
    /// An older PgBouncer in transaction mode: nothing stays prepared, and every statement goes in a transaction of its
    /// own, as preparing and running it must meet the same server connection.
    Unprepared,
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Name of the database; its encoding must be UTF8.
    pub database: String,
    /// Who signs in.
    pub user: String,
    /// With what.
    pub password: Option<Secret>,
    /// Encryption.
    pub tls: Tls,
    /// PgBouncer, or nothing.
    pub pooler: Pooler,
}

impl Endpoint {
    /// A database without password and TLS.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, database: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            database: database.into(),
            user: user.into(),
            password: None,
            tls: Tls::Disabled,
            pooler: Pooler::None,
        }
    }

    /// For people: which database this is, without secrets.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    /// For a connection that plans each statement once
    /// (<https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-PLAN-CACHE-MODE>).
    pub(super) fn connect_options_planning_once(&self) -> PgConnectOptions {
        let options = self.connect_options();
        if self.pooler == Pooler::None {
            return options.options([("plan_cache_mode", "force_generic_plan")]);
        }
        options
    }

    /// Nothing is taken from the environment or a password file.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .database(&self.database)
            .username(&self.user)
            .application_name("klatch")
            // PgBouncer refuses what it does not know; no column here is a float.
            .extra_float_digits(None)
            .statement_cache_capacity(if self.pooler == Pooler::Unprepared { 0 } else { STATEMENTS });
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        if self.pooler == Pooler::None {
            options = options.options([
                ("statement_timeout", SERVER_STATEMENT_TIMEOUT),
                ("idle_in_transaction_session_timeout", SERVER_IDLE_TIMEOUT),
            ]);
        }
        match &self.tls {
            Tls::Disabled => options.ssl_mode(PgSslMode::Disable),
            Tls::Unverified => options.ssl_mode(PgSslMode::Require),
            Tls::Authority { ca_file } => options.ssl_mode(PgSslMode::VerifyCa).ssl_root_cert(ca_file),
            Tls::Full { ca_file: None } => options.ssl_mode(PgSslMode::VerifyFull),
            Tls::Full { ca_file: Some(ca_file) } => options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(ca_file),
        }
    }
}

/// How many connections this process opens to one database at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSizes {
    /// To a shard, for what changes it: as many batches are on their way at once.
    pub shard_writers: u32,
    /// To a shard, for reads; half of them for those over several slots.
    pub shard_readers: u32,
    /// To the directory.
    pub directory: u32,
    /// To each replica of the directory.
    pub replica: u32,
}

impl Default for PoolSizes {
    /// Some for one process of many: a server's connections are shared by all replicas of all workloads.
    fn default() -> Self {
        Self { shard_writers: 8, shard_readers: 8, directory: 8, replica: 4 }
    }
}

/// Everything a workload opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Users, sessions, projections, the slot map.
    pub directory: Endpoint,
    /// Streaming replicas of the directory, for reads that may go there. May be none.
    pub replicas: Vec<Endpoint>,
    /// The shards of the slot map, by their number.
    pub shards: Vec<(ShardId, Endpoint)>,
    /// Connections.
    pub pools: PoolSizes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_printed() {
        let endpoint = Endpoint { password: Some(Secret::new("hunter2")), ..Endpoint::new("h", 1, "d", "u") };
        let options = Options {
            directory: endpoint.clone(),
            replicas: vec![endpoint.clone()],
            shards: vec![(ShardId(0), endpoint)],
            pools: PoolSizes::default(),
        };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
