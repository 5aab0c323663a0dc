//! How a part that somebody else runs is reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// A Secret of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Whether a link is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Encryption {
    /// Plain: only for a network nobody else is on.
    Off,
    /// Encrypted, and the other side's certificate must name its host.
    #[default]
    Verify,
}

/// How a link is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::TLS))]
pub struct Tls {
    /// Verify: encrypted, and the certificate must name the host. Off: plain.
    #[serde(default)]
    pub mode: Encryption,
    /// A Secret whose key `ca.crt` holds the authorities that are believed, as PEM. Left out: the well-known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretReference>,
}

/// What stands between Klatch and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Pooler {
    /// Nothing.
    #[default]
    None,
    /// PgBouncer 1.21 or newer in transaction mode.
    Prepared,
    /// An older PgBouncer in transaction mode.
    Unprepared,
}

/// An empty database of a PostgreSQL server, 15 or newer, and a role that owns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresConnection {
    /// Name or address of the server.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = rules::HOST))]
    pub host: String,
    /// Its port. Left out: 5432.
    #[serde(default = "PostgresConnection::default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Name of the database.
    #[serde(default = "PostgresConnection::default_name")]
    #[schemars(length(min = 1, max = 63))]
    pub database: String,
    /// The role that owns the database.
    #[serde(default = "PostgresConnection::default_name")]
    #[schemars(length(min = 1, max = 63))]
    pub user: String,
    /// A Secret whose key `password` holds the role's password.
    pub secret_ref: SecretReference,
    /// How the link is encrypted.
    #[serde(default)]
    pub tls: Tls,
    /// What stands in between: None, Prepared (PgBouncer 1.21 or newer in transaction mode), Unprepared (an older one).
    #[serde(default)]
    pub pooler: Pooler,
    /// Connections the server, or the pooler, has for Klatch: pools are made so that all replicas together stay below it.
    #[serde(default = "PostgresConnection::default_most")]
    #[schemars(range(min = 20, max = 10000))]
    pub max_connections: u32,
}

impl PostgresConnection {
    const fn default_port() -> u16 {
        5_432
    }

    fn default_name() -> String {
        "klatch".to_owned()
    }

    /// PostgreSQL's own default, <https://www.postgresql.org/docs/17/runtime-config-connection.html>.
    const fn default_most() -> u32 {
        100
    }
}
