//! Replicas have exactly one writer, and autoscalers are told what to look at.

use k8s_openapi::{
    api::autoscaling::v2::{
        CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
        HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget,
        PodsMetricSource, ResourceMetricSource,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use klatch_crd::{ScalingBehavior, ScalingDirection, ScalingType};

use crate::{Context, Object, Role, object::metadata, size};

/// The metric chat servers are scaled by: WebSockets of a pod, served by the operator's custom metrics API.
pub const CONNECTIONS: &str = "connections";

/// Who writes a Deployment's replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The operator, always.
    Operator,
    /// The operator once, when it makes the Deployment; then an autoscaler, or the user.
    SeedOnly,
}

/// Replicas of a Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    /// The Deployment.
    pub deployment: String,
    /// How many.
    pub replicas: u32,
    /// Who writes them.
    pub writer: Writer,
}

fn kind(context: &Context<'_>, role: Role) -> ScalingType {
    if role == Role::Gateway {
        return context.spec().gateway.scaling.as_ref().map_or(ScalingType::Fixed, |scaling| scaling.kind);
    }
    size::scaling(context.cluster, role).map_or(ScalingType::Fixed, |scaling| scaling.kind)
}

pub(crate) fn replicas(context: &Context<'_>) -> Vec<Replicas> {
    let of = |role| Replicas {
        deployment: context.names.role(role),
        replicas: context.sizes.of(role).least,
        writer: if kind(context, role) == ScalingType::Fixed { Writer::Operator } else { Writer::SeedOnly },
    };
    Role::WORKLOADS.into_iter().map(of).collect()
}

/// An autoscaler for each workload that wants one.
pub(crate) fn autoscalers(context: &Context<'_>) -> Vec<Object> {
    Role::WORKLOADS.into_iter().filter_map(|role| autoscaler(context, role)).collect()
}

fn autoscaler(context: &Context<'_>, role: Role) -> Option<Object> {
    if kind(context, role) != ScalingType::Autoscale {
        return None;
    }
    let (mut metrics, behavior) = (Vec::new(), metrics_of(context, role)?);
    metrics.extend(behavior.0);
    let size = context.sizes.of(role);
    Some(Object::new(&HorizontalPodAutoscaler {
        metadata: metadata(context, context.names.role(role), context.names.role_labels(role)),
        spec: HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: context.names.role(role),
            },
            min_replicas: Some(whole(size.least)),
            max_replicas: whole(size.most),
            metrics: Some(metrics),
            behavior: Some(behaviour(behavior.1)),
        },
        status: None,
    }))
}

/// What is looked at, and how fast it may change.
fn metrics_of<'a>(context: &'a Context<'_>, role: Role) -> Option<(Vec<MetricSpec>, Option<&'a ScalingBehavior>)> {
    if role == Role::Gateway {
        let autoscale = context.spec().gateway.scaling.as_ref()?.autoscale.as_ref()?;
        let mut metrics = vec![connections(autoscale.target_connections)];
        metrics.extend(autoscale.target_cpu_utilization.map(processors));
        return Some((metrics, autoscale.behavior.as_ref()));
    }
    let autoscale = size::scaling(context.cluster, role)?.autoscale.as_ref()?;
    Some((vec![processors(autoscale.target_cpu_utilization)], autoscale.behavior.as_ref()))
}

fn connections(target: u32) -> MetricSpec {
    MetricSpec {
        type_: "Pods".to_owned(),
        pods: Some(PodsMetricSource {
            metric: MetricIdentifier { name: CONNECTIONS.to_owned(), selector: None },
            target: MetricTarget {
                type_: "AverageValue".to_owned(),
                average_value: Some(Quantity(target.to_string())),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

fn processors(percent: u32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: "cpu".to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(whole(percent)),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

fn behaviour(said: Option<&ScalingBehavior>) -> HorizontalPodAutoscalerBehavior {
    let up = said.and_then(|one| one.scale_up.as_ref());
    let down = said.and_then(|one| one.scale_down.as_ref());
    let twice = ScalingDirection { percent: Some(100), ..ScalingDirection::default() };
    let single = ScalingDirection { pods: Some(1), ..ScalingDirection::default() };
    HorizontalPodAutoscalerBehavior {
        scale_up: Some(direction(up, &twice, 0)),
        scale_down: Some(direction(down, &single, 300)),
    }
}

/// What is left out is ours: without policies Kubernetes takes its own, which let all replicas go within 15 s. Pods and percent
/// are one pace together.
fn direction(said: Option<&ScalingDirection>, default: &ScalingDirection, window: u32) -> HPAScalingRules {
    let paced = said.filter(|one| one.pods.is_some() || one.percent.is_some()).unwrap_or(default);
    let period = said.and_then(|one| one.period_seconds).unwrap_or(60);
    let policy = |kind: &str, value: Option<u32>| {
        value.map(|value| HPAScalingPolicy {
            type_: kind.to_owned(),
            value: whole(value),
            period_seconds: whole(period),
        })
    };
    let policies = [policy("Pods", paced.pods), policy("Percent", paced.percent)].into_iter().flatten().collect();
    let window = said.and_then(|one| one.stabilization_window_seconds).unwrap_or(window);
    HPAScalingRules {
        stabilization_window_seconds: Some(whole(window)),
        policies: Some(policies),
        ..HPAScalingRules::default()
    }
}

/// Kubernetes counts with signed numbers; ours are bounded far below.
pub(crate) fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
