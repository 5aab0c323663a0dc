//! What the chart grants is what the operator uses: no more, and no less.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use klatch_controller::{
    gateways::{DELETION_COST, census},
    kind::KINDS,
    operator::Operator,
    pass::pass,
};
use klatch_tests::kube::{
    control_plane::Start,
    fuse::{Fuse, Point},
    gateways::AdminPorts,
    kubelet::run_pods,
    operator::{OperatorProcess, kubeconfig_of_account, until},
    rights::{ACCOUNT, check_nothing_was_refused, granted, used},
    scene::{Scene, plane},
    stand_in::{Jobs, mark},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Passes until everything stands.
const PASSES: usize = 60;

/// The chart's roles but for that of the metrics API, which is held to what is used where it is (`kube_metrics`).
fn roles(scene: &Scene) -> Vec<Value> {
    let mut roles = Vec::new();
    for kind in [&["get", "clusterroles"][..], &["get", "roles", "--namespace=klatch"]] {
        let of = ["-l", "app.kubernetes.io/name=klatch-operator", "-o", "json"];
        let listed: Value = serde_json::from_str(&scene.kubectl.must(&[kind, &of].concat())).unwrap();
        roles.extend(listed["items"].as_array().unwrap().iter().cloned());
    }
    roles.retain(|role| !role["metadata"]["name"].as_str().unwrap().ends_with("-metrics"));
    roles
}

/// One operator, by the chart's account.
struct Work {
    scene: Scene,
    operator: Operator,
}

impl Work {
    async fn settle(&self) {
        for _ in 0..PASSES {
            if pass(&self.operator, &self.scene.key()).await.settled {
                return;
            }
            mark(&self.scene.client, &self.scene.namespace, Jobs::Complete).await;
        }
        panic!("it does not settle: {:#?}", self.scene.status().await);
    }

    fn patch(&self, change: &Value) {
        self.scene.must(&["patch", "chat", "chat", "--type=merge", "-p", &change.to_string()]);
    }

    async fn change(&self, change: Value) {
        self.patch(&change);
        self.settle().await;
    }

    /// A claim of a class whose volumes grow.
    async fn volume_grows(&self) {
        self.scene.make_bound_claim("chat-postgres-directory", true);
        self.patch(&json!({"spec": {"directory": {"managed": {"storage": {"size": "70Gi"}}}}}));
        for _ in 0..6 {
            pass(&self.operator, &self.scene.key()).await;
        }
        self.scene.let_go("statefulset", "chat-postgres-directory");
        self.settle().await;
    }

    /// What an operator of another version may have left: an object of each kind, owned and wanted no more.
    async fn strays_go(&self) {
        for kind in KINDS.iter().filter(|kind| kind.pruned) {
            let listed = self.scene.must(&["get", kind.plural, "-o", "json"]);
            let listed: Value = serde_json::from_str(&listed).unwrap();
            let owned = |one: &&Value| one["metadata"]["ownerReferences"].is_array();
            let Some(found) = listed["items"].as_array().unwrap().iter().find(owned) else { continue };
            let names = if kind.name == "ConfigMap" { 6 } else { 1 };
            for number in 0..names {
                self.scene.apply(&stray(found, number).to_string());
            }
        }
        self.settle().await;
        let left = self.scene.must(&["get", "services,statefulsets,jobs,ingresses", "-o", "name"]);
        assert!(!left.contains("stray"), "{left}");
    }

    /// The same refusal twice is one Event that is counted.
    async fn the_same_again(&self) {
        for _ in 0..2 {
            self.scene.must(&["delete", "secret", "chat-tls"]);
            for _ in 0..2 {
                pass(&self.operator, &self.scene.key()).await;
            }
            assert_eq!(self.scene.condition("Stalled").await.1, "SecretMissing");
            self.scene.make_tls();
            self.settle().await;
        }
    }

    /// Three gateways where two would do: which is to go first is written on them.
    async fn an_order_is_written(&self) {
        for number in 0..3 {
            self.scene.apply(&gateway(number).to_string());
        }
        run_pods(&self.scene.client, &self.scene.namespace).await;
        until("costs are written", async || {
            census(&self.operator).await;
            self.scene.must(&["get", "pods", "-o", "jsonpath={.items[*].metadata.annotations}"]).contains(DELETION_COST)
        })
        .await;
        self.scene.must(&["delete", "pods", "--all"]);
    }

    /// A pod says why, and the operator reads it there.
    async fn a_migration_fails(&self) {
        self.patch(&json!({"spec": {"version": "0.2.0"}}));
        for _ in 0..8 {
            pass(&self.operator, &self.scene.key()).await;
            mark(&self.scene.client, &self.scene.namespace, Jobs::Fail("it broke")).await;
        }
        assert_eq!(self.scene.condition("SchemaMigrated").await.1, "MigrationFailed");
        self.change(json!({"spec": {"version": "0.2.1"}})).await;
    }
}

/// A pod as the controller of Deployments would make it.
fn gateway(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("gateway-{number}"), "labels": {
            "app.kubernetes.io/managed-by": "klatch-operator", "app.kubernetes.io/component": "gateway",
            "app.kubernetes.io/instance": "chat",
        }},
        "spec": {
            "serviceAccountName": "chat-gateway", "automountServiceAccountToken": false,
            "containers": [{"name": "klatch", "image": "klatch", "ports": [{"name": "admin", "containerPort": 9481}]}],
        },
    })
}

