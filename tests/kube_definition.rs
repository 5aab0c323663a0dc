//! The definition of ChatCluster, in a real apiserver.

use std::{path::Path, sync::OnceLock};

use klatch_tests::kube::{control_plane::ControlPlane, kubectl::Kubectl};

/// The shared control plane, which knows ChatClusters, and HTTPRoutes.
pub fn plane() -> &'static ControlPlane {
    static TAKEN: OnceLock<()> = OnceLock::new();
    let plane = ControlPlane::shared();
    TAKEN.get_or_init(|| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(klatch_crd::FILE);
        let kubectl = plane.kubectl();
        plane.create_gateway_api();
        kubectl.must(&["create", "--validate=strict", "-f", &file.display().to_string()]);
        kubectl.must(&["wait", "--for=condition=Established", "--timeout=60s", "crd/chatclusters.klatch.dev"]);
        wait_served(&kubectl);
    });
    plane
}

/// Established is what the server means to serve: a moment passes until each of its parts does.
fn wait_served(kubectl: &Kubectl) {
    let began = std::time::Instant::now();
    while !kubectl.run(&["get", "chatclusters"]).success || !kubectl.run(&["explain", "chat.spec"]).success {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "ChatClusters are not served");
    }
}

#[test]
fn the_server_takes_it_without_a_reservation() {
    let conditions =
        plane().kubectl().must(&["get", "crd", "chatclusters.klatch.dev", "-o", "jsonpath={.status.conditions}"]);
    let conditions: Vec<serde_json::Value> = serde_json::from_str(&conditions).unwrap();
    let status = |kind: &str| conditions.iter().find(|one| one["type"] == kind).map(|one| one["status"].clone());
    assert_eq!(status("Established"), Some("True".into()), "{conditions:#?}");
    assert_eq!(status("NamesAccepted"), Some("True".into()), "{conditions:#?}");
    // Present and True when the schema has a fault.
    assert!(matches!(status("NonStructuralSchema"), None | Some(serde_json::Value::String(_))), "{conditions:#?}");
    assert_ne!(status("NonStructuralSchema"), Some("True".into()), "{conditions:#?}");
}

#[test]
fn every_field_explains_itself() {
    let kubectl = plane().kubectl();
    let all = kubectl.must(&["explain", "chat", "--recursive"]);
    for word in ["shardSets", "targetConnections", "deletionPolicy", "observedGeneration"] {
        assert!(all.contains(word), "{word} is missing in\n{all}");
    }
    let sets = kubectl.must(&["explain", "chat.spec.messages.shardSets"]);
    assert!(sets.contains("DESCRIPTION") && sets.contains("shards") && !sets.contains("<no description>"), "{sets}");
    assert!(sets.contains("ENUM") || sets.contains("enum"), "what may be written is listed:\n{sets}");
}

#[test]
fn a_list_tells_at_a_glance() {
    let (kubectl, namespace) = (plane().kubectl(), plane().namespace());
    let sample = super::kube_samples::text("good/ten-lines.yaml");
    kubectl.must_with(&["create", "--namespace", &namespace, "-f", "-"], &sample);
    let listed = kubectl.must(&["get", "chat", "--namespace", &namespace]);
    let columns = ["NAME", "READY", "REASON", "VERSION", "GATEWAYS", "CONNECTIONS", "ADDRESS", "AGE"];
    assert_eq!(listed.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), columns, "{listed}");
    assert!(listed.lines().nth(1).unwrap().starts_with("chat "), "{listed}");
    // By the category too.
    assert!(kubectl.must(&["get", "klatch", "--namespace", &namespace]).contains("chat"));
}
