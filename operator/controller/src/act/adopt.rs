//! Whose retained Secrets are.

use k8s_openapi::api::core::v1::Secret;
use kube_client::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    failure::{Failure, Step},
    plan::{data::USED_BY, secrets::Handover, standing::Owner},
};

/// Notes on a retained Secret that this ChatCluster uses it now.
///
/// # Errors
/// What the apiserver said.
pub async fn adopt(client: &Client, owner: &Owner, name: &str) -> Result<(), Failure> {
    let what = || format!("take over Secret {name}");
    patch(client, owner, name, &json!({"metadata": {"annotations": {USED_BY: owner.uid}}}), what).await
}

/// Lets a Secret end with the ChatCluster, or not.
///
/// # Errors
/// What the apiserver said.
pub async fn hand_over(client: &Client, owner: &Owner, handover: &Handover) -> Result<(), Failure> {
    let owners = if handover.owned { json!([owner.reference()]) } else { Value::Null };
    let document = json!({"metadata": {"ownerReferences": owners, "resourceVersion": handover.resource_version}});
    let what = || format!("hand over Secret {}", handover.name);
    patch(client, owner, &handover.name, &document, what).await
}

async fn patch(
    client: &Client,
    owner: &Owner,
    name: &str,
    document: &Value,
    what: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    // Of the answer only that there is one: what is in the Secret is nobody's business here.
    let patched = api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(document)).await;
    patched.map(drop).map_err(Failure::api(Step::Apply, what))
}
