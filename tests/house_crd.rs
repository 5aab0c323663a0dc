//! The committed definition is the one that operator/crd makes.

use std::{env, fs, path::PathBuf};

#[test]
fn the_committed_definition_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(klatch_crd::FILE);
    let current = klatch_crd::definition_yaml().expect("YAML");
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("crds/");
        fs::write(&path, &current).expect("a writable definition");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "{} is out of date; UPDATE=1 with this test writes it anew", klatch_crd::FILE);
}
