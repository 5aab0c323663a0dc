//! Doing it: one file a verb.

mod adopt;
mod apply;
mod certificate;
mod create_secret;
mod expand;
mod patch_secret;
mod prune;
mod read_termination;
mod replicas;
pub mod report;
mod rotate;
mod signing;

use kube_client::Client;

pub use adopt::{adopt, hand_over};
pub use apply::{Applied, apply, create};
pub use certificate::{SeenCertificate, read_certificate, write_certificate};
pub use create_secret::{create_secret, finish_secret, label_secret};
pub use expand::{expand, renew};
pub(crate) use prune::exactly;
pub use prune::prune;
pub use read_termination::read_termination;
pub use replicas::write_replicas;
pub use rotate::{any_pod_ends, note_rotation, renew_logins};
pub use signing::{read_signing_keys, write_signing_keys};

use crate::{
    failure::Failure,
    live::Live,
    plan::{Change, standing::Owner},
};

/// What came of a change.
#[derive(Debug)]
pub enum Done {
    /// The object as it is now.
    Live(Box<Live>),
    /// It is gone, and is made anew at the next pass.
    Gone,
    /// An object of this name is somebody else's.
    Foreign(String),
    /// An object of a ChatCluster that is gone is in the way; it goes by itself.
    InTheWay(String),
    /// Something that is not looked at again.
    Other,
}

/// Makes a change.
///
/// # Errors
/// What the apiserver said.
pub async fn make(client: &Client, owner: &Owner, change: &Change) -> Result<Done, Failure> {
    match change {
        Change::Create(stamped) => create(client, owner, stamped).await.map(Into::into),
        Change::Apply(stamped, live) => apply(client, owner, stamped, live).await.map(Into::into),
        Change::Expand(expansion) => expand(client, owner, expansion).await.map(|()| Done::Other),
        Change::Renew(live) => renew(client, owner, live).await.map(|()| Done::Gone),
        Change::Replicas(write) => write_replicas(client, owner, write).await.map(|live| Done::Live(Box::new(live))),
    }
}
