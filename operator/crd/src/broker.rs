//! RabbitMQ: carries commands to the writers and events to the chat servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Provider, Resources, Scheduling, SecretReference, Storage, Tls, rules};

/// A RabbitMQ cluster that the operator runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedBroker {
    /// An image that holds RabbitMQ 4 with its management plugin, with its tag. Left out: rabbitmq:4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), extend("x-kubernetes-validations" = rules::IMAGE))]
    pub image: Option<String>,
    /// Brokers of the cluster: 1, 3 or 5. With 3 one may be lost. This version cannot change it later.
    #[serde(default = "ManagedBroker::default_replicas")]
    #[schemars(range(min = 1, max = 5), extend("x-kubernetes-validations" = rules::BROKER_REPLICAS))]
    pub replicas: u32,
    /// The volume of each.
    #[serde(default)]
    pub storage: Storage,
    /// What each pod is promised, and what it may take at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
}

impl ManagedBroker {
    const fn default_replicas() -> u32 {
        3
    }
}

impl Default for ManagedBroker {
    fn default() -> Self {
        Self {
            image: None,
            replicas: Self::default_replicas(),
            storage: Storage::default(),
            resources: None,
            scheduling: None,
        }
    }
}

/// One address of a RabbitMQ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerAddress {
    /// Name or IPv4 address.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = rules::HOST))]
    pub host: String,
    /// Port of AMQP 0-9-1. Left out: 5672.
    #[serde(default = "BrokerAddress::default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// How the operator makes users, queues and exchanges there.
    pub management: Management,
}

impl BrokerAddress {
    const fn default_port() -> u16 {
        5_672
    }
}

/// RabbitMQ's management API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Management {
    /// Its address, such as https://rabbitmq.example.org:15671.
    #[serde(rename = "url")]
    #[schemars(length(min = 1, max = 255), extend("x-kubernetes-validations" = rules::MANAGEMENT_URL))]
    pub url: String,
    /// A Secret whose keys `username` and `password` sign in as an administrator.
    pub secret_ref: SecretReference,
}

/// RabbitMQ that somebody else runs: version 4, with its management plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalBroker {
    /// RabbitMQ clusters, each by one address. Ingest queues and lanes are dealt out among them, so the list is fixed for life.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub brokers: Vec<BrokerAddress>,
    /// Virtual host that the operator makes for this ChatCluster alone. Left out: NAMESPACE.NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub vhost: Option<String>,
    /// How the links are encrypted.
    #[serde(default)]
    pub tls: Tls,
}

/// What stands on the brokers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::BROKER_TOPOLOGY))]
pub struct Topology {
    /// Queues that carry commands to the writers; no more writers than queues have work. Fixed for life.
    #[serde(default = "Topology::default_queues")]
    #[schemars(range(min = 1, max = 64))]
    pub ingest_queues: u16,
    /// Fan-outs to all chat servers; events of different lanes do not wait for each other. Fixed for life.
    #[serde(default = "Topology::default_queues")]
    #[schemars(range(min = 1, max = 64))]
    pub lanes: u16,
}

impl Topology {
    /// A few writers can share the work, and few queues keep batches large.
    const fn default_queues() -> u16 {
        8
    }
}

impl Default for Topology {
    fn default() -> Self {
        Self { ingest_queues: Self::default_queues(), lanes: Self::default_queues() }
    }
}

/// What carries commands and events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::BROKER))]
pub struct Broker {
    /// Who runs it: Managed (the operator) or External (somebody else). Fixed for life.
    #[serde(default)]
    pub provider: Provider,
    /// What the cluster is like. With provider Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedBroker>,
    /// Where it is. With provider External.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalBroker>,
    /// What stands on the brokers. Fixed for life.
    #[serde(default)]
    pub topology: Topology,
}
