//! The resource itself.

#![allow(clippy::duplicated_attributes, reason = "columns are attributes, and several are of one type")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Broker, Cache, ChatClusterStatus, Directory, Endpoint, Gateway, Image, Messages, Workload, rules};

/// What becomes of data when the resource is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Volumes and their credentials stay.
    #[default]
    Retain,
    /// Volumes and credentials go, for ever.
    Delete,
}

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum SignUp {
    /// Anyone who reaches the server.
    #[default]
    Open,
    /// Nobody.
    Closed,
}

/// Who may come in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Open: anyone who reaches the server may sign up. Closed: nobody may, and users are made by `klatch user add` in a pod of api.
    #[serde(default)]
    pub signup: SignUp,
}

/// What one user may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::LIMITS))]
pub struct Limits {
    /// Messages per second of one user, sustained. Left out: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub messages_per_second: Option<u32>,
    /// Messages of one user in one burst. Left out: 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub message_burst: Option<u32>,
}

/// What is wanted.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "klatch.dev",
    version = "v1alpha1",
    kind = "ChatCluster",
    doc = "A chat platform: chat servers, message shards, and what they stand on.",
    namespaced,
    status = "ChatClusterStatus",
    derive = "PartialEq",
    shortname = "chat",
    category = "klatch",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Gateways", type_ = "integer", json_path = ".status.gateway.readyReplicas"),
    printcolumn(name = "Connections", type_ = "integer", json_path = ".status.gateway.connections"),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.endpoints[0].url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = "1"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ChatClusterSpec {
    /// The version of Klatch to run, such as 0.1.0: the tag of its image. An upgrade of the operator changes no image, and restarts
    /// nothing unless the changelog says so.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = rules::PLATFORM_VERSION))]
    pub version: String,
    /// Where the images of all pods come from, those of Managed parts too.
    #[serde(default)]
    pub image: Image,
    /// What becomes of volumes and credentials when this resource is deleted: Retain keeps them, Delete deletes them for ever.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// While true the operator changes nothing; what runs goes on.
    #[serde(default)]
    pub paused: bool,
    /// Where people come in.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// The chat servers, which hold everyone's connection.
    #[serde(default)]
    pub gateway: Gateway,
    /// The HTTP API and the web client. Where its pods may run (`scheduling`) the migration of the schema runs, too.
    #[serde(default)]
    pub api: Workload,
    /// The writers of messages. More than there are ingest queues have nothing to do.
    #[serde(default)]
    pub message_service: Workload,
    /// Decides whom a message notifies.
    #[serde(default)]
    pub notification_service: Workload,
    /// Where messages are kept: PostgreSQL.
    pub messages: Messages,
    /// Where users, sessions, friendships and lists of rooms are kept: PostgreSQL.
    #[serde(default)]
    pub directory: Directory,
    /// What carries commands and events: RabbitMQ.
    #[serde(default)]
    pub broker: Broker,
    /// What holds presence and other news that may be lost: Redis.
    #[serde(default)]
    pub cache: Cache,
    /// Who may come in.
    #[serde(default)]
    pub auth: Auth,
    /// What one user may do.
    #[serde(default)]
    pub limits: Limits,
}
