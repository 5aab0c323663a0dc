//! An operator, pass by pass, on a namespace of a real apiserver.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use klatch_controller::{
    Key,
    client::{Guard, connect},
    gateways::{Gateways, HttpScrape, Pods},
    metrics::OperatorMetrics,
    operator::Operator,
    pass::pass,
};
use klatch_crd::{ChatCluster, ChatClusterStatus};
use kube_client::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use prometheus::Registry;
use serde_json::{Value, json};

use super::{
    brokers::{Brokers, Guarded},
    control_plane::{ControlPlane, Start},
    fuse::{Fuse, Point},
    kubectl::Kubectl,
    stand_in::{Jobs, mark},
};

/// Passes until everything stands: some ten from nothing.
const PASSES: usize = 40;

/// A namespace with a ChatCluster to come.
pub struct Scene {
    /// Who may do everything.
    pub client: Client,
    /// For people.
    pub kubectl: Kubectl,
    /// The namespace.
    pub namespace: String,
    /// Its brokers.
    pub brokers: Arc<Brokers>,
    config: Config,
}

impl Scene {
    /// In a new namespace.
    pub async fn new(plane: &ControlPlane) -> Self {
        Self::by(plane, plane.kubeconfig()).await
    }

    /// The same, with an operator that is whom a kubeconfig says.
    pub async fn by(plane: &ControlPlane, operator: PathBuf) -> Self {
        let client = connect(config(plane.kubeconfig()).await, Vec::new()).expect("a client");
        let config = config(operator).await;
        Self { client, kubectl: plane.kubectl(), namespace: plane.namespace(), brokers: Arc::default(), config }
    }

    /// Applies a sample, as a person does.
    pub fn apply(&self, manifest: &str) {
        self.kubectl.must_with(&["apply", "--namespace", &self.namespace, "-f", "-"], manifest);
    }

