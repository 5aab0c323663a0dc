//! The operator's binary and its metrics API, with the rights of the chart and no others.

use klatch_tests::{
    kube::{
        control_plane::Start,
        operator::{OperatorProcess, kubeconfig_of_account, until},
        rights::{check_nothing_was_refused, granted, used},
        scene::{Scene, plane},
    },
    services::process::free_port,
};
use rustix::process::Signal;
use serde_json::Value;

/// The chart's role for it.
const ROLE: &str = "klatch-klatch-operator-metrics";
/// What it is about.
const GROUPS: [&str; 3] = ["apiregistration.k8s.io", "authorization.k8s.io", "rbac.authorization.k8s.io"];
/// Somebody who may see connections and nothing else.
const READER: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"},
     "rules": [{"apiGroups": ["custom.metrics.k8s.io"], "resources": ["pods/connections"], "verbs": ["get"]}]},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
     "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}]}]}"#;

/// By the rights of the chart it registers its metrics API, and answers; when it is told to go, the registration is gone before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_metrics_api_comes_and_goes_with_it() {
    let plane = plane(Start::default());
    let scene = Scene::new(&plane).await;
    let (_folder, kubeconfig) = kubeconfig_of_account(&plane);
    // There is no kube-proxy: the Service leads to this machine.
    plane.kubectl().must(&["delete", "service", "klatch-operator", "--namespace=klatch"]);
    let outside = ["create", "service", "externalname", "klatch-operator", "--external-name=localhost"];
    plane.kubectl().must(&[&outside[..], &["--namespace=klatch"]].concat());
    let port = free_port();
    let mut process = OperatorProcess::start(
        &kubeconfig,
        &[&scene.namespace],
        &[
            "--metrics-api=auto".to_owned(),
            format!("--metrics-api-listen=127.0.0.1:{port}"),
            format!("--metrics-api-port={port}"),
            "--metrics-api-owner=klatch-klatch-operator-metrics".to_owned(),
        ],
    );
    let values = format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/{}/pods/*/connections", scene.namespace);
    plane.kubectl().must_with(&["create", "-f", "-"], READER);
    until("it answers", async || plane.kubectl().run(&["get", "--raw", &values, "--as=reader"]).success).await;
    process.tell(Signal::TERM);
    until("it is gone", async || process.has_ended()).await;
    let left = plane.kubectl().must(&["get", "apiservice", "v1beta2.custom.metrics.k8s.io", "--ignore-not-found"]);
    assert_eq!(left, "", "its registration is left");
    let requests = plane.requests();
    check_nothing_was_refused(&requests);
    let role = plane.kubectl().must(&["get", "clusterrole", ROLE, "-o", "json"]);
    let role: Value = serde_json::from_str(&role).unwrap();
    let used = used(&requests, |one| GROUPS.contains(&one.group.as_str()));
    assert_eq!(used, granted([&role]), "rights of the role for metrics");
}
