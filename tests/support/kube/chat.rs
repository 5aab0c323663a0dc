//! A ChatCluster on a real node, as people install it: both charts by Helm, ten lines, a load balancer with TLS.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{
    cluster::{Cluster, PATIENCE},
    helm,
    kubectl::{Kubectl, Said},
};
use crate::services::proxy::Proxy;

/// Where the operator is, in a namespace that enforces Pod Security *restricted*.
pub const OPERATOR: &str = "klatch";
/// Until everything stands, on a busy machine; this only ends a test that waits for what never comes.
const STANDS: &str = "--timeout=600s";

/// Debian's load balancers, which do on the node what Ingresses say. Both may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balancer {
    /// HAProxy.
    Haproxy,
    /// NGINX.
    Nginx,
}

impl Balancer {
    const fn part(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    /// Where it listens from its start on, and where it does with TLS while it leads somewhere.
    const fn ports(self) -> (u16, u16) {
        match self {
            Self::Haproxy => (80, 443),
            Self::Nginx => (81, 444),
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The charts of this commit.
#[must_use]
pub fn charts() -> PathBuf {
    root().join("charts")
}

/// What `make cluster` applies.
pub(crate) fn manifest() -> String {
    fs::read_to_string(root().join("deploy/chatcluster-local.yaml")).expect("a manifest")
}

/// The charts as they were before their last change; none where there is no history.
///
/// # Panics
/// When there is a history and it cannot be read.
#[must_use]
pub fn previous_charts() -> Option<tempfile::TempDir> {
    let git = |arguments: &[&str]| Command::new("git").arg("-C").arg(root()).args(arguments).output().ok();
    let changes = git(&["log", "-2", "--format=%H", "--", "charts/klatch-operator"])?;
    let before = String::from_utf8(changes.stdout).ok()?.lines().nth(1)?.to_owned();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let archive = git(&["archive", "--format=tar", &before, "charts"])?;
    let file = folder.path().join("charts.tar");
    fs::write(&file, archive.stdout).expect("an archive");
    let unpacked = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(folder.path()).status();
    assert!(unpacked.expect("tar").success(), "the charts of {before} cannot be unpacked");
    Some(folder)
}

/// Makes the namespace of the operator and installs these charts; how long it took.
///
/// # Panics
/// When Helm fails, or waits for more than a minute.
#[must_use]
pub fn install(cluster: &Cluster, charts: &Path) -> Duration {
    let kubectl = cluster.kubectl();
    kubectl.must(&["create", "namespace", OPERATOR]);
    kubectl.must(&["label", "namespace", OPERATOR, "pod-security.kubernetes.io/enforce=restricted"]);
    upgrade(cluster, charts, &[])
}

/// Installs these charts, or upgrades to them; how long it took.
///
/// # Panics
/// When Helm fails, or waits for more than a minute.
#[must_use]
pub fn upgrade(cluster: &Cluster, charts: &Path, more: &[&str]) -> Duration {
    let begun = Instant::now();
    for (chart, more) in [("klatch-operator-crds", &[][..]), ("klatch-operator", more)] {
        let path = charts.join(chart).display().to_string();
        run_helm(cluster, &[&["upgrade", "--install", "--wait", "--timeout=60s", chart, &path], more].concat());
    }
    begun.elapsed()
}

/// `helm --namespace klatch ...`
///
/// # Panics
/// With what it complained about, when it fails.
pub fn run_helm(cluster: &Cluster, arguments: &[&str]) {
    let mut command = Command::new(helm());
    command.arg("--kubeconfig").arg(cluster.kubeconfig()).args(["--namespace", OPERATOR]).args(arguments);
    let said = command.output().expect("Helm starts");
    let pods = || {
        let of = "--selector=app.kubernetes.io/name=klatch-operator";
        let logs = cluster.kubectl().run(&["logs", "--namespace", OPERATOR, "--prefix", "--tail=20", of]).output;
        cluster.kubectl().run(&["describe", "pods", "--namespace", OPERATOR]).output + &logs
    };
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "helm {}: {error}\n{}", arguments.join(" "), pods());
}

/// The ChatCluster `chat` of a namespace of its own.
pub struct Chat<'a> {
    cluster: &'a Cluster,
    kubectl: Kubectl,
    /// Its namespace.
    pub namespace: String,
}

impl<'a> Chat<'a> {
    /// A namespace for one, with the certificate that its ten lines name.
    #[must_use]
    pub fn in_namespace(cluster: &'a Cluster) -> Self {
        let chat = Self { cluster, kubectl: cluster.kubectl(), namespace: cluster.namespace() };
        let file =
            |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/tls").join(name).display().to_string();
        let pair = [format!("--cert={}", file("server.pem")), format!("--key={}", file("server.key.pem"))];
        chat.must(&["create", "secret", "tls", "chat-tls", &pair[0], &pair[1]]);
        chat
    }

    /// Applies what `make cluster` applies.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply(&self) {
        self.apply_also(&manifest());
    }

    /// Applies something else in its namespace.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply_also(&self, document: &str) {
        self.kubectl.must_with(&["--namespace", &self.namespace, "apply", "-f", "-"], document);
    }

