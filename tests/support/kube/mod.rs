//! A real Kubernetes for the tests of the tiers `kube_*` and `cluster_*`, built by `tests/kube/build` and gone with the test
//! process, whatever becomes of it.

pub mod audit;
pub mod brokers;
pub mod charts;
pub mod chat;
pub mod cluster;
pub mod container;
pub mod control_plane;
pub mod crowd;
pub mod fuse;
pub mod gateway_api;
pub mod gateways;
pub mod kubectl;
pub mod kubelet;
pub mod life;
pub mod operator;
mod part;
pub mod port_forward;
pub mod rights;
pub mod scene;
pub mod snapshot;
pub mod stand_in;
pub mod standing;
mod sweeper;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A script of `tests/kube`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kube").join(name)
}

/// Helm: the one that `KLATCH_HELM` names, else one that is built once.
#[must_use]
pub fn helm() -> PathBuf {
    std::env::var_os("KLATCH_HELM").map_or_else(|| built("helm"), PathBuf::from)
}

/// What `tests/kube/build` makes, now or long ago.
pub(crate) fn built(name: &str) -> PathBuf {
    let made =
        Command::new(script("build")).arg(name).stderr(Stdio::inherit()).output().expect("tests/kube/build runs");
    let path = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    assert!(made.status.success() && !path.is_empty(), "tests/kube/build {name} fails");
    PathBuf::from(path)
}