    /// The ten lines, and the Secret that they name.
    pub fn apply_ten_lines(&self) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/chatcluster/good/ten-lines.yaml");
        self.make_tls();
        self.apply(&std::fs::read_to_string(file).expect("a sample"));
    }

    /// The certificate of the endpoint. Nobody looks into it.
    pub fn make_tls(&self) {
        let secret = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "chat-tls"},
            "stringData": {"tls.crt": "certificate", "tls.key": "key"}}"#;
        self.apply(secret);
    }

    /// A claim as the controller of StatefulSets would make it, which nobody is here. None: of the default class.
    pub fn make_claim(&self, set: &str, class: Option<&str>) {
        let text = self.must(&["get", "statefulset", set, "-o", "json"]);
        let found: Value = serde_json::from_str(&text).expect("JSON");
        let template = &found["spec"]["volumeClaimTemplates"][0];
        let mut spec = template["spec"].clone();
        if let Some(class) = class {
            spec["storageClassName"] = json!(class);
        }
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": format!("data-{set}-0"), "labels": template["metadata"]["labels"]}, "spec": spec,
        });
        self.apply(&claim.to_string());
    }

    /// The same, bound to a volume of a class that grows, or does not.
    pub fn make_bound_claim(&self, set: &str, grows: bool) {
        let class = if grows { "grows" } else { "stays" };
        self.apply(&format!(
            r#"{{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {{"name": "{class}"}},
                "provisioner": "example.org/none", "allowVolumeExpansion": {grows}}}"#
        ));
        self.make_claim(set, Some(class));
        let (claim, bound) =
            (format!("data-{set}-0"), r#"{"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}"#);
        self.must(&["patch", "pvc", &claim, "--subresource=status", "--type=merge", "-p", bound]);
    }

    /// What a deletion waits for is let go: nobody here collects garbage.
    pub fn let_go(&self, kind: &str, name: &str) {
        self.must(&["patch", kind, name, "--type=merge", "-p", r#"{"metadata": {"finalizers": null}}"#]);
    }

    /// `kubectl -n NAMESPACE ...`
    pub fn must(&self, arguments: &[&str]) -> String {
        self.kubectl.must(&[&["--namespace", self.namespace.as_str()], arguments].concat())
    }

    /// A new process of the operator, with this fuse. It knows of no gateways' pods.
    pub fn operator(&self, fuse: &Arc<Fuse>) -> Operator {
        let scrape = Arc::new(HttpScrape::new().expect("HTTP"));
        self.operator_with(fuse, Arc::new(Gateways::new(Pods::new(&[]), scrape)))
    }

    /// A new process of the operator, with this fuse and these gateways.
    pub fn operator_with(&self, fuse: &Arc<Fuse>, gateways: Arc<Gateways>) -> Operator {
        let guards: Vec<Arc<dyn Guard>> = vec![Arc::clone(fuse) as Arc<dyn Guard>];
        let client = connect(self.config.clone(), guards.clone()).expect("a client");
        let broker = Guarded { brokers: Arc::clone(&self.brokers), guards };
        let metrics = OperatorMetrics::new(&Registry::new()).expect("metrics");
        Operator::new(client, Arc::new(broker), metrics, gateways)
    }

    /// Which ChatCluster.
    #[must_use]
    pub fn key(&self) -> Key {
        Key { namespace: self.namespace.clone(), name: "chat".to_owned() }
    }

    /// Passes of a new operator until it says that everything stands, or its fuse burns through; the operator's writes.
    ///
    /// # Panics
    /// When it does not come to an end.
    pub async fn converge(&self, point: Point) -> Arc<Fuse> {
        let fuse = Fuse::at(point);
        let operator = self.operator(&fuse);
        for _ in 0..PASSES {
            let passed = pass(&operator, &self.key()).await;
            if fuse.is_blown() || passed.settled {
                return fuse;
            }
            mark(&self.client, &self.namespace, Jobs::Complete).await;
        }
        panic!("it does not settle: {:#?}", self.status().await);
    }

    /// Some passes of a new operator, with Jobs that end like this; when the last one wants the next.
    pub async fn passes(&self, count: usize, jobs: Jobs) -> Duration {
        let operator = self.operator(&Fuse::at(Point::Never));
        let mut next = Duration::ZERO;
        for _ in 0..count {
            next = pass(&operator, &self.key()).await.next;
            mark(&self.client, &self.namespace, jobs).await;
        }
        next
    }

    /// The status as it is.
    pub async fn status(&self) -> ChatClusterStatus {
        let api: Api<ChatCluster> = Api::namespaced(self.client.clone(), &self.namespace);
        api.get("chat").await.expect("a ChatCluster").status.unwrap_or_default()
    }

    /// The identity of the ChatCluster.
    #[must_use]
    pub fn identity(&self) -> String {
        self.must(&["get", "chat", "chat", "-o", "jsonpath={.metadata.uid}"])
    }

    /// Whether it says that it is ready; not, while it says nothing.
    pub async fn is_ready(&self) -> bool {
        is_ready(&self.status().await)
    }

    /// A condition: its status, reason and message.
    pub async fn condition(&self, kind: &str) -> (bool, String, String) {
        let conditions = self.status().await.conditions;
        let found = conditions.iter().find(|one| one.type_ == kind);
        let one = found.unwrap_or_else(|| panic!("no condition {kind} in {conditions:#?}"));
        (one.status == "True", one.reason.clone(), one.message.clone())
    }
}

/// Whether a ChatCluster with this status is ready.
pub(super) fn is_ready(status: &ChatClusterStatus) -> bool {
    status.conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// By a kubeconfig.
///
/// # Panics
/// When it cannot be used.
pub async fn config(file: PathBuf) -> Config {
    let kubeconfig = Kubeconfig::read_from(file).expect("a kubeconfig");
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a configuration")
}

/// An apiserver that knows ChatClusters, without controllers, for all tests that mark pods' owners by a stand-in.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn quiet_plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| plane(Start::default()))
}

/// An apiserver that knows ChatClusters.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn plane(start: Start) -> ControlPlane {
    let plane = ControlPlane::start(start);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(klatch_crd::FILE);
    plane.kubectl().must(&["create", "--validate=strict", "-f", &file.display().to_string()]);
    plane.kubectl().must(&["wait", "--for=condition=Established", "--timeout=60s", "crd/chatclusters.klatch.dev"]);
    plane
}
