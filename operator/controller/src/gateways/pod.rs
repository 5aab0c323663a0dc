//! A chat server, as far as numbers about it need it.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::api::core::v1::Pod;
use klatch_desired::{LABEL_COMPONENT, LABEL_INSTANCE, MANAGER, Role};

use crate::Key;

/// What a ReplicaSet deletes first, beside what is not ready
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost>).
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// The port whose `/metrics` tells of a pod, by its name in the pod.
const ADMIN: &str = "admin";

/// A pod of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPod {
    /// Whose it is.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Its identity: a namesake that comes later has another.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its address, once it has one.
    pub ip: Option<IpAddr>,
    /// Where it tells of itself.
    pub port: Option<u16>,
    /// Whether it runs: neither waiting for a node, nor ended, nor asked to end.
    pub running: bool,
    /// What its annotation [`DELETION_COST`] says.
    pub cost: Option<i64>,
}

impl GatewayPod {
    /// By which labels the pods of all gateways are found.
    #[must_use]
    pub fn selector() -> String {
        format!("app.kubernetes.io/managed-by={MANAGER},{LABEL_COMPONENT}={}", Role::Gateway.name())
    }

    /// From a pod that the selector has found.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        let labels = pod.metadata.labels.clone()?;
        let key = Key { namespace: pod.metadata.namespace.clone()?, name: labels.get(LABEL_INSTANCE)?.clone() };
        let status = pod.status.as_ref();
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let admin = containers
            .flat_map(|container| container.ports.iter().flatten())
            .find(|port| port.name.as_deref() == Some(ADMIN));
        let phase = status.and_then(|status| status.phase.as_deref());
        let cost = pod.metadata.annotations.as_ref().and_then(|all| all.get(DELETION_COST));
        Some(Self {
            key,
            name: pod.metadata.name.clone()?,
            uid: pod.metadata.uid.clone()?,
            ip: status.and_then(|status| status.pod_ip.as_ref()?.parse().ok()),
            port: admin.and_then(|port| u16::try_from(port.container_port).ok()),
            running: phase == Some("Running") && pod.metadata.deletion_timestamp.is_none(),
            cost: cost.and_then(|text| text.parse().ok()),
            labels,
        })
    }
}
