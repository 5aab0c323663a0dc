//! `UPDATE=1` writes the golden files anew: then read the difference as whoever runs a cluster would; a changed pod template
//! restarts that pod everywhere.

use std::{env, fmt::Write as _, fs};

use super::{root, samples};
use crate::{Desired, Observed, desired};

/// Everything of it as YAML, in order.
fn text(desired: &Desired) -> String {
    let mut text = String::new();
    for phase in &desired.phases {
        writeln!(text, "# {:?}, then {:?}", phase.step, phase.gate).unwrap();
        for secret in &phase.secrets {
            writeln!(text, "# secret {} (retained: {}): {:?}", secret.name, secret.retained, secret.keys).unwrap();
        }
        for object in &phase.objects {
            write!(text, "---\n{}", serde_saphyr::to_string(&object.document).unwrap()).unwrap();
        }
    }
    for replicas in &desired.replicas {
        writeln!(text, "# replicas of {}: {} by {:?}", replicas.deployment, replicas.replicas, replicas.writer)
            .unwrap();
    }
    writeln!(text, "# topology\n---\n{}", serde_saphyr::to_string(&desired.topology).unwrap()).unwrap();
    for warning in &desired.warnings {
        writeln!(text, "# {}={}: {}", warning.condition, warning.reason, warning.sentence).unwrap();
    }
    text
}

#[test]
fn every_good_sample_comes_to_what_is_written_down() {
    let mut old = Vec::new();
    for (name, cluster) in samples() {
        let path = root().join(format!("tests/golden/desired/{name}.yaml"));
        let now = text(&desired(&cluster, &Observed::offline()));
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, &now).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != now {
            old.push(name);
        }
    }
    assert!(old.is_empty(), "{old:?} differ; UPDATE=1 cargo test -p klatch-desired writes them anew");
}