/// As one that is there, under another name.
fn stray(found: &Value, number: usize) -> Value {
    let mut stray = found.clone();
    let metadata = stray["metadata"].as_object_mut().unwrap();
    let name = format!("chat-stray-{number}");
    metadata.insert("name".to_owned(), json!(name));
    metadata.retain(|field, _| ["name", "labels", "ownerReferences"].contains(&field.as_str()));
    let labels = metadata["labels"].as_object_mut().unwrap();
    labels.retain(|label, _| !label.contains("controller-uid") && !label.contains("job-name"));
    let object = stray.as_object_mut().unwrap();
    object.remove("status");
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|field, _| !field.starts_with("clusterIP"));
        if found["kind"] == "Job" {
            spec.remove("selector");
            let template = spec["template"]["metadata"]["labels"].as_object_mut().unwrap();
            template.retain(|label, _| !label.contains("controller-uid") && !label.contains("job-name"));
        }
    }
    stray
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_uses_what_the_chart_grants_and_nothing_else() {
    let plane = plane(Start::default());
    plane.create_gateway_api();
    let (_folder, kubeconfig) = kubeconfig_of_account(&plane);
    // Its lease and its watches, on a namespace without a ChatCluster.
    let process = OperatorProcess::start(&kubeconfig, &[&plane.namespace()], &[]);
    let scene = Scene::by(&plane, kubeconfig.clone()).await;
    let gateways = Arc::<AdminPorts>::default().gateways(std::slice::from_ref(&scene.namespace));
    let work = Work { operator: scene.operator_with(&Fuse::at(Point::Never), Arc::clone(&gateways)), scene };
    let (client, watching) = (work.operator.client.clone(), CancellationToken::new());
    let _watching = watching.clone().drop_guard();
    tokio::spawn(async move { gateways.pods.run(&client, &watching).await });
    work.scene.apply_ten_lines();
    work.settle().await;
    work.change(json!({"spec": {"gateway": {"scaling": {"type": "Autoscale", "autoscale": {"minReplicas": 2, "maxReplicas": 9}}}}}))
        .await;
    work.an_order_is_written().await;
    work.strays_go().await;
    work.change(json!({"spec": {"gateway": {"scaling": null}, "api": {"scaling": {"type": "Fixed", "fixed": {"replicas": 1}}}}}))
        .await;
    work.change(json!({"spec": {"endpoint": {"type": "HTTPRoute", "tls": null, "httpRoute": {"parentRefs": [{"name": "public"}]}}}}))
        .await;
    work.change(json!({"spec": {"endpoint": {"type": "Ingress", "tls": {"secretRef": {"name": "chat-tls"}}, "httpRoute": null}}}))
        .await;
    work.volume_grows().await;
    work.the_same_again().await;
    work.change(json!({"spec": {"deletionPolicy": "Delete"}})).await;
    work.a_migration_fails().await;

    let watched = KINDS.iter().filter(|kind| kind.name != "PersistentVolumeClaim");
    let watched: Vec<_> = watched.map(|kind| kind.plural).chain(["secrets", "chatclusters"]).collect();
    let begun = Instant::now();
    until("the process watches", async || {
        assert!(begun.elapsed() < Duration::from_secs(60), "it watches");
        let requests = plane.requests();
        let is = |resource: &&str| {
            requests.iter().any(|one| one.user == ACCOUNT && one.verb == "watch" && one.resource == **resource)
        };
        watched.iter().all(is) && requests.iter().any(|one| one.user == ACCOUNT && one.verb == "update")
    })
    .await;
    drop(process);

    let requests = plane.requests();
    check_nothing_was_refused(&requests);
    let (granted, used) = (granted(&roles(&work.scene)), used(&requests, |one| !one.resource.starts_with('/')));
    let surplus: Vec<_> = granted.difference(&used).collect();
    assert!(surplus.is_empty(), "the chart grants what is not used: {surplus:#?}");
}
