//! The operator's chart, and the manifests for people without Helm that are made from it.

use std::{
    env, fs,
    thread::sleep,
    time::{Duration, Instant},
};

use klatch_tests::kube::charts::{root, run, template};

use super::kube_definition::plane;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Far above what a controller takes.
const PATIENCE: Duration = Duration::from_secs(60);

const FILE: &str = "deploy/klatch-operator.yaml";
/// What Helm leaves to whoever installs.
const HEAD: &str = "\
# The operator in the namespace klatch, for people without Helm. After crds/:
#   kubectl apply --server-side -f crds/ -f deploy/klatch-operator.yaml
# Generated from charts/; UPDATE=1 cargo test -p klatch-tests --test kube kube_chart writes it anew.
apiVersion: v1
kind: Namespace
metadata:
  name: klatch
  labels:
    pod-security.kubernetes.io/enforce: restricted
";

#[test]
fn both_charts_are_without_fault() {
    for chart in ["charts/klatch-operator", "charts/klatch-operator-crds"] {
        run(&["lint", "--strict", chart]).unwrap();
    }
}

/// What the definitions' chart makes.
fn definitions(more: &[&str]) -> String {
    let chart = ["template", "klatch-operator-crds", "charts/klatch-operator-crds", "--kube-version=1.34.0"];
    run(&[&chart[..], more].concat()).unwrap()
}

/// Whom it lets read and write ChatClusters.
fn roles() -> String {
    definitions(&["--show-only", "templates/roles.yaml"])
}

/// Nobody needs to administer a cluster to have a chat in their namespace; and no more comes with it.
#[test]
fn who_may_edit_a_namespace_may_edit_its_chat_clusters() {
    let (kubectl, namespace) = (plane().kubectl(), plane().namespace());
    kubectl.must_with(&["apply", "--server-side", "-f", "-"], &roles());
    let began = Instant::now();
    for (role, verb, part, may) in [
        ("view", "list", "", true),
        ("view", "patch", "", false),
        ("edit", "watch", "", true),
        ("edit", "create", "", true),
        ("edit", "delete", "", true),
        ("edit", "patch", "status", false),
        ("admin", "patch", "", true),
    ] {
        let who = format!("{role}-{namespace}");
        let name = format!("--clusterrole={role}");
        let bound = ["create", "rolebinding", role, &name, &format!("--user={who}"), "--namespace", &namespace];
        // A second time it is there.
        let _ = kubectl.run(&bound);
        let part = format!("--subresource={part}");
        let can = ["auth", "can-i", verb, "chatclusters", &part, "--as", &who, "--namespace", &namespace];
        let told = if may { "yes" } else { "no" };
        // The roles are put together by a controller.
        while kubectl.run(&can).output.trim() != told {
            assert!(began.elapsed() < PATIENCE, "{role} {verb} {part}: not {told}");
            sleep(LOOK);
        }
    }
}

#[test]
fn roles_are_left_to_whoever_writes_their_own_and_carry_what_a_cluster_wants() {
    let none = definitions(&["--set", "aggregateRoles=false"]);
    assert!(none.contains("kind: CustomResourceDefinition") && !none.contains("ClusterRole"), "{none}");
    let all = definitions(&["--set", "labels.owner=chat,annotations.paged=nobody"]);
    let made = all.matches("\nkind: ").count();
    assert_eq!((all.matches("owner: chat").count(), all.matches("paged: nobody").count()), (made, made), "{all}");
}

#[test]
fn the_manifests_for_people_without_helm_are_current() {
    // The source of each document is Helm's remark, and its "managed-by: Helm" would be a lie here.
    let rendered = [template(&[]).unwrap(), roles()].concat().replace("managed-by: Helm", "managed-by: kubectl");
    let rendered: String =
        rendered.lines().filter(|line| !line.starts_with("# Source: ")).map(|line| format!("{line}\n")).collect();
    let current = format!("{HEAD}{rendered}");
    let path = root().join(FILE);
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &current).unwrap();
    }
    // Helm 4 leaves empty lines between documents.
    let lines = |text: String| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    assert!(lines(fs::read_to_string(&path).unwrap_or_default()) == lines(current), "{FILE} is out of date");
}

#[test]
fn rights_are_named_and_stay_in_the_watched_namespaces() {
    let everywhere = template(&[]).unwrap();
    let one = template(&["--set", "watchNamespaces={talk}"]).unwrap();
    assert!(one.contains("--watch-namespaces=talk") && !one.contains("kind: ClusterRole"), "{one}");
    for forbidden in ["\"*\"", "'*'", "bind\n", "bind,", "bind]", "escalate", "impersonate"] {
        assert!(!everywhere.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn values_that_nobody_knows_are_refused() {
    for wrong in [
        "replicas=0",
        "replica=2",
        "image.pullPolicy=Sometimes",
        "watchNamespaces={Talk}",
        // A second key of the same name.
        r"podLabels.app\.kubernetes\.io/name=other",
        // Whose rights would these be?
        "serviceAccount.create=false",
    ] {
        assert!(template(&["--set", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn an_account_that_is_there_already_gets_the_rights_and_is_not_made() {
    let own = template(&["--set", "serviceAccount.create=false,serviceAccount.name=robot"]).unwrap();
    assert!(!own.contains("kind: ServiceAccount\n") && own.contains("serviceAccountName: robot"), "{own}");
    assert!(own.contains("{kind: ServiceAccount, name: robot, namespace: klatch}"), "{own}");
}
