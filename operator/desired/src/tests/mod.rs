//! What must hold for whatever is wanted. Samples are those of `tests/samples/chatcluster/good`.

mod generate;
mod golden;
mod pods;
mod properties;
mod sizes;

use std::{
    fs,
    path::{Path, PathBuf},
};

use klatch_crd::{ChatCluster, read_manifest};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Name and resource of every good sample.
fn samples() -> Vec<(String, ChatCluster)> {
    let folder = root().join("tests/samples/chatcluster/good");
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(found.len() >= 5);
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, read_manifest(&fs::read_to_string(path).unwrap()).unwrap())
    };
    found.into_iter().map(read).collect()
}

fn sample(name: &str) -> ChatCluster {
    samples().into_iter().find(|(found, _)| found == name).unwrap().1
}
