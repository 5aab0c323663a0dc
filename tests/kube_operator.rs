//! The operator on a real apiserver, with a stand-in that says of everything that it is ready.

use std::collections::BTreeSet;

use klatch_controller::{kind::KINDS, pass::pass, plan::stamp::APPLIED};
use klatch_tests::kube::{
    fuse::{Fuse, Point},
    scene::{Scene, quiet_plane},
    snapshot::{snapshot, treasures},
    stand_in::{Jobs, list},
};
use serde_json::json;

#[tokio::test]
async fn ten_lines_become_a_cluster_that_says_so() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let status = scene.status().await;
    assert!(scene.condition("Ready").await.0, "{status:#?}");
    for kind in ["GatewayReady", "MessagesReady", "DirectoryReady", "BrokerReady", "CacheReady", "SchemaMigrated"] {
        assert!(scene.condition(kind).await.0, "{kind}: {status:#?}");
    }
    assert_eq!(scene.condition("HighlyAvailable").await.1, "SingleInstance");
    assert!(!scene.condition("Stalled").await.0);
    assert_eq!(status.version.as_deref(), Some("0.1.0"));
    assert_eq!(status.endpoints[0].url, "https://chat.example.com");
    assert_eq!(status.gateway.unwrap().ready_replicas, 2);
    let columns = scene.must(&["get", "chat"]);
    assert!(columns.contains("True") && columns.contains("https://chat.example.com"), "{columns}");
    assert!(scene.brokers.shown().contains("ingest.7"), "{}", scene.brokers.shown());
    let events = scene.must(&["get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert!(events.contains("Ready"), "{events}");
    // Replicas belong to a manager of their own.
    let replicas = scene.must(&["get", "deployment", "chat-gateway", "-o", "jsonpath={.spec.replicas}"]);
    assert_eq!(replicas, "2");
}

#[tokio::test]
async fn what_stands_is_left_alone() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    for _ in 0..3 {
        let fuse = scene.converge(Point::Never).await;
        assert_eq!(fuse.writes(), [], "a new operator finds nothing to do");
    }
}

/// Every kind but Secrets and volumes: an object deleted, or changed, is back with the same hash.
#[tokio::test]
async fn whatever_is_deleted_or_changed_by_hand_comes_back() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let (uid, before) = (scene.identity(), treasures(&scene.client, &scene.namespace).await);
    let whole = snapshot(&scene.client, &scene.namespace, &uid).await;
    for kind in KINDS.iter().filter(|kind| !["HTTPRoute", "PersistentVolumeClaim"].contains(&kind.name)) {
        for live in list(&scene.client, &scene.namespace, kind).await {
            if live.annotation(APPLIED).is_some() {
                scene.must(&["delete", kind.plural, live.name()]);
            }
        }
    }
    scene.converge(Point::Never).await;
    assert_eq!(snapshot(&scene.client, &scene.namespace, &uid).await, whole, "after a deletion of everything");
    for (kind, name, edit) in [
        ("deployment", "chat-api", json!({"spec": {"minReadySeconds": 1}})),
        ("deployment", "chat-gateway", json!({"spec": {"replicas": 7}})),
        ("service", "chat-gateway", json!({"spec": {"selector": {"app.kubernetes.io/component": "api"}}})),
        ("networkpolicy", "chat-default-deny", json!({"spec": {"ingress": [{}]}})),
        ("statefulset", "chat-redis", json!({"spec": {"replicas": 0}})),
        ("serviceaccount", "chat-api", json!({"automountServiceAccountToken": true})),
        ("ingress", "chat", json!({"spec": {"rules": [{"host": "evil.example.com"}]}})),
        ("poddisruptionbudget", "chat-api", json!({"spec": {"maxUnavailable": 2}})),
        (
            "deployment",
            "chat-message-service",
            json!({"metadata": {"labels": {"app.kubernetes.io/instance": "other"}}}),
        ),
        ("deployment", "chat-message-service", json!({"metadata": {"annotations": {APPLIED: "x"}}})),
        ("service", "chat-api", json!({"metadata": {"ownerReferences": null}})),
    ] {
        scene.must(&["patch", kind, name, "--type=merge", "-p", &edit.to_string()]);
        let fuse = scene.converge(Point::Never).await;
        assert!(!fuse.writes().is_empty(), "{kind} {name} {edit} was seen");
        assert_eq!(snapshot(&scene.client, &scene.namespace, &uid).await, whole, "{kind} {name} {edit}");
    }
    assert_eq!(treasures(&scene.client, &scene.namespace).await, before, "no Secret has changed");
}

