//! Autoscaling by connections, on a real apiserver with its own controllers: who else may tell them, who may ask, and what comes of
//! it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::StreamExt;
use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use klatch_controller::{
    gateways::{DELETION_COST, Gateways, census},
    metrics_api::{self, Place, Registrar},
    operator::Operator,
    pass::pass,
};
use klatch_tests::{
    kube::{
        control_plane::{ControlPlane, Start},
        fuse::{Fuse, Point},
        gateways::{AdminPorts, SILENT},
        kubelet::run_pods,
        operator::until_at_most,
        scene::{Scene, plane},
    },
    services::process::free_port,
};
use kube_client::{Api, Client, api::ListParams};
use reqwest::{Certificate, Identity, StatusCode};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(120);
const NAME: &str = "v1beta2.custom.metrics.k8s.io";
const OWNER: &str = r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "klatch-metrics"}, "rules": []}"#;
const FOREIGN: &str = r#"{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.custom.metrics.k8s.io"},
    "spec": {"group": "custom.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
             "insecureSkipTLSVerify": true, "service": {"name": "prometheus-adapter", "namespace": "default"}}}"#;
const CHAT: &str = r#"{"apiVersion": "klatch.dev/v1alpha1", "kind": "ChatCluster", "metadata": {"name": "chat"},
    "spec": {"version": "0.1.0", "messages": {"shardSets": [{"name": "main", "shards": 1}]},
             "gateway": {"scaling": {"type": "Autoscale", "autoscale": {"minReplicas": 2, "maxReplicas": 4, "targetConnections": 100,
                 "behavior": {"scaleDown": {"percent": 100, "periodSeconds": 5, "stabilizationWindowSeconds": 40}}}}}}}"#;

async fn until(what: &str, so: impl AsyncFnMut() -> bool) -> Duration {
    until_at_most(PATIENCE, what, so).await
}

/// A replica of the operator, as far as metrics go, and its gateways.
struct World {
    scene: Scene,
    registrar: Registrar,
    ports: Arc<AdminPorts>,
    operator: Operator,
    address: std::net::SocketAddr,
    registering: Option<DropGuard>,
    _serving: DropGuard,
}

impl World {
    /// The apiserver finds it by a Service that is an outside name: there is no kube-proxy.
    async fn new(plane: &ControlPlane) -> Self {
        let scene = Scene::new(plane).await;
        let port = free_port();
        scene.kubectl.must(&["create", "namespace", "klatch"]);
        scene.kubectl.must_with(&["create", "-f", "-"], OWNER);
        scene.kubectl.must(&[
            "create",
            "service",
            "externalname",
            "klatch-operator",
            "--external-name=localhost",
            "--namespace=klatch",
        ]);
        let owner = Some("klatch-metrics".to_owned());
        let place = Place { namespace: "klatch".to_owned(), service: "klatch-operator".to_owned(), port, owner };
        let ports = Arc::new(AdminPorts::default());
        let gateways: Arc<Gateways> = ports.gateways(std::slice::from_ref(&scene.namespace));
        let operator = scene.operator_with(&Fuse::at(Point::Never), Arc::clone(&gateways));
        let stop = CancellationToken::new();
        let (client, listener) =
            (scene.client.clone(), tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap());
        let address = listener.local_addr().unwrap();
        tokio::spawn(metrics_api::serve(client.clone(), place.clone(), listener, Arc::clone(&gateways), stop.clone()));
        let (watched, told) = (client.clone(), stop.clone());
        tokio::spawn(async move { gateways.pods.run(&watched, &told).await });
        let registrar = Registrar { client, place };
        let mut world =
            Self { scene, registrar, ports, operator, address, registering: None, _serving: stop.drop_guard() };
        world.lead();
        world
    }

    fn lead(&mut self) {
        let stop = CancellationToken::new();
        tokio::spawn(metrics_api::register(self.registrar.clone(), stop.clone()));
        self.registering = Some(stop.drop_guard());
    }

    async fn registered(&self) -> Option<APIService> {
        Api::<APIService>::all(self.scene.client.clone()).get_opt(NAME).await.unwrap()
    }

    async fn is_available(&self) -> bool {
        let conditions = self.registered().await.and_then(|one| one.status?.conditions).unwrap_or_default();
        conditions.iter().any(|one| one.type_ == "Available" && one.status == "True")
    }

    /// Passes and pods that run, until nothing is left to do.
    async fn settle(&self) {
        until("it settles", async || {
            run_pods(&self.scene.client, &self.scene.namespace).await;
            pass(&self.operator, &self.scene.key()).await.settled
        })
        .await;
    }

    async fn replicas(&self) -> i32 {
        let api: Api<Deployment> = Api::namespaced(self.scene.client.clone(), &self.scene.namespace);
        api.get("chat-gateway").await.unwrap().spec.replicas.unwrap_or(1)
    }

