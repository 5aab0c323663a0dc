//! The ground itself: a node, pods under Pod Security restricted, names, policies.

use std::{fs, path::Path};

use klatch_tests::kube::{cluster::Cluster, kubectl::Kubectl};

/// A namespace with two servers and one caller, all ready.
struct Echo {
    kubectl: Kubectl,
    namespace: String,
}

impl Echo {
    fn start(cluster: &Cluster) -> Self {
        let echo = Self { kubectl: cluster.kubectl(), namespace: cluster.namespace() };
        echo.apply("echo.yaml");
        for deployment in ["deployment/echo", "deployment/caller"] {
            echo.must(&["rollout", "status", "--timeout=180s", deployment]);
        }
        echo
    }

    fn must(&self, arguments: &[&str]) -> String {
        self.kubectl.must(&[&["--namespace", &self.namespace], arguments].concat())
    }

    fn apply(&self, sample: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/cluster").join(sample);
        let manifest = fs::read_to_string(path).unwrap();
        self.kubectl.must_with(&["--namespace", &self.namespace, "apply", "-f", "-"], &manifest);
    }

    /// What the caller hears from a server by its name; nothing within two seconds is an answer too.
    fn call(&self, name: &str) -> String {
        let inside = ["--namespace", &self.namespace, "exec", "deployment/caller", "--"];
        let ask = ["timeout", "2", "redis-cli", "-h", name, "-p", "6380", "PING"];
        self.kubectl.run(&[&inside[..], &ask].concat()).output.trim().to_owned()
    }
}

#[test]
fn pods_run_restricted_and_find_each_other_by_name() {
    let cluster = Cluster::shared();
    let echo = Echo::start(cluster);
    assert!(cluster.kubectl().must(&["get", "nodes"]).contains(" Ready "));
    for name in ["echo", &format!("echo.{}.svc.cluster.local", echo.namespace)] {
        // Ready pods are reached a little later.
        cluster.wait_until("a server is reached", || echo.call(name) == "PONG");
    }
    assert_eq!(echo.call("nobody"), "");
    assert!(echo.must(&["logs", "deployment/echo"]).contains("Ready to accept connections"));
}

#[test]
fn a_pod_that_asks_for_more_than_restricted_is_refused() {
    let cluster = Cluster::shared();
    let (kubectl, namespace) = (cluster.kubectl(), cluster.namespace());
    let said = kubectl.run(&["--namespace", &namespace, "run", "root", "--image=klatch.test/services:1"]);
    assert!(!said.success && said.error.contains("violates PodSecurity"), "{}", said.error);
}

#[test]
fn a_policy_blocks_whom_it_does_not_name_and_lets_through_whom_it_names() {
    let cluster = Cluster::shared();
    let echo = Echo::start(cluster);
    cluster.wait_until("a server is reached", || echo.call("echo") == "PONG");
    echo.apply("policy.yaml");
    cluster.wait_until("a stranger is blocked", || echo.call("echo").is_empty());
    // A label is enough: the pod stays what it is.
    echo.must(&["label", "pod", "--selector=app=caller", "friend=yes"]);
    cluster.wait_until("a friend is let through", || echo.call("echo") == "PONG");
    // The caller may go to the servers and to names, and nowhere else.
    assert_eq!(echo.call("kubernetes.default"), "");
}

#[test]
fn pods_go_on_while_the_node_has_no_containerd_and_no_apiserver() {
    let cluster = Cluster::start(&["services"]);
    let echo = Echo::start(&cluster);
    let before = echo.must(&[
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[*].restartCount}",
    ]);
    for part in ["containerd", "kube-apiserver", "etcd"] {
        cluster.kill(part);
    }
    for part in ["etcd", "kube-apiserver", "containerd"] {
        cluster.start_part(part);
    }
    cluster.wait_until("the apiserver answers again", || cluster.kubectl().run(&["get", "--raw", "/readyz"]).success);
    cluster.wait_until("pods are reached again", || echo.call("echo") == "PONG");
    let after = echo.must(&[
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[*].restartCount}",
    ]);
    assert_eq!(after, before);
}
