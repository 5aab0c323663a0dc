//! The kinds of objects that the operator owns, and what it may do with them.

use kube_client::core::{ApiResource, GroupVersionKind};

/// A kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// `Deployment`.
    pub name: &'static str,
    /// `apps`; empty for Kubernetes' core.
    pub group: &'static str,
    /// `v1`.
    pub version: &'static str,
    /// `deployments`.
    pub plural: &'static str,
    /// Whether an object of it that is wanted no more is deleted. What holds data never is.
    pub pruned: bool,
    /// Whether its status opens a gate: then every change of it is news.
    pub gate: bool,
}

const fn kind(
    name: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    pruned: bool,
    gate: bool,
) -> Kind {
    Kind { name, group, version, plural, pruned, gate }
}

/// What is listed at each pass. A kind that is not here is never written.
pub static KINDS: [Kind; 12] = [
    kind("ServiceAccount", "", "v1", "serviceaccounts", false, false),
    kind("ConfigMap", "", "v1", "configmaps", true, false),
    kind("Service", "", "v1", "services", true, false),
    kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies", false, false),
    kind("StatefulSet", "apps", "v1", "statefulsets", true, true),
    kind("Job", "batch", "v1", "jobs", true, true),
    kind("Deployment", "apps", "v1", "deployments", false, true),
    kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets", true, false),
    kind("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers", true, false),
    kind("Ingress", "networking.k8s.io", "v1", "ingresses", true, false),
    kind("HTTPRoute", "gateway.networking.k8s.io", "v1", "httproutes", true, false),
    kind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims", false, false),
];

/// A kind that only some clusters know.
pub const OPTIONAL: &str = "HTTPRoute";

impl Kind {
    /// The kind of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// As the client wants it.
    #[must_use]
    pub fn resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.name);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }
}
