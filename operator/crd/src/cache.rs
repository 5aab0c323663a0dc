//! Redis: presence, signals, rate limits, the ends of busy logs. It may be empty at any time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Provider, Quantity, Scheduling, SecretReference, Tls, rules};

/// A Redis that the operator runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedCache {
    /// An image that holds Redis 7 or newer, with its tag. Left out: redis:8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), extend("x-kubernetes-validations" = rules::IMAGE))]
    pub image: Option<String>,
    /// Memory of the pod; three quarters of it hold data.
    #[serde(default = "ManagedCache::default_memory")]
    #[schemars(schema_with = "memory")]
    pub memory: Quantity,
    /// Where the pod runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
}

impl ManagedCache {
    fn default_memory() -> Quantity {
        Quantity::from("256Mi")
    }
}

impl Default for ManagedCache {
    fn default() -> Self {
        Self { image: None, memory: Self::default_memory(), scheduling: None }
    }
}

fn memory(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string", "minLength": 1, "maxLength": 24, "x-kubernetes-validations": rules::CACHE_MEMORY,
    })
}

/// One address of a Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheAddress {
    /// Name or address.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = rules::HOST))]
    pub host: String,
    /// Its port. Left out: 6379.
    #[serde(default = "CacheAddress::default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

impl CacheAddress {
    const fn default_port() -> u16 {
        6_379
    }
}

/// One server or a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum CacheMode {
    /// One primary; with several endpoints, the first that answers.
    #[default]
    Standalone,
    /// A Redis Cluster.
    Cluster,
}

/// A Redis that somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalCache {
    /// Its addresses; of a cluster some of them.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub endpoints: Vec<CacheAddress>,
    /// Standalone: one primary. Cluster: a Redis Cluster.
    #[serde(default)]
    pub mode: CacheMode,
    /// A user of its access control lists; the default user when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub user: Option<String>,
    /// A Secret whose key `password` holds the user's password. Left out: none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
    /// How the link is encrypted.
    #[serde(default)]
    pub tls: Tls,
}

/// What holds presence and other news that may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::UNION))]
pub struct Cache {
    /// Who runs it: Managed (the operator) or External (somebody else).
    #[serde(default)]
    pub provider: Provider,
    /// What the server is like. With provider Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedCache>,
    /// Where it is. With provider External.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalCache>,
}
