//! Where messages and users are kept: PostgreSQL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PostgresConnection, Provider, Quantity, Resources, Scheduling, rules};

/// As the databases are made when nothing else is said.
const DEFAULT_SLOTS: u16 = 256;

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Its size. It can be raised later, and never lowered. Left out: a size that `klatch plan` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// A StorageClass of the cluster; its default one when left out. Fixed once it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
}

/// A PostgreSQL server that the operator runs: one copy on one volume. For production use External, or expect a restore from
/// a backup when a volume is lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPostgres {
    /// An image that holds PostgreSQL 15 or newer, with its tag. Its major version is that of the data for life. Left out:
    /// postgres:17.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), extend("x-kubernetes-validations" = rules::IMAGE))]
    pub image: Option<String>,
    /// Its volume.
    #[serde(default)]
    pub storage: Storage,
    /// What the pod is promised, and what it may take at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the pod runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
}

/// One shard that somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalShard {
    /// A name for life.
    #[schemars(length(min = 1, max = 20))]
    pub name: String,
    /// How it is reached.
    #[serde(flatten)]
    pub connection: PostgresConnection,
}

/// Shards that somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalShards {
    /// Each a database of its own, of any server.
    #[schemars(
        length(min = 1, max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub shards: Vec<ExternalShard>,
}

/// Shards of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::SHARD_SET))]
pub struct ShardSet {
    /// A name for life, of at most 20 characters.
    #[schemars(length(min = 1, max = 20))]
    pub name: String,
    /// Who runs these shards: Managed (the operator) or External (somebody else). Fixed for life.
    #[serde(default)]
    pub provider: Provider,
    /// How many shards the operator makes, each a PostgreSQL server. With provider Managed. This version cannot change it
    /// later: some more shards than are needed cost little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub shards: Option<u32>,
    /// What each server is like. With provider Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedPostgres>,
    /// Where the shards are. With provider External.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalShards>,
}

/// Where messages are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::MESSAGES))]
pub struct Messages {
    /// Hash buckets of rooms, which shards own; the most shards there can ever be. Fixed for life.
    #[serde(default = "Messages::default_slots")]
    #[schemars(range(min = 1, max = 1024), extend("x-kubernetes-validations" = rules::SLOTS))]
    pub slots: u16,
    /// Message shards, in named sets.
    #[schemars(
        length(min = 1, max = 8),
        extend(
            "x-kubernetes-list-type" = "map",
            "x-kubernetes-list-map-keys" = ["name"],
            "x-kubernetes-validations" = rules::SHARD_SETS
        )
    )]
    pub shard_sets: Vec<ShardSet>,
}

impl Messages {
    const fn default_slots() -> u16 {
        DEFAULT_SLOTS
    }
}

/// A directory that somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDirectory {
    /// Its primary.
    #[serde(flatten)]
    pub primary: PostgresConnection,
    /// Streaming replicas, for reads that may be a moment old.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub replicas: Vec<PostgresConnection>,
}

/// Where users, sessions, friendships and lists of rooms are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::DIRECTORY))]
pub struct Directory {
    /// Who runs it: Managed (the operator) or External (somebody else). Fixed for life.
    #[serde(default)]
    pub provider: Provider,
    /// What the server is like. With provider Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedPostgres>,
    /// Where it is. With provider External.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDirectory>,
}
