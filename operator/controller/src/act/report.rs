//! Says how it is: the status, and an Event when it has changed.

use jiff::Timestamp;
use klatch_crd::{ChatCluster, ChatClusterStatus, GROUP, VERSION};
use kube_client::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use kube_runtime::events::{Event, EventType};
use serde_json::json;

use crate::{
    failure::{Failure, Step},
    operator::Operator,
    plan::{
        conditions::{View, status},
        standing::Owner,
    },
};

/// Who owns the status.
const MANAGER: &str = "klatch-operator-status";

/// Writes what has changed.
///
/// # Errors
/// What the apiserver said about the status; an Event that is lost is lost.
pub async fn report(operator: &Operator, owner: &Owner, view: &View<'_>) -> Result<(), Failure> {
    let new = status(view, Timestamp::now());
    let old = view.cluster.status.clone().unwrap_or_default();
    if new == old {
        return Ok(());
    }
    let document = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "ChatCluster",
        // A namesake that came meanwhile is not told of what is not its.
        "metadata": {"name": owner.name, "namespace": owner.namespace, "uid": owner.uid},
        "status": new,
    });
    let api: Api<ChatCluster> = Api::namespaced(operator.client.clone(), &owner.namespace);
    let parameters = PatchParams::apply(MANAGER).force();
    let patched = api.patch_status(&owner.name, &parameters, &Patch::Apply(&document)).await;
    patched.map_err(Failure::api(Step::Report, || format!("write the status of {}", owner.name)))?;
    if let Some(event) = event(&old, &new) {
        let published = operator.recorder.publish(&event, &view.cluster.object_ref(&())).await;
        if let Err(error) = published {
            tracing::debug!(%error, "an Event is lost");
        }
    }
    Ok(())
}

/// What people hear of: that it is ready, and that it cannot go on.
fn event(old: &ChatClusterStatus, new: &ChatClusterStatus) -> Option<Event> {
    let find = |status: &ChatClusterStatus, kind: &str| {
        status.conditions.iter().find(|one| one.type_ == kind).map(|one| (one.status == "True", one.reason.clone()))
    };
    let (stalled, ready) = (find(new, "Stalled"), find(new, "Ready"));
    let said = |kind: &str| new.conditions.iter().find(|one| one.type_ == kind).map(|one| one.message.clone());
    let of =
        |type_, reason: String, note| Event { type_, reason, note, action: "Reconcile".to_owned(), secondary: None };
    if let Some((true, reason)) = stalled
        && find(old, "Stalled") != Some((true, reason.clone()))
    {
        return Some(of(EventType::Warning, reason, said("Stalled")));
    }
    if let Some((true, reason)) = ready
        && find(old, "Ready").is_none_or(|(was, _)| !was)
    {
        return Some(of(EventType::Normal, reason, said("Ready")));
    }
    None
}
