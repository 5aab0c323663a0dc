//! The operator's real binary, with the rights of the chart and no others.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use klatch_tests::{
    klatch_process::binary,
    kube::{
        audit::Request,
        brokers::serve,
        control_plane::ControlPlane,
        rights::{ACCOUNT, check_nothing_was_refused},
        scene::{Scene, quiet_plane},
        stand_in::{Jobs, mark},
    },
    services::process::free_port,
};
use rustix::process::{Pid, Signal, kill_process};

/// Only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// `klatch-operator`.
pub struct Process {
    child: Child,
    listen: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        // A frozen one, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// By this kubeconfig, for the ChatClusters of one namespace.
    pub fn start(kubeconfig: &Path, namespace: &str) -> Self {
        Self::start_with(kubeconfig, namespace, &[])
    }

    /// The same, with more said on its command line.
    pub fn start_with(kubeconfig: &Path, namespace: &str, more: &[String]) -> Self {
        let listen = free_port();
        let child = Command::new(binary().with_file_name("klatch-operator"))
            .args(["--namespace=klatch", &format!("--watch-namespaces={namespace}")])
            .arg(format!("--listen=127.0.0.1:{listen}"))
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("klatch-operator starts: build it first, with 'cargo build -p klatch-controller'");
        Self { child, listen }
    }

    /// Sends it a signal.
    pub fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it is gone.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its end").is_some()
    }

    async fn metric(&self, line: &str) -> bool {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/metrics", self.listen)).await;
        let Ok(answer) = answer else { return false };
        answer.text().await.is_ok_and(|text| text.lines().any(|one| one == line))
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

/// A kubeconfig by the token of the chart's account, with the rights that `deploy/` grants.
pub fn kubeconfig_of_account(plane: &ControlPlane) -> (tempfile::TempDir, PathBuf) {
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/klatch-operator.yaml");
    plane.kubectl().must(&["apply", "-f", manifests]);
    let token = plane.kubectl().must(&["create", "token", "klatch-operator", "--namespace=klatch"]);
    let admin = fs::read_to_string(plane.kubeconfig()).unwrap();
    let (head, rest) = admin.split_once("token: ").unwrap();
    let (_, tail) = rest.split_once('}').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    fs::write(&file, format!("{head}token: {}}}{tail}", token.trim())).unwrap();
    (folder, file)
}

/// On brokers that this test serves.
async fn manifest(scene: &Scene) -> String {
    let port = serve(std::sync::Arc::clone(&scene.brokers)).await;
    scene.apply(r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "management"}, "stringData": {"username": "admin", "password": "secret"}}"#);
    format!(
        "apiVersion: klatch.dev/v1alpha1\nkind: ChatCluster\nmetadata: {{name: chat}}\nspec:\n  version: 0.1.0\n  \
         messages: {{shardSets: [{{name: main, shards: 1}}]}}\n  broker:\n    provider: External\n    external:\n      \
         brokers: [{{host: rabbitmq.example.org, management: {{url: \"http://127.0.0.1:{port}\", secretRef: {{name: management}}}}}}]\n"
    )
}

fn is_write(request: &Request) -> bool {
    !["get", "list", "watch"].contains(&request.verb.as_str()) && request.resource != "leases"
}

/// One leads, and everything comes to stand with the rights that the chart grants; what is deleted comes back by a watch. Then it is
/// frozen in the middle of its term, another takes over, and when it wakes up it writes nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_with_the_charts_rights_and_a_sleeper_writes_no_more() {
    let plane = quiet_plane();
    let scene = Scene::new(plane).await;
    let (_folder, kubeconfig) = kubeconfig_of_account(plane);
    let first = Process::start(&kubeconfig, &scene.namespace);
    until("the first leads", async || first.metric("klatch_operator_leader 1").await).await;
    scene.apply(&manifest(&scene).await);
    let stands = async || {
        mark(&scene.client, &scene.namespace, Jobs::Complete).await;
        let conditions = scene.status().await.conditions;
        conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True")
    };
    until("it is ready", stands).await;
    let service = ["get", "service", "chat-api", "--ignore-not-found", "-o", "name"];
    scene.must(&["delete", "service", "chat-api"]);
    until("the Service is back", async || !scene.must(&service).is_empty()).await;
    check_nothing_was_refused(&plane.requests());

    first.tell(Signal::STOP);
    let second = Process::start(&plane.kubeconfig(), &scene.namespace);
    until("the second leads", async || second.metric("klatch_operator_leader 1").await).await;
    let acquired = ["get", "lease", "klatch-operator", "--namespace=klatch", "-o", "jsonpath={.spec.acquireTime}"];
    let acquired = plane.kubectl().must(&acquired);
    scene.must(&["delete", "service", "chat-api"]);
    first.tell(Signal::CONT);
    let looked = |one: &Request| one.user == ACCOUNT && one.received > acquired && one.resource == "leases";
    until("the sleeper looks at the lease", async || plane.requests().iter().filter(|one| looked(one)).count() > 1)
        .await;
    until("the second puts it back", async || !scene.must(&service).is_empty()).await;
    let late: Vec<_> = plane
        .requests()
        .into_iter()
        .filter(|one| one.user == ACCOUNT && one.received > acquired && is_write(one))
        .collect();
    assert!(late.is_empty(), "the sleeper wrote: {late:#?}");
}
