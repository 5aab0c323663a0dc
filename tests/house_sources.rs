//! What every source file keeps to.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines of one file: beyond that it holds two rooms.
const MOST_LINES: usize = 500;

/// Words that mean nothing in a name, and words that design gave another name.
const NO_FILE_IS_CALLED: &[&str] =
    &["utils", "util", "common", "manager", "helper", "helpers", "misc", "channel", "conversation"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn sources(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && !name.to_string_lossy().starts_with('.') {
                sources(&path, extension, found);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

fn rust_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["operator", "workloads", "tests"] {
        sources(&root().join(folder), "rs", &mut found);
    }
    assert!(found.len() > 50, "this test looks in the wrong place");
    found
}

#[test]
fn files_are_rooms_not_halls() {
    for path in rust_sources() {
        let lines = fs::read_to_string(&path).expect("a source").lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines, {MOST_LINES} are allowed", path.display());
    }
}

#[test]
fn names_say_what_is_inside() {
    for path in rust_sources() {
        for part in path.strip_prefix(root()).expect("below the root").components() {
            let part = part.as_os_str().to_string_lossy();
            let stem = part.trim_end_matches(".rs");
            assert!(!NO_FILE_IS_CALLED.contains(&stem), "{}: {stem:?} says nothing", path.display());
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    for path in rust_sources() {
        let text = fs::read_to_string(&path).expect("a source");
        for mark in marks {
            assert!(!text.contains(mark), "{} holds {mark:?}", path.display());
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let mut manifests = Vec::new();
    sources(&root(), "toml", &mut manifests);
    for manifest in manifests.iter().filter(|path| path.ends_with("Cargo.toml")) {
        let text = fs::read_to_string(manifest).expect("a manifest");
        let excluded = text.contains("cargo-fuzz = true");
        if text.contains("[package]") && !excluded {
            assert!(text.contains("[lints]\nworkspace = true"), "{}: no workspace lints", manifest.display());
        }
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace");
    assert!(workspace.contains("unsafe_code = \"forbid\""));
}
