//! What a ten-line ChatCluster stands on starts on a real node, as it is rendered.

use std::{fs, path::Path};

use klatch_desired::{Content, Observed, SecretShape, Step, desired};
use klatch_tests::kube::cluster::Cluster;
use serde_json::{Value, json};

/// Any password does: the same for all, 32 bytes in hexadecimal digits.
const PASSWORD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn secret(shape: &SecretShape) -> Value {
    let text = |content: &Content| match content {
        Content::Password => PASSWORD,
        // The services have none.
        Content::Certificate(_) | Content::SigningKeys => "",
    };
    let data: serde_json::Map<_, _> =
        shape.keys.iter().map(|(key, content)| (key.clone(), text(content).into())).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": shape.name}, "stringData": data})
}

#[test]
fn postgresql_rabbitmq_and_redis_of_ten_lines_become_ready() {
    let cluster = Cluster::shared();
    let (kubectl, namespace) = (cluster.kubectl(), cluster.namespace());
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/chatcluster/good/ten-lines.yaml");
    let mut resource = klatch_crd::read_manifest(&fs::read_to_string(sample).unwrap()).unwrap();
    resource.metadata.namespace = Some(namespace.clone());
    let phases = desired(&resource, &Observed::offline()).phases;
    let mut sets = Vec::new();
    for phase in phases.into_iter().filter(|phase| matches!(phase.step, Step::Ground | Step::Services)) {
        let mut items: Vec<_> = phase.secrets.iter().map(secret).collect();
        items.extend(phase.objects.into_iter().map(|object| object.document));
        sets.extend(
            items
                .iter()
                .filter(|one| one["kind"] == "StatefulSet")
                .map(|one| one["metadata"]["name"].as_str().unwrap().to_owned()),
        );
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        kubectl.must_with(&["--namespace", &namespace, "apply", "--server-side", "-f", "-"], &list);
    }
    assert_eq!(sets.len(), 5, "three databases, a broker, a cache: {sets:?}");
    for set in &sets {
        let rollout = ["--namespace", &namespace, "rollout", "status", "--timeout=300s"];
        let said = kubectl.run(&[&rollout[..], &[&format!("statefulset/{set}")]].concat());
        assert!(said.success, "{set}: {}\n{}", said.error, told(&kubectl, &namespace));
    }
}

/// What a person would look at next.
fn told(kubectl: &klatch_tests::kube::kubectl::Kubectl, namespace: &str) -> String {
    let look = |arguments: &[&str]| kubectl.run(&[&["--namespace", namespace], arguments].concat()).output;
    let logs = ["logs", "--all-containers", "--prefix", "--tail=20", "--selector=app.kubernetes.io/instance=chat"];
    [look(&["get", "pods,pvc"]), look(&["get", "events"]), look(&logs)].join("\n")
}
