//! How many replicas there are, and who says so: exactly one does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Pod, rules};

/// Who says how many replicas there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ScalingType {
    /// This resource.
    #[default]
    Fixed,
    /// A HorizontalPodAutoscaler that the operator makes.
    Autoscale,
    /// You, or an autoscaler of yours: the operator writes a number once, when it makes the Deployment, and never again.
    External,
}

/// A number of replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fixed {
    /// How many.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: u32,
}

/// By how much replicas may change in a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingDirection {
    /// Replicas that may come or go within `periodSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub pods: Option<u32>,
    /// Percent of the replicas that may come or go within `periodSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub percent: Option<u32>,
    /// The time the two are about, seconds. Left out: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: Option<u32>,
    /// The strongest wish of this time counts, so that a short swing changes nothing, seconds. Left out: 0 upwards, 300
    /// downwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<u32>,
}

/// How fast replicas come and go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingBehavior {
    /// More replicas. Left out: at most twice as many each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingDirection>,
    /// Fewer replicas. Left out: one a minute, as its connections must find another place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingDirection>,
}

/// Chat servers follow their connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAutoscale {
    /// Fewest replicas.
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: u32,
    /// Most replicas.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: u32,
    /// Connections one replica holds on average: above it another comes.
    #[serde(default = "GatewayAutoscale::target")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub target_connections: u32,
    /// Another replica also comes when the mean use of processors is above this, in percent of `resources.requests.cpu`.
    /// Left out, it does not count: one metric that cannot be read stops every scale-down.
    #[serde(default, rename = "targetCPUUtilization", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub target_cpu_utilization: Option<u32>,
    /// How fast replicas come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<ScalingBehavior>,
}

impl GatewayAutoscale {
    const fn target() -> u32 {
        20_000
    }
}

/// Replicas follow the use of processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Autoscale {
    /// Fewest replicas.
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: u32,
    /// Most replicas.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: u32,
    /// Another replica comes when the mean use of processors is above this, in percent of `resources.requests.cpu`.
    #[serde(default = "Autoscale::target", rename = "targetCPUUtilization")]
    #[schemars(range(min = 1, max = 100))]
    pub target_cpu_utilization: u32,
    /// How fast replicas come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<ScalingBehavior>,
}

impl Autoscale {
    const fn target() -> u32 {
        70
    }
}

/// How many chat servers there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::SCALING))]
pub struct GatewayScaling {
    /// Who says how many: Fixed, Autoscale or External, with the member of that name.
    #[serde(rename = "type")]
    pub kind: ScalingType,
    /// A number. With type Fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Fixed>,
    /// As many as the connections ask for. With type Autoscale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<GatewayAutoscale>,
}

/// How many replicas there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::SCALING))]
pub struct Scaling {
    /// Who says how many: Fixed, Autoscale or External, with the member of that name.
    #[serde(rename = "type")]
    pub kind: ScalingType,
    /// A number. With type Fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Fixed>,
    /// As many as the use of processors asks for. With type Autoscale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
}

/// A replica that goes hands its connections over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Time over which a replica that stops closes its connections, so that they do not all come back at once: 45s.
    #[serde(default = "Drain::default_period")]
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-validations" = rules::DRAIN_PERIOD))]
    pub period: String,
}

impl Drain {
    fn default_period() -> String {
        "45s".to_owned()
    }

    /// In whole seconds. The rule of the field lets nothing else through; what it refuses counts as its default.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let number = |suffix| self.period.strip_suffix(suffix).and_then(|number: &str| number.parse::<u64>().ok());
        number('s').or_else(|| number('m').map(|minutes| minutes * 60)).unwrap_or(45)
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { period: Self::default_period() }
    }
}

/// The chat servers, which hold everyone's connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::GATEWAY))]
pub struct Gateway {
    /// How many replicas there are. Left out: a fixed number that `klatch plan` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<GatewayScaling>,
    /// Connections one replica takes; whoever comes above it is asked to try another. Some 10 KB of memory each.
    #[serde(default = "Gateway::most_connections")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections_per_replica: u32,
    /// A replica that goes hands its connections over.
    #[serde(default)]
    pub drain: Drain,
    /// Resources, scheduling and metadata of the pods.
    #[serde(flatten)]
    pub pod: Pod,
}

impl Gateway {
    const fn most_connections() -> u32 {
        40_000
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            scaling: None,
            max_connections_per_replica: Self::most_connections(),
            drain: Drain::default(),
            pod: Pod::default(),
        }
    }
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// How many replicas there are. Left out: a fixed number that `klatch plan` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// Resources, scheduling and metadata of the pods.
    #[serde(flatten)]
    pub pod: Pod,
}