/// One that anybody can make anew, and two that open data.
#[tokio::test]
async fn secrets_that_lost_their_labels_are_found_by_name_and_get_them_back() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    scene.make_claim("chat-postgres-directory", None);
    let (names, before) =
        (["chat-redis", "chat-postgres", "chat-database-logins"], treasures(&scene.client, &scene.namespace).await);
    for name in names {
        scene.must(&["patch", "secret", name, "--type=merge", "-p", r#"{"metadata": {"labels": null}}"#]);
    }
    scene.converge(Point::Never).await;
    assert!(scene.is_ready().await, "{:?}", scene.condition("Stalled").await);
    assert_eq!(treasures(&scene.client, &scene.namespace).await, before, "they are what they were");
    for name in names {
        let labels = scene.must(&["get", "secret", name, "-o", "jsonpath={.metadata.labels}"]);
        assert!(labels.contains(r#""app.kubernetes.io/instance":"chat""#), "{name}: {labels}");
    }
    // What is really gone is told of, and not made anew.
    scene.must(&["delete", "secret", "chat-database-logins"]);
    scene.passes(2, Jobs::Complete).await;
    assert_eq!(scene.condition("Stalled").await.1, "SecretLost");
}

/// A change that does not roll out, and several tries to mend it: pods of before serve, and may have to be started again.
#[tokio::test]
async fn configurations_in_use_stay_while_a_rollout_hangs() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let files = || {
        let listed = scene.must(&["get", "configmap", "-l", "app.kubernetes.io/component=api", "-o", "name"]);
        listed.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let before = files();
    let operator = scene.operator(&Fuse::at(Point::Never));
    for limit in 5..11 {
        let change = json!({"spec": {"limits": {"messagesPerSecond": limit}}}).to_string();
        scene.must(&["patch", "chat", "chat", "--type=merge", "-p", &change]);
        // No pod becomes ready.
        for _ in 0..6 {
            pass(&operator, &scene.key()).await;
        }
    }
    let hanging = files();
    assert!(hanging.is_superset(&before), "{before:?} is gone: {hanging:?}");
    scene.converge(Point::Never).await;
    let kept = files();
    assert!(kept.len() < hanging.len(), "once all stands, old ones go: {kept:?}");
}

#[tokio::test]
async fn what_is_deleted_on_a_broker_comes_back() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let before = scene.brokers.shown();
    for part in ["events.lane.3", "queues", "permissions", "users", "bindings", "vhosts"] {
        scene.brokers.delete(part);
        scene.converge(Point::Never).await;
        assert_eq!(scene.brokers.shown(), before, "{part}");
    }
}

/// A, then B, then A again: every object is as if B had never been.
#[tokio::test]
async fn there_and_back_again_leaves_no_trace() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let uid = scene.identity();
    let whole = snapshot(&scene.client, &scene.namespace, &uid).await;
    for change in [
        json!({"spec": {"gateway": {"scaling": {"type": "Autoscale", "autoscale": {"minReplicas": 3, "maxReplicas": 9}}}}}),
        json!({"spec": {"endpoint": {"type": "None", "hosts": null, "tls": null}}}),
        json!({"spec": {"limits": {"messagesPerSecond": 5}}}),
        json!({"spec": {"api": {"scaling": {"type": "Fixed", "fixed": {"replicas": 1}}}}}),
        json!({"spec": {"deletionPolicy": "Delete"}}),
    ] {
        let text = scene.must(&["get", "chat", "chat", "-o", "json"]);
        let mut original: serde_json::Value = serde_json::from_str(&text).unwrap();
        scene.must(&["patch", "chat", "chat", "--type=merge", "-p", &change.to_string()]);
        scene.converge(Point::Never).await;
        assert_ne!(snapshot(&scene.client, &scene.namespace, &uid).await, whole, "{change} is one");
        let metadata = original["metadata"].as_object_mut().unwrap();
        metadata.retain(|name, _| name == "name");
        original.as_object_mut().unwrap().remove("status");
        scene.kubectl.must_with(&["replace", "--namespace", &scene.namespace, "-f", "-"], &original.to_string());
        scene.converge(Point::Never).await;
        let again = snapshot(&scene.client, &scene.namespace, &uid).await;
        assert_eq!(without_old_files(&again, &whole), whole, "{change}");
    }
}

/// Configurations are kept for a while.
fn without_old_files(text: &str, whole: &str) -> String {
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("ConfigMap") || whole.contains(line)).collect();
    kept.join("\n")
}
