//! The keys that sign access tokens. When each of them signs stands in itself, so they are read; nothing of them is kept here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use klatch_domain::Timestamp;
use klatch_identity::{KEY_FILE, new_key_file, rotation::Due, signs_from};
use kube_client::{Api, Client};
use serde_json::{Value, json};

use super::patch_secret::patch_secret;
use crate::{
    failure::{Failure, Step},
    plan::{rotation::ASKED, standing::Owner},
};

/// The keys there are.
#[derive(Debug)]
pub struct SigningKeys {
    /// Each one's file, and from when on it signs.
    pub keys: Vec<(String, Timestamp)>,
    uid: Option<String>,
    resource_version: Option<String>,
}

/// Reads when each key signs. `Err` inside: a file that holds no key.
///
/// # Errors
/// What the apiserver said.
pub async fn read_signing_keys(
    client: &Client,
    owner: &Owner,
    name: &str,
) -> Result<Result<SigningKeys, String>, Failure> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let found = api.get(name).await.map_err(Failure::api(Step::Observe, || format!("read Secret {name}")))?;
    let files = found.data.into_iter().flatten().filter(|(file, _)| file.ends_with(KEY_FILE));
    let read = files.map(|(file, key)| signs_from(&key.0).map(|from| (file.clone(), from)).ok_or(file));
    let keys: Result<Vec<_>, String> = read.collect();
    let (uid, resource_version) = (found.metadata.uid, found.metadata.resource_version);
    Ok(keys.map(|keys| SigningKeys { keys, uid, resource_version }))
}

/// Makes and forgets keys, and notes the value that asked for one: all or nothing, and nothing when somebody else has written meanwhile.
///
/// # Errors
/// What the apiserver said, or that the system gives no random numbers.
pub async fn write_signing_keys(
    client: &Client,
    owner: &Owner,
    name: &str,
    seen: &SigningKeys,
    due: &Due,
    asked: Option<&str>,
) -> Result<(), Failure> {
    let what = || format!("make the next signing key of Secret {name}");
    let mut data: BTreeMap<String, Value> = due.forget.iter().map(|file| (file.clone(), Value::Null)).collect();
    if let Some(from) = due.make {
        let (file, key) = new_key_file(from).map_err(|error| Failure::passing(Step::Apply, what(), error))?;
        data.insert(file, json!(k8s_openapi::ByteString(key)));
    }
    let mut document = json!({"metadata": {"uid": seen.uid, "resourceVersion": seen.resource_version}, "data": data});
    if let Some(asked) = asked {
        document["metadata"]["annotations"][ASKED] = json!(asked);
    }
    patch_secret(client, owner, name, &document, what).await
}
