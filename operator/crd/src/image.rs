//! Where images come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// When a node asks its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// When it has no image of that name.
    #[default]
    IfNotPresent,
    /// For every new pod.
    Always,
    /// Never: the images are on the nodes.
    Never,
}

/// Where the images of all pods come from, those of Managed parts too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// A registry of your own, such as registry.example.org/mirror, which stands before the name of every image: klatch:VERSION,
    /// postgres:17, rabbitmq:4, redis:8. An image that names its own registry is left alone. Left out: names as they are.
    #[serde(default)]
    #[schemars(length(max = 255), extend("x-kubernetes-validations" = rules::REGISTRY))]
    pub registry: String,
    /// When a node asks the registry: IfNotPresent, Always, Never.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Secrets of this namespace that sign in to the registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub pull_secrets: Vec<PullSecret>,
}

/// A Secret of type kubernetes.io/dockerconfigjson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullSecret {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