    /// Merges JSON into the ChatCluster's `spec`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn patch(&self, spec: &str) {
        let patch = format!(r#"{{"spec": {spec}}}"#);
        self.must(&["patch", "chat", "chat", "--type=merge", "--patch", &patch]);
    }

    /// `kubectl --namespace NAMESPACE ...`
    ///
    /// # Panics
    /// With what it complained about, when it fails.
    pub fn must(&self, arguments: &[&str]) -> String {
        self.kubectl.must(&[&["--namespace", self.namespace.as_str()], arguments].concat())
    }

    /// The same, whatever comes of it.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.kubectl.run(&[&["--namespace", self.namespace.as_str()], arguments].concat())
    }

    /// Waits until it says that it is ready; how long that took.
    ///
    /// # Panics
    /// With what a person would look at next, when it does not.
    #[must_use]
    pub fn wait_ready(&self) -> Duration {
        let begun = Instant::now();
        let said = self.run(&["wait", "--for=condition=Ready", STANDS, "chat/chat"]);
        assert!(said.success, "{}\n{}", said.error, self.told());
        begun.elapsed()
    }

    /// A condition: its status, reason and message, as `True Ready everything runs as it should`.
    #[must_use]
    pub fn condition(&self, kind: &str) -> String {
        let of =
            format!("{{range .status.conditions[?(@.type==\"{kind}\")]}}{{.status}} {{.reason}} {{.message}}{{end}}");
        self.must(&["get", "chat", "chat", "-o", &format!("jsonpath={of}")])
    }

    /// Names and identities of what holds data or opens it.
    #[must_use]
    pub fn retained(&self) -> Vec<String> {
        let of = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
        let listed =
            self.must(&["get", "persistentvolumeclaims,secrets", "--selector=klatch.dev/cluster-id", "-o", of]);
        listed.lines().map(str::to_owned).collect()
    }

    /// Its pods, with their identities and how often they were started.
    #[must_use]
    pub fn pods(&self) -> Vec<String> {
        let of = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].restartCount}{\"\\n\"}{end}";
        self.must(&["get", "pods", "-o", of]).lines().map(str::to_owned).collect()
    }

    /// Leads in by a load balancer and the Ingress; the address, on a loopback port of its own.
    ///
    /// # Panics
    /// When the balancer does not come.
    #[must_use]
    pub fn open(&self, balancer: Balancer) -> (String, Proxy) {
        let told = ["get", "ingress", "chat", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"];
        self.open_once(balancer, || self.run(&told).output == self.cluster.address())
    }

    /// The same by the HTTPRoute.
    ///
    /// # Panics
    /// When the balancer does not come.
    #[must_use]
    pub fn open_route(&self, balancer: Balancer) -> (String, Proxy) {
        let by = format!("{{.status.parents[?(@.controllerName==\"klatch.dev/{}\")]", balancer.part());
        let told = format!("jsonpath={by}.conditions[?(@.type==\"Accepted\")].status}}");
        self.open_once(balancer, || self.run(&["get", "httproute", "chat", "-o", &told]).output == "True")
    }

    fn open_once(&self, balancer: Balancer, mut is_told: impl FnMut() -> bool) -> (String, Proxy) {
        let (port, tls_port) = balancer.ports();
        let address: IpAddr = self.cluster.address().parse().expect("an address");
        let listens = |port| std::net::TcpStream::connect((address, port)).is_ok();
        // One serves all ChatClusters of a node.
        if !listens(port) {
            self.cluster.start_part(balancer.part());
        }
        self.cluster.wait_until("the balancer says that it leads there", &mut is_told);
        self.cluster.wait_until("the balancer listens", || listens(tls_port));
        let proxy = Proxy::before(SocketAddr::new(address, tls_port));
        (format!("https://localhost:{}", proxy.port()), proxy)
    }

    /// What a person would look at next.
    #[must_use]
    pub fn told(&self) -> String {
        let look = |arguments: &[&str]| self.run(arguments).output;
        let logs = ["logs", "--all-containers", "--prefix", "--tail=20", "--selector=app.kubernetes.io/instance=chat"];
        let operator = [
            "logs",
            "--namespace",
            OPERATOR,
            "--prefix",
            "--tail=40",
            "--selector=app.kubernetes.io/name=klatch-operator",
        ];
        let status = ["get", "chat", "chat", "-o", "jsonpath={.status}"];
        let pods = ["get", "pods,pvc,jobs"];
        let events = ["get", "events", "--sort-by=.lastTimestamp"];
        [look(&status), look(&pods), look(&events), look(&logs), self.kubectl.run(&operator).output].join("\n")
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// With what a person would look at next, when it does not.
    pub async fn until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        self.until_within(what, PATIENCE, holds).await;
    }

    /// The same for what may take longer; how long it took.
    ///
    /// # Panics
    /// With what a person would look at next, when it does not hold within `patience`.
    pub async fn until_within(&self, what: &str, patience: Duration, mut holds: impl AsyncFnMut() -> bool) -> Duration {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < patience, "{what}: not after {patience:?}\n{}", self.told());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        begun.elapsed()
    }
}