    async fn gateways(&self) -> Vec<Pod> {
        let api: Api<Pod> = Api::namespaced(self.scene.client.clone(), &self.scene.namespace);
        let found = api.list(&ListParams::default().labels("app.kubernetes.io/component=gateway")).await.unwrap().items;
        found.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect()
    }

    async fn follow(&self, what: &str, replicas: i32) {
        until(what, async || {
            run_pods(&self.scene.client, &self.scene.namespace).await;
            self.replicas().await == replicas && self.gateways().await.len() == replicas as usize
        })
        .await;
    }

    /// Waits until the status tells so many connections.
    async fn tells(&self, connections: u64) {
        until("the status tells it", async || {
            census(&self.operator).await;
            self.settle().await;
            self.scene.status().await.gateway.unwrap().connections == Some(connections)
        })
        .await;
    }

    async fn scaling_active(&self) -> bool {
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.scene.client.clone(), &self.scene.namespace);
        let conditions = api.get("chat-gateway").await.unwrap().status.and_then(|status| status.conditions);
        conditions.iter().flatten().any(|one| one.type_ == "ScalingActive" && one.status == "True")
    }

    /// Asks us, past the apiserver, by one of its certificates, as somebody.
    async fn ask(
        &self,
        plane: &ControlPlane,
        certificate: Option<&str>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Option<StatusCode> {
        let bundle = self.registered().await.unwrap().spec.unwrap().ca_bundle.unwrap();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only(Certificate::from_pem_bundle(&bundle.0).unwrap())
            .resolve("klatch-operator.klatch.svc", self.address);
        if let Some(name) = certificate {
            let keys = plane.kubeconfig().with_file_name("keys");
            let read = |file: String| std::fs::read(keys.join(file)).unwrap();
            let pem = [read(format!("{name}.crt")), read(format!("{name}.key"))].concat();
            builder = builder.identity(Identity::from_pem(&pem).unwrap());
        }
        let url = format!("https://klatch-operator.klatch.svc:{}{path}", self.address.port());
        let mut request = builder.build().unwrap().get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.ok().map(|answer| answer.status())
    }

    fn values(&self) -> String {
        format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/{}/pods/*/connections", self.scene.namespace)
    }
}

/// Every number of replicas that the gateways are given from now on.
fn watch_replicas(client: Client, namespace: &str) -> Arc<parking_lot::Mutex<BTreeSet<i32>>> {
    let seen: Arc<parking_lot::Mutex<BTreeSet<i32>>> = Arc::default();
    let (api, kept): (Api<Deployment>, _) = (Api::namespaced(client, namespace), Arc::clone(&seen));
    tokio::spawn(async move {
        let parameters = kube_client::api::WatchParams::default().fields("metadata.name=chat-gateway");
        let mut events = api.watch(&parameters, "0").await.unwrap().boxed();
        while let Some(event) = events.next().await {
            if let Ok(kube_client::core::WatchEvent::Added(one) | kube_client::core::WatchEvent::Modified(one)) = event
            {
                kept.lock().insert(one.spec.replicas.unwrap_or(1));
            }
        }
    });
    seen
}

/// Who calls is believed behind the apiserver's certificate, and then asked for their rights.
async fn who_may_ask(world: &World, plane: &ControlPlane) {
    let (values, api) = (world.values(), "/apis/custom.metrics.k8s.io/v1beta2");
    let proxy = Some("front-proxy");
    let autoscaler = [
        ("X-Remote-User", "system:serviceaccount:kube-system:horizontal-pod-autoscaler"),
        ("X-Remote-Group", "system:serviceaccounts"),
    ];
    assert_eq!(world.ask(plane, proxy, &values, &autoscaler).await, Some(StatusCode::OK));
    assert_eq!(world.ask(plane, proxy, &values, &[("X-Remote-User", "nobody")]).await, Some(StatusCode::FORBIDDEN));
    assert_eq!(world.ask(plane, proxy, &values, &[]).await, Some(StatusCode::UNAUTHORIZED));
    assert_eq!(world.ask(plane, proxy, api, &[]).await, Some(StatusCode::OK));
    assert_eq!(world.ask(plane, proxy, "/apis", &[]).await, Some(StatusCode::NOT_ACCEPTABLE));
    assert_eq!(world.ask(plane, proxy, "/openapi/v3", &[]).await, Some(StatusCode::OK));
    // Another authority's certificate, and none at all, do not get as far as a word.
    let master = [("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")];
    assert_eq!(world.ask(plane, Some("kubelet-client"), &values, &master).await, None);
    assert_eq!(world.ask(plane, None, &values, &master).await, None);
    assert_eq!(world.ask(plane, proxy, &values, &master).await, Some(StatusCode::OK));
    let through = world.scene.kubectl.must(&["get", "--raw", &values]);
    assert_eq!(through.matches("\"value\":\"0\"").count(), 2, "{through}");
    let refused = world.scene.kubectl.run(&["get", "--raw", &values, "--as=nobody"]);
    assert!(!refused.success, "{refused:?}");
}

/// A foreign registration makes ours go, and ours is back after it.
async fn steps_aside(world: &World) {
    world.scene.kubectl.must_with(&["create", "-f", "-"], FOREIGN);
    let gone = until("ours is gone", async || world.registered().await.is_none()).await;
    world.scene.kubectl.must(&["delete", "apiservice", "v1beta1.custom.metrics.k8s.io"]);
    let back = until("ours is back", async || world.is_available().await).await;
    println!("ours was gone after {} ms, and back after {} ms", gone.as_millis(), back.as_millis());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_follow_their_connections_and_the_group_is_left_to_others() {
    let plane = plane(Start { controllers: true, scheduler: false });
    let mut world = World::new(&plane).await;
    world.scene.apply(CHAT);
    until("the metrics API is available", async || world.is_available().await).await;
    world.settle().await;
    who_may_ask(&world, &plane).await;
    until("the autoscaler reads it", async || world.scaling_active().await).await;
    world.settle().await;
    let (active, _, message) = world.scene.condition("AutoscalingActive").await;
    assert!(active, "{message}");

    // In: 180 each are too many for two, then for three.
    world.ports.set_all(180);
    world.follow("more gateways", 4).await;
    world.tells(4 * 180).await;
    let dear = |pod: &Pod| pod.metadata.annotations.as_ref().and_then(|all| all.get(DELETION_COST).cloned());
    assert!(world.gateways().await.iter().all(|pod| dear(pod).is_none()), "all of them are needed: nothing is written");

    steps_aside(&world).await;

    // Out: the emptiest go. Nobody answers while the order is made, so that the autoscaler holds.
    let names: Vec<_> = world.gateways().await.into_iter().map(|pod| pod.metadata.name.unwrap()).collect();
    until("the autoscaler reads it again", async || world.scaling_active().await).await;
    world.ports.set_all(SILENT);
    // What was read before is answered for a while.
    let master = [("X-Remote-User", "a"), ("X-Remote-Group", "system:masters")];
    let none = Some(StatusCode::SERVICE_UNAVAILABLE);
    until("no value is told", async || world.ask(&plane, Some("front-proxy"), &world.values(), &master).await == none)
        .await;
    until("the autoscaler sees nothing", async || !world.scaling_active().await).await;
    assert_eq!(world.replicas().await, 4, "it holds");
    let keep: BTreeSet<_> = [names[0].clone(), names[2].clone()].into();
    for (name, connections) in names.iter().zip([90, 15, 80, 12]) {
        world.ports.set(name, connections);
    }
    // The window of the autoscaler's behaviour is long enough for this.
    census(&world.operator).await;
    let left =
        async || world.gateways().await.into_iter().map(|pod| pod.metadata.name.unwrap()).collect::<BTreeSet<_>>();
    world.follow("fewer gateways", 2).await;
    assert_eq!(left().await, keep, "the fullest are left");
    world.tells(170).await;

    // Off and on: nobody sees one replica.
    world.ports.set_all(60);
    let seen = watch_replicas(world.scene.client.clone(), &world.scene.namespace);
    for scaling in [
        r#"{"type": "Fixed", "fixed": {"replicas": 3}, "autoscale": null}"#,
        r#"{"type": "Autoscale", "fixed": null, "autoscale": {"minReplicas": 2, "maxReplicas": 4, "targetConnections": 100}}"#,
        r#"{"type": "External", "fixed": null, "autoscale": null}"#,
        r#"{"type": "Autoscale", "fixed": null, "autoscale": {"minReplicas": 3, "maxReplicas": 4, "targetConnections": 100}}"#,
    ] {
        world.scene.must(&[
            "patch",
            "chat",
            "chat",
            "--type=merge",
            "-p",
            &format!(r#"{{"spec": {{"gateway": {{"scaling": {scaling}}}}}}}"#),
        ]);
        world.settle().await;
    }
    assert!(seen.lock().iter().all(|replicas| *replicas >= 2), "{:?}", seen.lock());
    assert!(seen.lock().contains(&3));

    // An operator that goes takes its registration along; and where it could not, the release's role does.
    world.registering = None;
    metrics_api::withdraw(&world.registrar).await.unwrap();
    assert!(world.registered().await.is_none());
    world.lead();
    until("ours is back", async || world.is_available().await).await;
    world.registering = None;
    world.scene.kubectl.must(&["delete", "clusterrole", "klatch-metrics"]);
    until("ours went with the release", async || world.registered().await.is_none()).await;
    world.scene.kubectl.must(&["delete", "namespace", &world.scene.namespace, "--wait", "--timeout=60s"]);
}
