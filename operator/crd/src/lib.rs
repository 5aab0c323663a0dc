//! What the user writes: the custom resource `ChatCluster`, the rules it must keep to, and the status it shows.
//!
//! The rules stand in the schema, once, as CEL: the apiserver runs them on every write, and [`check`] runs the same ones
//! offline, so the two cannot drift apart. No client is reachable from here.

mod broker;
mod cache;
pub mod check;
mod cluster;
mod connection;
mod definition;
mod endpoint;
mod image;
mod messages;
mod quantity;
mod rules;
mod scaling;
mod status;
mod workload;

pub use broker::{Broker, BrokerAddress, ExternalBroker, ManagedBroker, Management, Topology};
pub use cache::{Cache, CacheAddress, CacheMode, ExternalCache, ManagedCache};
pub use check::{Checker, Refusal, read_manifest};
pub use cluster::{Auth, ChatCluster, ChatClusterSpec, DeletionPolicy, Limits, SignUp};
pub use connection::{Encryption, Pooler, PostgresConnection, SecretReference, Tls};
pub use definition::{FILE, definition, definition_yaml};
pub use endpoint::{Endpoint, EndpointTls, EndpointType, HttpRouteOptions, IngressOptions, ParentReference};
pub use image::{Image, PullPolicy, PullSecret};
pub use messages::{
    Directory, ExternalDirectory, ExternalShard, ExternalShards, ManagedPostgres, Messages, ShardSet, Storage,
};
pub use quantity::Quantity;
pub use scaling::{
    Autoscale, Drain, Fixed, Gateway, GatewayAutoscale, GatewayScaling, Scaling, ScalingBehavior, ScalingDirection,
    ScalingType, Workload,
};
pub use status::{ChatClusterStatus, Endpoint as StatusEndpoint, GatewayStatus, MessagesStatus, ShardStatus};
pub use workload::{Amounts, Pod, PodMetadata, Resources, Scheduling, Toleration};

/// The API group.
pub const GROUP: &str = "klatch.dev";
/// The version of the API.
pub const VERSION: &str = "v1alpha1";

/// Who runs a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub enum Provider {
    /// The operator.
    #[default]
    Managed,
    /// Somebody else; it is only used.
    External,
}
