//! What the operator does not do, and what it says instead.

use klatch_controller::plan::{data::ADOPT, outcome::SETTLED_EVERY};
use klatch_tests::kube::{
    fuse::{Fuse, Point},
    scene::{Scene, quiet_plane},
    snapshot::treasures,
    stand_in::Jobs,
};
use serde_json::json;

#[tokio::test]
async fn a_missing_secret_is_named_and_found_when_it_comes() {
    let scene = Scene::new(quiet_plane()).await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/chatcluster/good/ten-lines.yaml");
    scene.apply(&std::fs::read_to_string(file).unwrap());
    scene.passes(12, Jobs::Complete).await;
    let (stalled, reason, message) = scene.condition("Stalled").await;
    assert!(stalled && reason == "SecretMissing" && message.contains("chat-tls"), "{reason}: {message}");
    scene.must(&["get", "ingress", "chat"]);
    scene.make_tls();
    scene.converge(Point::Never).await;
    assert!(scene.condition("Ready").await.0);
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_touched() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply(r#"{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "chat-api", "labels": {"theirs": "yes"}}}"#);
    let before = scene.must(&["get", "serviceaccount", "chat-api", "-o", "yaml"]);
    scene.apply_ten_lines();
    scene.passes(5, Jobs::Complete).await;
    let (stalled, reason, message) = scene.condition("Stalled").await;
    assert!(stalled && reason == "ForeignObject" && message.contains("ServiceAccount chat-api"), "{reason}: {message}");
    assert_eq!(scene.must(&["get", "serviceaccount", "chat-api", "-o", "yaml"]), before);
    scene.must(&["delete", "serviceaccount", "chat-api"]);
    scene.converge(Point::Never).await;
}

/// With and without the label that a Helm release of the same name puts on what it makes.
#[tokio::test]
async fn a_foreign_secret_is_not_taken_for_ours() {
    for labels in [json!({}), json!({"app.kubernetes.io/instance": "chat", "app.kubernetes.io/managed-by": "Helm"})] {
        let scene = Scene::new(quiet_plane()).await;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "chat-redis", "labels": labels},
            "stringData": {"a": "theirs"},
        });
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data-of-theirs", "labels": labels},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        });
        scene.apply(&secret.to_string());
        scene.apply(&volume.to_string());
        let seen = || {
            scene.must(&[
                "get",
                "secret/chat-redis",
                "pvc/data-of-theirs",
                "-o",
                "jsonpath={.items[*].metadata.resourceVersion}",
            ])
        };
        let before = seen();
        scene.apply_ten_lines();
        scene.passes(3, Jobs::Complete).await;
        let (stalled, reason, message) = scene.condition("Stalled").await;
        assert!(stalled && reason == "ForeignObject" && message.contains("Secret chat-redis"), "{reason}: {message}");
        assert_eq!(seen(), before, "nothing was written to what is theirs");
        scene.must(&["delete", "secret", "chat-redis"]);
        scene.converge(Point::Never).await;
        assert!(scene.is_ready().await, "their volume is no data of ours");
    }
}

