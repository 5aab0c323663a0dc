//! Server-side apply, by which every field has an owner (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>).

use klatch_desired::MANAGER;
use kube_client::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::Done;
use crate::{
    failure::{Failure, Step},
    live::Live,
    observe::api,
    plan::{
        stamp::Stamped,
        standing::{Owner, Standing, standing},
    },
};

/// What came of it.
#[derive(Debug)]
pub enum Applied {
    /// The object as it is now.
    Live(Box<Live>),
    /// One of this name is not ours: whose it is.
    Not(Standing, String),
}

impl From<Applied> for Done {
    fn from(applied: Applied) -> Self {
        match applied {
            Applied::Live(live) => Self::Live(live),
            Applied::Not(Standing::Predecessor, what) => Self::InTheWay(what),
            Applied::Not(_, what) => Self::Foreign(what),
        }
    }
}

/// Makes an object that our label does not find. One that has lost its label is found by its name; one of somebody else's is left
/// alone, without a field of it being written.
///
/// # Errors
/// What the apiserver said.
pub async fn create(client: &Client, owner: &Owner, stamped: &Stamped) -> Result<Applied, Failure> {
    let api = api(client, &owner.namespace, &stamped.kind.resource());
    let what = || format!("look for {} {}", stamped.kind.name, stamped.name);
    match api.get_opt(&stamped.name).await.map_err(Failure::api(Step::Apply, what))? {
        Some(found) => apply(client, owner, stamped, &Live::new(stamped.kind, &found)).await,
        // Nobody's fields can be in conflict with those of an object that is new; if there are any, it is somebody else's.
        None => send(client, owner, stamped, None).await,
    }
}

/// Puts our fields of an object to what they are to be, whoever changed them: the object is ours.
///
/// # Errors
/// What the apiserver said.
pub async fn apply(client: &Client, owner: &Owner, stamped: &Stamped, live: &Live) -> Result<Applied, Failure> {
    let what = || format!("{} {}", stamped.kind.name, stamped.name);
    match standing(&live.metadata, owner) {
        Standing::Ours if live.metadata.deletion_timestamp.is_some() => {
            Ok(Applied::Not(Standing::Predecessor, format!("{}, which is being deleted", what())))
        }
        Standing::Ours => send(client, owner, stamped, Some(live)).await,
        not => Ok(Applied::Not(not, what())),
    }
}

async fn send(client: &Client, owner: &Owner, stamped: &Stamped, live: Option<&Live>) -> Result<Applied, Failure> {
    let api = api(client, &owner.namespace, &stamped.kind.resource());
    let mut document = stamped.document.clone();
    let mut parameters = PatchParams::apply(MANAGER);
    if let Some(live) = live {
        // A namesake that came meanwhile has another identity, and is refused.
        document["metadata"]["uid"] = json!(live.uid());
        parameters = parameters.force();
    }
    let what = || format!("apply {} {}", stamped.kind.name, stamped.name);
    let applied = api.patch(&stamped.name, &parameters, &Patch::Apply(&document)).await;
    let applied = applied.map_err(Failure::api(Step::Apply, what))?;
    Ok(Applied::Live(Box::new(Live::new(stamped.kind, &applied))))
}
