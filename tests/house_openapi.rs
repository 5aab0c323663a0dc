//! The committed OpenAPI document is the one the server serves.

use std::{env, fs, path::PathBuf};

#[test]
fn the_committed_document_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../workloads/api/openapi.json");
    let current = klatch_api::openapi().to_pretty_json().expect("JSON") + "\n";
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &current).expect("a writable openapi.json");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "workloads/api/openapi.json is out of date; UPDATE=1 with this test writes it anew");
}