#[tokio::test]
async fn while_it_is_paused_nothing_is_written_but_the_status() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.must(&["patch", "chat", "chat", "--type=merge", "-p", r#"{"spec": {"paused": true}}"#]);
    let fuse = scene.converge(Point::Never).await;
    assert!(fuse.writes().iter().all(|call| call.kind == "chatclusters/status"), "{:?}", fuse.writes());
    assert!(scene.condition("Paused").await.0);
    scene.must(&["patch", "chat", "chat", "--type=merge", "-p", r#"{"spec": {"paused": false}}"#]);
    scene.converge(Point::Never).await;
    assert!(scene.condition("Ready").await.0 && !scene.condition("Paused").await.0);
}

#[tokio::test]
async fn a_migration_that_fails_keeps_every_pod_and_names_why() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    // Servers start by our own program: the image that the Job shows to be there.
    let pods = || {
        let images = "jsonpath={.items[*].spec.template.spec['initContainers','containers'][*].image}";
        scene.must(&["get", "deployments,statefulsets", "-o", images])
    };
    let before = pods();
    scene.must(&["patch", "chat", "chat", "--type=merge", "-p", r#"{"spec": {"version": "0.2.0"}}"#]);
    scene.passes(8, Jobs::Fail("0007_broken.sql: syntax error")).await;
    let (migrated, reason, message) = scene.condition("SchemaMigrated").await;
    assert!(!migrated && reason == "MigrationFailed" && message.contains("0007_broken.sql"), "{reason}: {message}");
    assert_eq!(pods(), before, "no workload and no server was replaced");
    assert_eq!(scene.status().await.version.as_deref(), Some("0.1.0"));
    scene.must(&["patch", "chat", "chat", "--type=merge", "-p", r#"{"spec": {"version": "0.2.1"}}"#]);
    scene.converge(Point::Never).await;
    assert!(pods().contains("klatch:0.2.1") && !pods().contains("klatch:0.1.0"), "{}", pods());
    assert_eq!(scene.must(&["get", "jobs", "-o", "name"]).lines().count(), 1, "the failed one is gone by itself");
}

/// A class that enlarges nothing, or a quota: everything else goes on, and the status says which volume it is.
#[tokio::test]
async fn a_volume_that_is_not_enlarged_keeps_nothing_else_waiting() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    scene.make_bound_claim("chat-postgres-directory", false);
    let settings = || scene.must(&["get", "deployment", "chat-gateway", "-o", "jsonpath={.metadata.generation}"]);
    let before = settings();
    let change =
        r#"{"spec": {"directory": {"managed": {"storage": {"size": "70Gi"}}}, "limits": {"messagesPerSecond": 7}}}"#;
    scene.must(&["patch", "chat", "chat", "--type=merge", "-p", change]);
    // The server is made anew around its pod all the same: a claim that is made later is as large as wanted.
    scene.passes(2, Jobs::Complete).await;
    scene.let_go("statefulset", "chat-postgres-directory");
    scene.passes(8, Jobs::Complete).await;
    let (stalled, reason, message) = scene.condition("Stalled").await;
    assert!(stalled && reason == "VolumeNotEnlarged", "{reason}: {message}");
    assert!(message.contains("data-chat-postgres-directory-0 to 70Gi"), "{message}");
    assert_ne!(settings(), before, "gateways have their new limit");
    for part in ["GatewayReady", "MessagesReady", "DirectoryReady"] {
        assert!(scene.condition(part).await.0, "{part}: people chat");
    }
}

/// There is no garbage collector here: what the resource owns is deleted as it would be.
#[tokio::test]
async fn retained_data_is_taken_back_only_by_word() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let id = scene.identity();
    let owned = |kind: &str| {
        let all = scene.must(&["get", kind, "-o", "json"]);
        let all: serde_json::Value = serde_json::from_str(&all).unwrap();
        let items = all["items"].as_array().unwrap().clone();
        items.into_iter().filter(|one| one["metadata"]["ownerReferences"][0]["uid"] == id.as_str()).collect::<Vec<_>>()
    };
    let retained: Vec<_> = treasures(&scene.client, &scene.namespace).await;
    for kind in [
        "secret",
        "configmap",
        "serviceaccount",
        "service",
        "networkpolicy",
        "statefulset",
        "deployment",
        "job",
        "poddisruptionbudget",
        "ingress",
    ] {
        for one in owned(kind) {
            scene.must(&["delete", kind, one["metadata"]["name"].as_str().unwrap()]);
        }
    }
    scene.must(&["delete", "chat", "chat"]);
    let kept: Vec<_> = treasures(&scene.client, &scene.namespace).await;
    assert!(kept.len() >= 5 && kept.len() < retained.len(), "{} of {} Secrets stay", kept.len(), retained.len());

    scene.apply_ten_lines();
    let next = scene.passes(3, Jobs::Complete).await;
    assert!(next < SETTLED_EVERY);
    let (stalled, reason, message) = scene.condition("Stalled").await;
    assert!(stalled && reason == "RetainedDataFound" && message.contains(&id), "{reason}: {message}");
    let fuse = Fuse::at(Point::Never);
    klatch_controller::pass::pass(&scene.operator(&fuse), &scene.key()).await;
    assert_eq!(fuse.writes(), [], "nothing is made beside it");

    scene.must(&["annotate", "chat", "chat", &format!("{ADOPT}={id}")]);
    scene.converge(Point::Never).await;
    assert!(scene.condition("Ready").await.0);
    let now = treasures(&scene.client, &scene.namespace).await;
    assert!(kept.iter().all(|secret| now.contains(secret)), "the same Secrets with the same content");
    let env = scene.must(&[
        "get",
        "statefulset",
        "chat-postgres-main-0",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].env[0].value}",
    ]);
    assert_eq!(env, id, "its volumes are those of the first");
    scene.must(&["annotate", "chat", "chat", &format!("{ADOPT}-")]);
    assert_eq!(scene.converge(Point::Never).await.writes(), [], "the word is needed once");
}
