//! Deletes what is wanted no more.

use kube_client::{
    Client,
    api::{DeleteParams, Preconditions, PropagationPolicy},
    core::ObjectMeta,
};

use crate::{
    failure::{Failure, Step},
    live::Live,
    observe::api,
    plan::standing::Owner,
};

/// A deletion of the object that was looked at, and of no namesake of it or later state.
pub(crate) fn exactly(metadata: &ObjectMeta, children: PropagationPolicy) -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(children),
        preconditions: Some(Preconditions {
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    }
}

/// Deletes exactly the object that was looked at: a namesake, or one that changed meanwhile, stays.
///
/// # Errors
/// What the apiserver said. What is gone already is no error.
pub async fn prune(client: &Client, owner: &Owner, live: &Live) -> Result<(), Failure> {
    let what = || format!("delete {} {}", live.kind.name, live.name());
    let api = api(client, &owner.namespace, &live.kind.resource());
    match api.delete(live.name(), &exactly(&live.metadata, PropagationPolicy::Background)).await {
        Err(error) if Failure::is_not_found(&error) => Ok(()),
        other => other.map(drop).map_err(Failure::api(Step::Prune, what)),
    }
}
