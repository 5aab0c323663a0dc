//! Every sample below `tests/samples/chatcluster` before a real apiserver: the good ones are taken, each bad one gets its sentence.
//! What `klatch-crd` says offline is held to the same sentences, by a test of its own.

use std::{fs, path::PathBuf};

use klatch_tests::kube::kubectl::{Kubectl, Said};

use super::kube_definition::plane;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/chatcluster")
}

/// A sample, such as `good/ten-lines.yaml`.
pub fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The names of all samples of a kind, in order.
pub fn names(kind: &str) -> Vec<String> {
    let found = fs::read_dir(folder().join(kind)).unwrap();
    let mut names: Vec<_> = found.map(|entry| format!("{kind}/{}", entry.unwrap().file_name().display())).collect();
    names.sort();
    names
}

/// Samples say their namespace, or leave it to whoever applies them.
fn create_namespaces(kubectl: &Kubectl) {
    for name in names("good") {
        if let Ok(cluster) = klatch_crd::check::read_manifest(&text(&name))
            && let Some(namespace) = cluster.metadata.namespace
        {
            // It may be there.
            let _ = kubectl.run(&["create", "namespace", &namespace]);
        }
    }
}

#[test]
fn good_samples_are_taken() {
    let kubectl = plane().kubectl();
    create_namespaces(&kubectl);
    assert!(names("good").len() >= 5);
    for name in names("good") {
        let said = kubectl.with(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], &text(&name));
        assert!(said.success, "{name}: {}", said.error);
        assert_eq!(said.error, "", "{name}: taken with a warning");
    }
}

#[test]
fn bad_samples_get_their_sentence() {
    let kubectl = plane().kubectl();
    let all = names("bad");
    assert!(all.len() >= 30);
    let wrong: Vec<_> = all.iter().filter_map(|name| complaint(&kubectl, name)).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

fn complaint(kubectl: &Kubectl, name: &str) -> Option<String> {
    let text = text(name);
    let sentence = text.lines().next().unwrap().strip_prefix("# refused: ").expect("a sentence in the first line");
    let Said { success, error, .. } = match text.split_once("\n---\n") {
        None => kubectl.with(&["create", "--dry-run=server", "-f", "-"], &text),
        Some((old, new)) => change(kubectl, old, new),
    };
    let refused = !success && error.contains(sentence) && mistakes(&error) == 1;
    (!refused).then(|| format!("{name} wants {sentence:?}, gets {error:?}"))
}

/// More than one is a list. Of a field of a wrong type the server says in it that it does not go on to the rules.
fn mistakes(error: &str) -> usize {
    let listed =
        error.lines().filter(|line| line.starts_with("* ") && !line.contains("some validation rules were not checked"));
    listed.count().max(1)
}

fn change(kubectl: &Kubectl, old: &str, new: &str) -> Said {
    let namespace = plane().namespace();
    let inside = ["--namespace", &namespace, "-f", "-"];
    kubectl.must_with(&[&["create"], &inside[..]].concat(), old);
    kubectl.with(&[&["replace", "--dry-run=server"], &inside[..]].concat(), new)
}
