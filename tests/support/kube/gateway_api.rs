//! The Gateway API, which is no part of Kubernetes.

use super::{built, kubectl::Kubectl};

/// From now on this Kubernetes knows HTTPRoutes and Gateways.
///
/// # Panics
/// When it refuses them.
pub fn create(kubectl: &Kubectl) {
    let file = built("gateway-api.yaml");
    kubectl.must(&["create", "-f", &file.display().to_string()]);
    kubectl.must(&["wait", "--for=condition=Established", "--timeout=60s", "crd/httproutes.gateway.networking.k8s.io"]);
}
