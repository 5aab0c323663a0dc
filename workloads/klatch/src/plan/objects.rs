//! Every object as YAML.

use std::fmt::Write as _;

use anyhow::Context;
use klatch_desired::Desired;

/// Documents in the order they are applied; what is no document is a comment.
///
/// # Errors
/// An object that is no YAML, which would be a defect.
pub(super) fn render(desired: &Desired) -> anyhow::Result<String> {
    let mut text = String::new();
    for phase in &desired.phases {
        writeln!(text, "# {}", phase.step.title())?;
        for secret in &phase.secrets {
            let keys: Vec<_> = secret.keys.keys().map(String::as_str).collect();
            writeln!(text, "# Secret {}, made by the operator: {}", secret.name, keys.join(", "))?;
        }
        for object in &phase.objects {
            let document = serde_saphyr::to_string(&object.document)
                .with_context(|| format!("{} {} is no YAML", object.kind(), object.name()))?;
            write!(text, "---\n{document}")?;
        }
    }
    for replicas in &desired.replicas {
        writeln!(text, "# Deployment {}: {} replicas, written apart from it", replicas.deployment, replicas.replicas)?;
    }
    writeln!(text, "# On the brokers, by their management API:")?;
    let topology = serde_saphyr::to_string(&desired.topology).context("the topology is no YAML")?;
    for line in topology.lines() {
        writeln!(text, "# {line}")?;
    }
    Ok(text)
}
