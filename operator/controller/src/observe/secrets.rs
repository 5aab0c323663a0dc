//! Secrets: of ours only who they are; of the user's only which keys they have.

use futures_util::future::try_join_all;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use klatch_desired::LABEL_INSTANCE;
use kube_client::{Api, Client, api::ListParams};

use super::Reference;
use crate::{
    Key,
    failure::{Failure, Step},
    live,
};

/// A Secret that carries the ChatCluster's name.
#[derive(Debug, Clone)]
pub struct OwnSecret {
    /// Its metadata.
    pub metadata: ObjectMeta,
}

impl OwnSecret {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// One of its labels.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        live::label(&self.metadata, name)
    }

    /// One of its annotations.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        live::annotation(&self.metadata, name)
    }
}

/// A Secret that the user names.
#[derive(Debug, Clone)]
pub struct UserSecret {
    /// As it is named.
    pub reference: Reference,
    /// Whether it is there.
    pub there: bool,
    /// Keys that it lacks.
    pub lacks: Vec<&'static str>,
}

pub(super) async fn own(client: &Client, key: &Key) -> Result<Vec<OwnSecret>, Failure> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let selector = ListParams::default().labels(&format!("{LABEL_INSTANCE}={}", key.name));
    let list = api.list_metadata(&selector).await;
    let list = list.map_err(Failure::api(Step::Observe, || "list secrets".to_owned()))?;
    Ok(list.items.into_iter().map(|one| OwnSecret { metadata: one.metadata }).collect())
}

pub(super) async fn of_user(
    client: &Client,
    key: &Key,
    references: Vec<Reference>,
) -> Result<Vec<UserSecret>, Failure> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    try_join_all(references.into_iter().map(|reference| look(&api, reference))).await
}

async fn look(api: &Api<Secret>, reference: Reference) -> Result<UserSecret, Failure> {
    let found = api.get_opt(&reference.name).await;
    let found = found.map_err(Failure::api(Step::Observe, || format!("get secret {}", reference.name)))?;
    let Some(secret) = found else { return Ok(UserSecret { reference, there: false, lacks: Vec::new() }) };
    let has = |key: &&'static str| secret.data.as_ref().is_some_and(|data| data.contains_key(*key));
    let lacks = reference.keys.iter().copied().filter(|key| !has(key)).collect();
    Ok(UserSecret { reference, there: true, lacks })
}
