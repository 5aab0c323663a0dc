//! What a resource comes to, before a real apiserver.

use klatch_desired::{Observed, desired};
use klatch_tests::kube::kubectl::Kubectl;
use serde_json::{Value, json};

use super::{
    kube_definition::plane,
    kube_samples::{names, text},
};

/// All objects of a sample as one list.
fn rendered(sample: &str, namespace: &str) -> Value {
    let mut cluster = klatch_crd::check::read_manifest(&text(sample)).unwrap();
    cluster.metadata.namespace = Some(namespace.to_owned());
    let phases = desired(&cluster, &Observed::offline()).phases;
    let objects = phases.into_iter().flat_map(|phase| phase.objects).map(|object| object.document);
    json!({"apiVersion": "v1", "kind": "List", "items": objects.collect::<Vec<_>>()})
}

fn dry_run(kubectl: &Kubectl, list: &Value) -> Result<usize, String> {
    let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    let said = kubectl.with(&apply, &list.to_string());
    // Warnings come on the same way as refusals: Pod Security warns there.
    if said.success && said.error.is_empty() { Ok(said.output.lines().count()) } else { Err(said.error) }
}

#[test]
fn every_object_of_every_good_sample_is_taken_in_strict_mode() {
    let (kubectl, namespace) = (plane().kubectl(), plane().namespace());
    let restricted = "pod-security.kubernetes.io/warn=restricted";
    kubectl.must(&["label", "namespace", &namespace, restricted]);
    for sample in names("good") {
        let list = rendered(&sample, &namespace);
        let objects = list["items"].as_array().unwrap().len();
        assert!(objects > 20, "{sample} comes to {objects} objects only");
        assert_eq!(dry_run(&kubectl, &list), Ok(objects), "{sample}");
    }
}

#[test]
fn a_field_that_no_server_knows_is_refused() {
    let (kubectl, namespace) = (plane().kubectl(), plane().namespace());
    let mut list = rendered("good/ten-lines.yaml", &namespace);
    let deployment = list["items"].as_array_mut().unwrap().iter_mut().find(|one| one["kind"] == "Deployment").unwrap();
    deployment["spec"]["template"]["spec"]["nosuchfield"] = json!(1);
    assert!(dry_run(&kubectl, &list).unwrap_err().contains("nosuchfield"));
}
