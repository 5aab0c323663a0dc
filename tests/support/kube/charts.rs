//! Helm on our charts, without a cluster.

use std::{path::Path, process::Command};

use super::helm;

/// Where charts/ and deploy/ stand.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What Helm says there.
///
/// # Errors
/// What it complains about.
///
/// # Panics
/// When it does not start.
pub fn run(arguments: &[&str]) -> Result<String, String> {
    let said = Command::new(helm()).args(arguments).current_dir(root()).output().expect("Helm starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
}

/// The operator's objects in the namespace `klatch`.
///
/// # Errors
/// What Helm complains about.
///
/// # Panics
/// When it does not start.
pub fn template(more: &[&str]) -> Result<String, String> {
    let chart =
        ["template", "klatch-operator", "charts/klatch-operator", "--namespace=klatch", "--kube-version=1.34.0"];
    run(&[&chart, more].concat())
}
