//! The operator's binary and its metrics API, with the rights of the chart and no others.

use std::collections::BTreeSet;

use klatch_tests::{
    kube::{
        audit::Request,
        control_plane::{ControlPlane, Start},
        scene::{Scene, plane},
    },
    services::process::free_port,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::kube_process::{ACCOUNT, Process, kubeconfig_of_account, until};

/// The chart's role for it.
const ROLE: &str = "klatch-klatch-operator-metrics";
/// Somebody who may see connections and nothing else.
const READER: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"},
     "rules": [{"apiGroups": ["custom.metrics.k8s.io"], "resources": ["pods/connections"], "verbs": ["get"]}]},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
     "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}]}]}"#;

/// Group, resource, verb.
type Right = (String, String, String);

fn granted(plane: &ControlPlane) -> BTreeSet<Right> {
    let role = plane.kubectl().must(&["get", "clusterrole", ROLE, "-o", "json"]);
    let role: Value = serde_json::from_str(&role).unwrap();
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let text = |field: &str| rule[field][0].as_str().unwrap().to_owned();
        let verbs = rule["verbs"].as_array().unwrap().iter().map(|verb| verb.as_str().unwrap().to_owned());
        rights.extend(verbs.map(|verb| (text("apiGroups"), text("resources"), verb)));
    }
    rights
}

/// What was asked for of those groups. An apply that makes an object takes the right to create it, too.
fn used(requests: &[Request]) -> BTreeSet<Right> {
    let groups = ["apiregistration.k8s.io", "authorization.k8s.io", "rbac.authorization.k8s.io"];
    let ours = requests.iter().filter(|one| one.user == ACCOUNT && groups.contains(&one.group.as_str()));
    let of = |one: &Request| {
        let created = (one.verb == "patch" && one.status == 201).then_some("create");
        let verbs = [Some(one.verb.as_str()), created].into_iter().flatten();
        verbs.map(|verb| (one.group.clone(), one.resource.clone(), verb.to_owned())).collect::<Vec<_>>()
    };
    ours.flat_map(of).collect()
}

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
    let mut process = Process::start_with(
        &kubeconfig,
        &scene.namespace,
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
    let refused: Vec<_> = plane.requests().into_iter().filter(|one| one.user == ACCOUNT && one.status == 403).collect();
    assert!(refused.is_empty(), "the chart grants too little: {refused:#?}");
    assert_eq!(used(&plane.requests()), granted(&plane), "rights of the role for metrics");
}
