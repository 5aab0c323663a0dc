//! Writes into a Secret that is there.

use k8s_openapi::api::core::v1::Secret;
use kube_client::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::Value;

use crate::{
    failure::{Failure, Step},
    plan::standing::Owner,
};

/// Merges a document into a Secret (RFC 7386): all of it or nothing, and nothing where the document's `metadata` names another `uid` or
/// `resourceVersion` than it has. Of the answer only that there is one: what is in the Secret is nobody's business here.
///
/// # Errors
/// What the apiserver said.
pub(super) async fn patch_secret(
    client: &Client,
    owner: &Owner,
    name: &str,
    document: &Value,
    what: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let patched = api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(document)).await;
    patched.map(drop).map_err(Failure::api(Step::Apply, what))
}
