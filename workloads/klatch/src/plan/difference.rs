//! `klatch plan --diff`: what would change in a cluster. The objects are those that the operator would send, to the byte, so what is
//! shown is what an apply of the manifest comes to.

use std::{collections::BTreeSet, io::ErrorKind, process::ExitCode};

use anyhow::Context;
use klatch_crd::ChatCluster;
use klatch_desired::{
    Desired, LABEL_INSTANCE, Login, MANAGER, Names, Observed, Owner, ROTATION, Writer, desired, rotation_secret,
};
use serde_json::{Value, json};

use super::kubectl;
use crate::{
    failure::{Cause, Failure},
    output,
};

/// Kinds whose objects the operator deletes when they are wanted no more.
const DELETED: &str = "services,statefulsets,jobs,poddisruptionbudgets,horizontalpodautoscalers,ingresses";
/// Exit code: something would change.
const DIFFERENT: u8 = 1;

/// Shows it.
///
/// # Errors
/// A cluster that does not answer.
pub(super) fn show(mut cluster: ChatCluster) -> anyhow::Result<ExitCode> {
    let (name, namespace) = (text(cluster.metadata.name.as_ref()), text(cluster.metadata.namespace.as_ref()));
    let live = kubectl::get(&["chatclusters.klatch.dev", &name, "--namespace", &namespace])?;
    let Some(live) = live else {
        let all = format!("there is no ChatCluster {name} in {namespace}: all of it would be made; see without --diff");
        return tell(&[all], DIFFERENT);
    };
    cluster.metadata.uid = live.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
    let owner = Owner::of(&cluster);
    let selector = format!("{LABEL_INSTANCE}={name},app.kubernetes.io/managed-by={MANAGER}");
    let of = |kinds: &str| kubectl::get(&[kinds, "--namespace", &namespace, "--selector", &selector]);
    let there = of(DELETED)?.unwrap_or_default();
    let deployments = of("deployments")?.unwrap_or_default();
    let (login, rotations) = logins(&cluster, &namespace)?;
    let cluster_id = cluster_id(&there).unwrap_or_else(|| owner.uid.clone());
    let observed = Observed { cluster_id, login, rotations, http_routes: true };
    let desired = desired(&cluster, &observed);
    let mut lines = replicas(&desired, &deployments);
    lines.extend(deletions(&desired, &there));
    let policies = of("networkpolicies")?.unwrap_or_default();
    let mut objects: Vec<_> = desired.objects().map(|object| object.stamped(&owner).0).collect();
    objects.iter_mut().for_each(|object| leave_out_empty_rules(object, &policies));
    let differ = kubectl::diff(&json!({"apiVersion": "v1", "kind": "List", "items": objects}), MANAGER)?;
    if differ || !lines.is_empty() {
        return tell(&lines, DIFFERENT);
    }
    tell(&["nothing would change".to_owned()], 0)
}

/// What was found is what the exit code says, whether somebody reads the lines or has gone.
fn tell(lines: &[String], code: u8) -> anyhow::Result<ExitCode> {
    match lines.iter().try_for_each(|line| output::line(line)) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(ExitCode::from(code)),
    }
}

/// Of what went wrong, what has no exit code of its own gets one: 1 would say that something differs.
pub(super) fn undecided(error: anyhow::Error) -> anyhow::Error {
    let told = error.chain().filter_map(|cause| cause.downcast_ref::<Failure>()).any(|one| one.cause != Cause::Local);
    if told { error } else { Failure::undecided(format!("{error:#}")).into() }
}

/// Which logins are in use, and how often they were made new. What the Secret holds beside that is looked at by nobody.
fn logins(cluster: &ChatCluster, namespace: &str) -> anyhow::Result<(Login, u32)> {
    let name = rotation_secret(&Names::new(cluster));
    let secret = kubectl::get(&["secrets", &name, "--namespace", namespace])?.unwrap_or_default();
    let text = secret["metadata"]["annotations"][ROTATION].as_str().unwrap_or("{}");
    let state: Value = serde_json::from_str(text).with_context(|| format!("annotation {ROTATION} of Secret {name}"))?;
    let login = Login::of(state["login"].as_str().unwrap_or_default());
    Ok((login, state["rotations"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)))
}

fn text(some: Option<&String>) -> String {
    some.cloned().unwrap_or_default()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

/// As the services of the cluster know it: data that was taken over has an earlier one's.
fn cluster_id(there: &Value) -> Option<String> {
    let environments = items(there).filter_map(|one| one.pointer("/spec/template/spec/containers/0/env"));
    let mut variables = environments.filter_map(Value::as_array).flatten();
    let found = variables.find(|one| one["name"] == klatch_settings::dependency::ENV_CLUSTER_ID)?;
    found["value"].as_str().map(str::to_owned)
}

/// An apiserver keeps no empty list of rules, and counts a generation for each apply of one
/// (<https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/registry/networking/networkpolicy/strategy.go>): where there are
/// none, none are said, or a plan would always show four changes.
fn leave_out_empty_rules(object: &mut Value, policies: &Value) {
    if object["kind"] != "NetworkPolicy" {
        return;
    }
    let name = object["metadata"]["name"].clone();
    let Some(live) = items(policies).find(|live| live["metadata"]["name"] == name) else { return };
    for rules in ["ingress", "egress"] {
        let none = |spec: &Value| spec[rules].as_array().is_none_or(Vec::is_empty);
        if none(&live["spec"])
            && none(&object["spec"])
            && let Some(spec) = object["spec"].as_object_mut()
        {
            spec.remove(rules);
        }
    }
}

fn replicas(desired: &Desired, deployments: &Value) -> Vec<String> {
    let fixed = desired.replicas.iter().filter(|one| one.writer == Writer::Operator);
    let changed = fixed.filter_map(|one| {
        let live = items(deployments).find(|live| live["metadata"]["name"] == one.deployment.as_str())?;
        let is = live["spec"]["replicas"].as_u64()?;
        (is != u64::from(one.replicas))
            .then(|| format!("replicas of Deployment {}: {is} now, {} then", one.deployment, one.replicas))
    });
    changed.collect()
}

fn deletions(desired: &Desired, there: &Value) -> Vec<String> {
    let wanted: BTreeSet<_> = desired.objects().map(|object| (object.kind(), object.name())).collect();
    let name = |one: &Value| Some((one["kind"].as_str()?.to_owned(), one["metadata"]["name"].as_str()?.to_owned()));
    let unwanted =
        items(there).filter_map(name).filter(|(kind, name)| !wanted.contains(&(kind.as_str(), name.as_str())));
    unwanted.map(|(kind, name)| format!("{kind} {name} would be deleted")).collect()
}
