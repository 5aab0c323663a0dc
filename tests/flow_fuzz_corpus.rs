//! What fuzzing found stays found: every kept input runs again through its target, on the stable compiler.

use std::{collections::BTreeSet, fs, path::PathBuf};

use klatch_tests::{frames, fuzz::TARGETS, shapes};

fn fuzz_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| {
            let path = entry.expect("an input").path();
            let bytes = fs::read(&path).expect("an input is readable");
            (path, bytes)
        })
        .collect()
}

#[test]
fn every_kept_input_passes() {
    for (name, target) in TARGETS {
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for (path, bytes) in inputs {
            println!("{}", path.display());
            target(&bytes);
        }
    }
}

#[test]
fn the_golden_files_pass_too() {
    let target = |name: &str| TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    for (_, frame) in frames::client() {
        target("client_frame")(frame.encode().as_bytes());
    }
    for (_, frame) in frames::server() {
        target("server_frame")(frame.encode().as_bytes());
    }
    for shape in shapes::http_shapes() {
        target("send_body")(shape.text.as_bytes());
        target("sync_request")(shape.text.as_bytes());
    }
}

#[test]
fn every_target_has_a_binary() {
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).expect("the manifest of the fuzz crate");
    let declared: BTreeSet<_> =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"targets/")?.strip_suffix(".rs\"")).collect();
    assert_eq!(declared, TARGETS.iter().map(|(name, _)| *name).collect());
}
