//! Charts on a real apiserver: installed as they once were, upgraded to what they are, rolled back, and gone without a trace.
//! `KLATCH_HELM` names another Helm than the one that `tests/kube/build` makes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use klatch_tests::kube::{
    control_plane::{ControlPlane, Start},
    helm,
    kubectl::Kubectl,
};

/// The operator's chart before it served metrics.
const FIRST: &str = "tests/samples/charts/klatch-operator-first";
const NOW: &str = "charts/klatch-operator";
const DEFINITIONS: &str = "charts/klatch-operator-crds";
/// Kinds of which a release has objects.
const KINDS: &str =
    "deployments,services,serviceaccounts,poddisruptionbudgets,roles,rolebindings,clusterroles,clusterrolebindings";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Helm on an apiserver, with a home of its own.
struct Helm {
    kubectl: Kubectl,
    kubeconfig: PathBuf,
    home: tempfile::TempDir,
}

impl Helm {
    fn on(plane: &ControlPlane) -> Self {
        let home = tempfile::tempdir().unwrap();
        plane.kubectl().must(&["create", "namespace", "klatch"]);
        Self { kubectl: plane.kubectl(), kubeconfig: plane.kubeconfig(), home }
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(helm());
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, self.home.path().join(name));
        }
        let said = command.args(arguments).args(["--namespace=klatch", "--kubeconfig"]).arg(&self.kubeconfig);
        let said = said.current_dir(root()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }

    fn must(&self, arguments: &[&str]) -> String {
        self.run(arguments).unwrap_or_else(|error| panic!("helm {arguments:?}: {error}"))
    }

    /// Objects of the release of this name, each with its kind.
    fn there(&self, release: &str) -> Vec<String> {
        let selector = format!("app.kubernetes.io/instance={release}");
        let listed = self.kubectl.must(&["get", KINDS, "--all-namespaces", "--selector", &selector, "-o", "name"]);
        listed.lines().map(str::to_owned).collect()
    }

    fn arguments(&self) -> String {
        let path = "jsonpath={.spec.template.spec.containers[0].args}";
        self.kubectl.must(&["get", "deployment", "klatch-operator", "--namespace=klatch", "-o", path])
    }
}

fn the_operator(helm: &Helm) {
    let metrics = "clusterrole.rbac.authorization.k8s.io/klatch-klatch-operator-metrics".to_owned();
    helm.must(&[
        "install",
        "klatch-operator",
        FIRST,
        "--set",
        "log=debug",
        "--set",
        "image.repository=example.org/klatch",
    ]);
    let first = helm.there("klatch-operator");
    assert!(first.len() >= 6 && !first.contains(&metrics), "{first:?}");
    // What somebody said at the first installation stays said, also by values that do not know of what has come since.
    let said = helm.must(&["upgrade", "klatch-operator", NOW, "--reuse-values"]);
    assert!(said.contains("kubectl wait --for=condition=Ready"), "{said}");
    let arguments = helm.arguments();
    assert!(arguments.contains("--log=debug") && arguments.contains("--metrics-api=Auto"), "{arguments}");
    let now = helm.there("klatch-operator");
    assert!(first.iter().all(|one| now.contains(one)) && now.contains(&metrics), "{first:?} {now:?}");
    helm.must(&["upgrade", "klatch-operator", NOW, "--reset-then-reuse-values", "--set", "replicas=1"]);
    let one = helm.there("klatch-operator");
    assert!(!one.iter().any(|name| name.starts_with("poddisruptionbudget")), "{one:?}");
    helm.must(&["rollback", "klatch-operator", "1"]);
    assert_eq!(helm.there("klatch-operator"), first);
    helm.must(&["upgrade", "klatch-operator", NOW, "--reset-values"]);
    assert!(helm.arguments().contains("--log=info"), "{}", helm.arguments());
    let refused = helm.run(&["upgrade", "klatch-operator", NOW, "--set", "replicas=0"]).unwrap_err();
    assert!(refused.contains("replicas") && refused.contains("minimum"), "it does not say what is wrong: {refused}");
    helm.must(&["uninstall", "klatch-operator"]);
    assert_eq!(helm.there("klatch-operator"), [""; 0]);
}

/// The chart of definitions as it was before a field came.
fn earlier(folder: &Path) -> String {
    let chart = folder.join("klatch-operator-crds");
    let copied = Command::new("cp").arg("-r").arg(root().join(DEFINITIONS)).arg(&chart).status().unwrap();
    assert!(copied.success());
    let file = chart.join("templates/chatclusters.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("              paused:\n").expect("the field");
    let rest: Vec<_> = rest.lines().skip_while(|line| line.starts_with("                ")).collect();
    fs::write(&file, format!("{before}{}\n", rest.join("\n"))).unwrap();
    chart.display().to_string()
}

fn the_definitions(helm: &Helm) {
    let folder = tempfile::tempdir().unwrap();
    helm.must(&["install", "klatch-operator-crds", &earlier(folder.path())]);
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd/chatclusters.klatch.dev"];
    helm.kubectl.must(&wait);
    let sample = fs::read_to_string(root().join("tests/samples/chatcluster/good/ten-lines.yaml")).unwrap();
    helm.kubectl.must_with(&["create", "--namespace=klatch", "-f", "-"], &sample);
    let uid = || helm.kubectl.must(&["get", "chat", "chat", "--namespace=klatch", "-o", "jsonpath={.metadata.uid}"]);
    let before = uid();
    let explained = || helm.kubectl.run(&["explain", "chat.spec.paused"]).success;
    assert!(!explained(), "the field is known before it comes");
    helm.must(&["upgrade", "klatch-operator-crds", DEFINITIONS]);
    let begun = std::time::Instant::now();
    while !explained() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "the field does not come");
    }
    let paused = ["patch", "chat", "chat", "--namespace=klatch", "--type=merge", "-p", r#"{"spec": {"paused": true}}"#];
    helm.kubectl.must(&paused);
    let said = helm.must(&["uninstall", "klatch-operator-crds"]);
    assert!(said.contains("chatclusters.klatch.dev"), "it says what it keeps: {said}");
    assert_eq!(uid(), before, "every ChatCluster stays");
}

#[test]
fn charts_are_upgraded_rolled_back_and_leave_nothing() {
    let plane = ControlPlane::start(Start::default());
    let helm = Helm::on(&plane);
    the_operator(&helm);
    the_definitions(&helm);
}
