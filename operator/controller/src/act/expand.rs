//! Volumes that grow.

use kube_client::{
    Client,
    api::{Patch, PatchParams, PropagationPolicy},
};
use serde_json::json;

use super::prune::exactly;
use crate::{
    failure::{Failure, Step},
    kind::Kind,
    live::Live,
    observe::api,
    plan::{standing::Owner, volume::Expansion},
};

/// Asks for a larger volume.
///
/// # Errors
/// What the apiserver said; a class that cannot enlarge its volumes is refused by it.
pub async fn expand(client: &Client, owner: &Owner, expansion: &Expansion) -> Result<(), Failure> {
    let what = || format!("enlarge volume {} to {}", expansion.claim, expansion.size);
    let Some(kind) = Kind::of("PersistentVolumeClaim") else {
        return Err(Failure::passing(Step::Apply, what(), "the kind is not known"));
    };
    let document = json!({
        "metadata": {"uid": expansion.uid, "resourceVersion": expansion.resource_version},
        "spec": {"resources": {"requests": {"storage": expansion.size}}},
    });
    let api = api(client, &owner.namespace, &kind.resource());
    let patched = api.patch(&expansion.claim, &PatchParams::default(), &Patch::Merge(&document)).await;
    patched.map(drop).map_err(Failure::api(Step::Apply, what))
}

/// Deletes a StatefulSet and leaves its pods, for the next pass to make it around them again.
///
/// # Errors
/// What the apiserver said.
pub async fn renew(client: &Client, owner: &Owner, live: &Live) -> Result<(), Failure> {
    let what = || format!("renew StatefulSet {}", live.name());
    let api = api(client, &owner.namespace, &live.kind.resource());
    api.delete(live.name(), &exactly(&live.metadata, PropagationPolicy::Orphan))
        .await
        .map(drop)
        .map_err(Failure::api(Step::Apply, what))
}
