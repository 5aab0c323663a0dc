//! Secrets: made once, never overwritten. Keys that a later version wants beside are added.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use klatch_desired::{MANAGER, SecretShape};
use kube_client::{Api, Client, Error, api::PostParams, core::ObjectMeta};
use serde_json::json;

use super::{
    Applied, Done,
    certificate::{believe_also, first_note},
    patch_secret::patch_secret,
};
use crate::{
    failure::{Failure, Step},
    make,
    observe::OwnSecret,
    plan::{
        data::USED_BY,
        secrets::{KEYS, secret_standing},
        standing::{Owner, Standing},
    },
};

/// Makes a Secret of this shape, which was not there a moment ago. One that came meanwhile stays as it is, and the next pass sees whose
/// it is.
///
/// # Errors
/// What the apiserver said, or that the system gives no random numbers.
pub async fn create_secret(
    client: &Client,
    owner: &Owner,
    labels: &BTreeMap<String, String>,
    shape: &SecretShape,
    owned: bool,
) -> Result<(), Failure> {
    let what = || format!("make Secret {}", shape.name);
    let data = make::contents(shape, &owner.namespace).map_err(|error| Failure::passing(Step::Apply, what(), error))?;
    let mut annotations: BTreeMap<_, _> =
        [(USED_BY.to_owned(), owner.uid.clone()), (KEYS.to_owned(), shape.note())].into();
    annotations.extend(first_note(&data, make::now()));
    let reference = serde_json::from_value(owner.reference()).ok().filter(|_| owned);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(shape.name.clone()),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels.clone()),
            annotations: Some(annotations),
            owner_references: reference.map(|one| vec![one]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&parameters, &secret).await {
        Ok(_) => Ok(()),
        // Made by a pass whose answer was lost, or by somebody else.
        Err(Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(Failure::api(Step::Apply, what)(error)),
    }
}

/// Looks by its name for a Secret that no list shows, and puts back the labels that lists go by, if it is ours: somebody took them off,
/// or put it back from a backup without them. `None`: there is none of this name.
///
/// # Errors
/// What the apiserver said.
pub async fn label_secret(
    client: &Client,
    owner: &Owner,
    labels: &BTreeMap<String, String>,
    shape: &SecretShape,
) -> Result<Option<Done>, Failure> {
    let (name, what) = (&shape.name, || format!("look for Secret {}", shape.name));
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let found = api.get_metadata_opt(name).await.map_err(Failure::api(Step::Apply, what))?;
    let Some(found) = found else { return Ok(None) };
    let secret = OwnSecret { metadata: found.metadata };
    Ok(Some(match secret_standing(&secret, owner) {
        Standing::Ours => {
            let seen = json!({"labels": labels, "uid": secret.metadata.uid});
            let what = || format!("put back the labels of Secret {name}");
            patch_secret(client, owner, name, &json!({"metadata": seen}), what).await?;
            Done::Other
        }
        not => Applied::Not(not, format!("Secret {name}")).into(),
    }))
}

/// Adds the keys of its shape that a Secret lacks, and notes that it has all of them: both or neither, and nothing when somebody else
/// has written meanwhile.
///
/// # Errors
/// What the apiserver said, or that the system gives no random numbers.
pub async fn finish_secret(
    client: &Client,
    owner: &Owner,
    shape: &SecretShape,
    seen: &OwnSecret,
) -> Result<(), Failure> {
    let what = || format!("add keys to Secret {}", shape.name);
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let found = api.get(&shape.name).await.map_err(Failure::api(Step::Apply, what))?;
    let there: BTreeSet<_> = found.data.iter().flatten().map(|(key, _)| key.clone()).collect();
    // A certificate comes with its key and authority, whatever is left of an earlier one: they go together.
    let made = make::contents(&shape.lacking(&there), &owner.namespace);
    let mut data = made.map_err(|error| Failure::passing(Step::Apply, what(), error))?;
    believe_also(&mut data, found.data.as_ref());
    let document = json!({
        "metadata": {
            "annotations": {KEYS: shape.note()},
            "uid": seen.metadata.uid,
            "resourceVersion": found.metadata.resource_version,
        },
        "data": data,
    });
    patch_secret(client, owner, &shape.name, &document, what).await
}
