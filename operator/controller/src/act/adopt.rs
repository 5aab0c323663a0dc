//! Whose retained Secrets are.

use kube_client::Client;
use serde_json::{Value, json};

use super::patch_secret::patch_secret;
use crate::{
    failure::Failure,
    plan::{data::USED_BY, secrets::Handover, standing::Owner},
};

/// Notes on a retained Secret that this ChatCluster uses it now.
///
/// # Errors
/// What the apiserver said.
pub async fn adopt(client: &Client, owner: &Owner, name: &str) -> Result<(), Failure> {
    let what = || format!("take over Secret {name}");
    patch_secret(client, owner, name, &json!({"metadata": {"annotations": {USED_BY: owner.uid}}}), what).await
}

/// Lets a Secret end with the ChatCluster, or not.
///
/// # Errors
/// What the apiserver said.
pub async fn hand_over(client: &Client, owner: &Owner, handover: &Handover) -> Result<(), Failure> {
    let owners = if handover.owned { json!([owner.reference()]) } else { Value::Null };
    let document = json!({"metadata": {"ownerReferences": owners, "resourceVersion": handover.resource_version}});
    let what = || format!("hand over Secret {}", handover.name);
    patch_secret(client, owner, &handover.name, &document, what).await
}
