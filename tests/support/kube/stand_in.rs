//! Stands in for nodes and for the controllers of pods: says of StatefulSets and Deployments that they are ready, and of Jobs that
//! they are done.

use klatch_controller::{kind::Kind, live::Live, observe::api, plan::gate};
use kube_client::{
    Client, Error,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// How Jobs end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// Well.
    Complete,
    /// With this said of them.
    Fail(&'static str),
}

/// Objects of this kind in a namespace.
///
/// # Panics
/// When they cannot be listed.
pub async fn list(client: &Client, namespace: &str, kind: &'static Kind) -> Vec<Live> {
    let list = api(client, namespace, &kind.resource()).list(&ListParams::default()).await.expect("a list");
    list.items.iter().map(|object| Live::new(kind, object)).collect()
}

/// Marks everything of a namespace that is not ready yet.
///
/// # Panics
/// When the apiserver refuses it.
pub async fn mark(client: &Client, namespace: &str, jobs: Jobs) {
    for name in ["StatefulSet", "Deployment", "Job"] {
        let kind = Kind::of(name).expect("a kind");
        let api = api(client, namespace, &kind.resource());
        for live in list(client, namespace, kind).await {
            let Some(status) = status(&live, jobs) else { continue };
            let patch = Patch::Merge(json!({"status": status}));
            match api.patch_status(live.name(), &PatchParams::default(), &patch).await {
                // It went meanwhile.
                Err(Error::Api(status)) if status.code == 404 => {}
                patched => drop(patched.unwrap_or_else(|error| panic!("{name} {}: {error}", live.name()))),
            }
        }
    }
}

fn status(live: &Live, jobs: Jobs) -> Option<Value> {
    let replicas = live.number("/spec/replicas").unwrap_or(1);
    let seen = live.metadata.generation;
    match live.kind.name {
        "StatefulSet" if !gate::stateful_set_ready(live) => Some(json!({
            "observedGeneration": seen, "replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas,
            "currentReplicas": replicas, "availableReplicas": replicas,
        })),
        "Deployment" if !gate::deployment_ready(live) => Some(json!({
            "observedGeneration": seen, "replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas,
            "availableReplicas": replicas,
        })),
        "Job" if live.condition("Complete").is_none() && live.condition("Failed").is_none() => Some(job(jobs)),
        _ => None,
    }
}

fn job(jobs: Jobs) -> Value {
    let now = "2026-01-01T00:00:00Z";
    let condition = |kind: &str, message: &str| {
        json!({"type": kind, "status": "True", "reason": "StandIn", "message": message,
               "lastProbeTime": now, "lastTransitionTime": now})
    };
    match jobs {
        Jobs::Complete => json!({
            "startTime": now, "completionTime": now, "succeeded": 1,
            "conditions": [condition("SuccessCriteriaMet", ""), condition("Complete", "")],
        }),
        Jobs::Fail(message) => json!({
            "startTime": now, "failed": 4,
            "conditions": [condition("FailureTarget", message), condition("Failed", message)],
        }),
    }
}

/// Claims as the controller of StatefulSets makes them, one for each that has none.
///
/// # Panics
/// When the apiserver refuses them.
pub async fn claim(client: &Client, namespace: &str) {
    let (sets, claims) = (Kind::of("StatefulSet").expect("a kind"), Kind::of("PersistentVolumeClaim").expect("a kind"));
    let api = api(client, namespace, &claims.resource());
    for set in list(client, namespace, sets).await {
        let template = &set.document["spec"]["volumeClaimTemplates"][0];
        let name = format!("data-{}-0", set.name());
        if template.is_null() || api.get_opt(&name).await.expect("a claim or none").is_some() {
            continue;
        }
        let labels = &template["metadata"]["labels"];
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": template["spec"],
            "metadata": {"name": name, "labels": labels, "annotations": template["metadata"]["annotations"]},
        });
        let claim = serde_json::from_value(claim).expect("an object");
        api.create(&PostParams::default(), &claim).await.expect("a claim");
    }
}
