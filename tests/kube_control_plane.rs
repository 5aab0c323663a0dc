//! The ground itself: a control plane starts, is used up, and leaves nothing.

use klatch_tests::{
    kube::control_plane::{ControlPlane, Start, Which},
    services::tree::is_alive,
};

const CONFIG_MAP: &str = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}"#;

#[test]
fn what_was_stored_is_there_when_its_parts_were_killed_and_nothing_is_left_at_the_end() {
    let mut plane = ControlPlane::start(Start::default());
    let kubectl = plane.kubectl();
    kubectl.must_with(&["create", "-f", "-"], CONFIG_MAP);
    plane.kill(Which::Apiserver);
    assert!(!kubectl.run(&["get", "configmap", "kept"]).success);
    plane.kill(Which::Etcd);
    plane.restart(&[Which::Etcd, Which::Apiserver]);
    kubectl.must(&["get", "configmap", "kept"]);

    let (pids, folder) = ([plane.pid(Which::Etcd), plane.pid(Which::Apiserver)], plane.kubeconfig());
    drop(plane);
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    assert!(!folder.parent().unwrap().exists());
}

#[test]
fn the_audit_log_says_who_asked_for_what() {
    let plane = ControlPlane::shared();
    let (kubectl, namespace) = (plane.kubectl(), plane.namespace());
    kubectl.must_with(&["create", "--namespace", &namespace, "-f", "-"], CONFIG_MAP);
    let requests = plane.requests();
    let created =
        requests.iter().find(|one| one.namespace == namespace && one.resource == "configmaps" && one.user == "admin");
    let created = created.expect("the creation is written down");
    assert_eq!((created.verb.as_str(), created.status), ("create", 201));
}

#[test]
fn namespaces_go_and_owned_objects_go_with_their_owner() {
    let plane = ControlPlane::shared();
    let (kubectl, namespace) = (plane.kubectl(), plane.namespace());
    kubectl.must_with(&["create", "--namespace", &namespace, "-f", "-"], CONFIG_MAP);
    kubectl.must(&["delete", "namespace", &namespace, "--wait", "--timeout=60s"]);
}
