//! New passwords.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use klatch_desired::{LABEL_INSTANCE, Login, SecretShape};
use kube_client::{Api, Client, api::ListParams};
use serde_json::{Value, json};

use super::patch_secret::patch_secret;
use crate::{
    failure::{Failure, Step},
    make,
    observe::OwnSecret,
    plan::{
        rotation::{RENEWED, Rotation, STATE},
        standing::Owner,
    },
};

/// Makes the passwords of a login new, and notes in which half: both or neither.
///
/// # Errors
/// What the apiserver said, or that the system gives no random numbers.
pub async fn renew_logins(
    client: &Client,
    owner: &Owner,
    shape: &SecretShape,
    seen: &OwnSecret,
    login: Login,
    number: u32,
) -> Result<(), Failure> {
    let what = || format!("make passwords of Secret {} new", shape.name);
    let mut data = BTreeMap::new();
    for key in shape.keys_of(login) {
        data.insert(key, make::new_password().map_err(|error| Failure::passing(Step::Apply, what(), error))?);
    }
    let document = json!({"metadata": {"annotations": {RENEWED: number.to_string()}}, "data": data});
    patch(client, owner, seen, document, what).await
}

/// Notes how far a rotation has come.
///
/// # Errors
/// What the apiserver said.
pub async fn note_rotation(client: &Client, owner: &Owner, seen: &OwnSecret, state: &Rotation) -> Result<(), Failure> {
    let text = json!(state).to_string();
    let document = json!({"metadata": {"annotations": {STATE: text}}});
    patch(client, owner, seen, document, || "note how far the rotation has come".to_owned()).await
}

/// Only to what was looked at: one that somebody else has written meanwhile is looked at again.
async fn patch(
    client: &Client,
    owner: &Owner,
    seen: &OwnSecret,
    mut document: Value,
    what: impl FnOnce() -> String,
) -> Result<(), Failure> {
    document["metadata"]["uid"] = json!(seen.metadata.uid);
    document["metadata"]["resourceVersion"] = json!(seen.metadata.resource_version);
    patch_secret(client, owner, seen.name(), &document, what).await
}

/// Whether pods of the ChatCluster are on their way out: they go by the old passwords still.
///
/// # Errors
/// What the apiserver said.
pub async fn any_pod_ends(client: &Client, owner: &Owner) -> Result<bool, Failure> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &owner.namespace);
    let selector = ListParams::default().labels(&format!("{LABEL_INSTANCE}={}", owner.name));
    let pods = api.list_metadata(&selector).await.map_err(Failure::api(Step::Observe, || "list pods".to_owned()))?;
    Ok(pods.items.iter().any(|pod| pod.metadata.deletion_timestamp.is_some()))
}
