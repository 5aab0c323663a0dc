//! Replicas, by their own manager.

use kube_client::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    failure::{Failure, Step},
    kind::Kind,
    live::Live,
    observe::api,
    plan::{
        replicas::{MANAGER, SEEDED, Write},
        standing::Owner,
    },
};

/// Writes them, with the note that they were written.
///
/// # Errors
/// What the apiserver said.
pub async fn write_replicas(client: &Client, owner: &Owner, write: &Write) -> Result<Live, Failure> {
    let what = || format!("write replicas of Deployment {}", write.deployment);
    let Some(kind) = Kind::of("Deployment") else {
        return Err(Failure::passing(Step::Apply, what(), "the kind is not known"));
    };
    let document = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": write.deployment, "namespace": owner.namespace, "uid": write.uid,
            "annotations": {SEEDED: write.replicas.to_string()},
        },
        "spec": {"replicas": write.replicas},
    });
    let api = api(client, &owner.namespace, &kind.resource());
    let written = api.patch(&write.deployment, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&document)).await;
    Ok(Live::new(kind, &written.map_err(Failure::api(Step::Apply, what))?))
}
