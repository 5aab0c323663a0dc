//! A plan for people.

use std::collections::BTreeMap;

use klatch_crd::ChatCluster;
use klatch_desired::{Desired, Gate, Object, Phase, Role, Step, Writer};

use crate::output::{BOLD, DIM, Form, RED, YELLOW};

/// Lines for people.
pub(super) fn render(cluster: &ChatCluster, desired: &Desired, form: Form) -> String {
    let mut lines = vec![heading(cluster, form), String::new()];
    for (number, phase) in desired.phases.iter().enumerate() {
        lines.push(form.paint(BOLD, &format!("{}. {}", number + 1, phase.step.title())));
        lines.extend(entries(desired, phase).into_iter().map(|line| format!("   {line}")));
        if let Some(gate) = gate(phase.gate) {
            lines.push(form.paint(DIM, &format!("   then waits until {gate}")));
        }
    }
    lines.push(String::new());
    lines.extend(sizes(desired, form));
    if !desired.warnings.is_empty() {
        lines.push(String::new());
        lines.push(form.paint(BOLD, "to know"));
        for warning in &desired.warnings {
            let style = if warning.blocking { RED } else { YELLOW };
            let label = form.paint(style, &format!("{}/{}", warning.condition, warning.reason));
            lines.push(format!("   {label}: {}", warning.sentence));
        }
    }
    lines.join("\n")
}

fn heading(cluster: &ChatCluster, form: Form) -> String {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let namespace = cluster.metadata.namespace.as_ref().map(|one| format!(" in {one}")).unwrap_or_default();
    let paused = if cluster.spec.paused { "; it is paused, so nothing is done" } else { "" };
    format!("{}{namespace}: Klatch {}{paused}", form.paint(BOLD, name), cluster.spec.version)
}

const fn gate(gate: Gate) -> Option<&'static str> {
    match gate {
        Gate::Applied => None,
        Gate::ServicesReady => Some("all of them are ready"),
        Gate::JobComplete => Some("the Job is complete"),
        Gate::TopologyThere => Some("the brokers hold all of it"),
        Gate::WorkloadsReady => Some("all of them are rolled out"),
    }
}

/// What a phase is made of: kinds with names, those of which there are many only counted.
fn entries(desired: &Desired, phase: &Phase) -> Vec<String> {
    if phase.step == Step::Topology {
        return topology(desired);
    }
    let mut by_kind: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
    for object in &phase.objects {
        by_kind.entry(object.kind()).or_default().push(object);
    }
    let mut lines: Vec<_> = phase.secrets.iter().map(|secret| secret.name.as_str()).collect();
    let mut entries = Vec::new();
    if !lines.is_empty() {
        entries.push(format!("{:<24} {}", "Secret", lines.join(", ")));
    }
    for (kind, objects) in by_kind {
        lines = objects.iter().map(|object| object.name()).collect();
        let shown = if matches!(kind, "Deployment" | "StatefulSet") {
            objects.iter().map(|object| with_size(desired, object)).collect::<Vec<_>>().join(", ")
        } else {
            lines.join(", ")
        };
        entries.push(format!("{kind:<24} {shown}"));
    }
    if entries.is_empty() {
        entries.push("nothing".to_owned());
    }
    entries
}

/// A name, with how many pods it has and the volume of each.
fn with_size(desired: &Desired, object: &Object) -> String {
    let name = object.name();
    if let Some(replicas) = desired.replicas.iter().find(|one| one.deployment == name) {
        let from = if replicas.writer == Writer::SeedOnly { "from " } else { "" };
        return format!("{name} ({from}{})", replicas.replicas);
    }
    let replicas = object.document["spec"]["replicas"].as_u64().unwrap_or(1);
    let claim = object.document.pointer("/spec/volumeClaimTemplates/0/spec/resources/requests/storage");
    match claim.and_then(serde_json::Value::as_str) {
        Some(storage) => format!("{name} ({replicas} x {storage})"),
        None => format!("{name} ({replicas})"),
    }
}

fn topology(desired: &Desired) -> Vec<String> {
    let line = |plan: &klatch_desired::BrokerPlan| {
        format!(
            "{}: vhost {}, {} users, {} exchanges, {} queues, {} bindings",
            plan.management,
            plan.vhost,
            plan.users.len(),
            plan.exchanges.len(),
            plan.queues.len(),
            plan.bindings.len()
        )
    };
    desired.topology.brokers.iter().map(line).collect()
}

fn sizes(desired: &Desired, form: Form) -> Vec<String> {
    let sizes = &desired.sizes;
    let mut lines = vec![
        form.paint(BOLD, "sizes"),
        form.paint(DIM, &format!("   {:<22} {:>9}  connections of each", "", "replicas")),
    ];
    for size in &sizes.workloads {
        let replicas =
            if size.least == size.most { size.least.to_string() } else { format!("{}-{}", size.least, size.most) };
        let pools = match size.role {
            Role::Gateway => "none: chat servers open no database".to_owned(),
            _ => format!(
                "{} to the directory, {} + {} to each shard (writing, reading)",
                size.pools.directory, size.pools.shard_writers, size.pools.shard_readers
            ),
        };
        lines.push(format!("   {:<22} {replicas:>9}  {pools}", size.role.name()));
    }
    for (what, connections) in [("the directory", sizes.directory), ("each shard", sizes.shard)] {
        lines.push(format!(
            "   all replicas together: at most {} of {} connections to {what}",
            connections.used, connections.most
        ));
    }
    lines.push(format!("   {} shards", sizes.shards));
    lines
}
