//! Whose data there is. A ChatCluster's own identity is the id of the data it begins; volumes and credentials carry it, and stay
//! when the resource goes. A later one of the same name takes them back only with the user's word.

use std::collections::BTreeSet;

use klatch_desired::LABEL_CLUSTER;

use super::standing::Owner;
use crate::observe::World;

/// Annotation of a ChatCluster: the id of the retained data that it is to go on with.
pub const ADOPT: &str = "klatch.dev/adopt-data";
/// Annotation of retained Secrets: the ChatCluster that uses them now.
pub const USED_BY: &str = "klatch.dev/used-by";

/// Whose data there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// None, or this ChatCluster's: its id.
    Ours(String),
    /// An earlier one's, which this one may have: its id, and the Secrets that do not say so yet.
    Adopted {
        /// The id.
        id: String,
        /// Secrets to mark.
        secrets: Vec<String>,
    },
    /// An earlier one's, and nobody has said that this one may have it.
    Found {
        /// For people.
        message: String,
    },
}

/// Looks at what was retained. `consent` is the ChatCluster's annotation [`ADOPT`].
#[must_use]
pub fn data(world: &World, owner: &Owner, consent: Option<&str>) -> Data {
    let retained: Vec<_> = world.secrets.iter().filter(|secret| secret.label(LABEL_CLUSTER).is_some()).collect();
    let mut ids: BTreeSet<&str> = retained.iter().filter_map(|secret| secret.label(LABEL_CLUSTER)).collect();
    let volumes: BTreeSet<&str> =
        world.of_kind("PersistentVolumeClaim").filter_map(|claim| claim.label(LABEL_CLUSTER)).collect();
    if ids.is_empty() && !volumes.is_empty() {
        return without_credentials(&volumes, owner);
    }
    ids.extend(volumes);
    let mut ids = ids.into_iter();
    let (first, second) = (ids.next(), ids.next());
    let Some(id) = first else { return Data::Ours(owner.uid.clone()) };
    if let Some(other) = second {
        let message = format!(
            "volumes and Secrets of {} hold data of two clusters, {id} and {other}: delete those of one of them",
            owner.name
        );
        return Data::Found { message };
    }
    let foreign = retained.iter().filter(|secret| secret.annotation(USED_BY) != Some(owner.uid.as_str()));
    let secrets: Vec<_> = foreign.map(|secret| secret.name().to_owned()).collect();
    if secrets.is_empty() {
        Data::Ours(id.to_owned())
    } else if consent == Some(id) {
        Data::Adopted { id: id.to_owned(), secrets }
    } else {
        Data::Found { message: found(id, owner) }
    }
}

fn found(id: &str, owner: &Owner) -> String {
    format!(
        "there is data of an earlier ChatCluster {name}: to go on with it, kubectl annotate -n {namespace} chat {name} {ADOPT}={id}; \
         to begin anew, delete its volumes and Secrets: kubectl delete -n {namespace} pvc,secret -l {LABEL_CLUSTER}={id}",
        name = owner.name,
        namespace = owner.namespace,
    )
}

fn without_credentials(volumes: &BTreeSet<&str>, owner: &Owner) -> Data {
    if volumes.len() == 1 && volumes.contains(owner.uid.as_str()) {
        // Somebody deleted the Secrets of a running cluster: new ones would not open what is there.
        let message = format!(
            "the credentials of the data are gone, and new ones would not open it: put the Secrets of {} back from a backup, or \
             delete its volumes",
            owner.name
        );
        return Data::Found { message };
    }
    let id = volumes.iter().next().copied().unwrap_or_default();
    let message = format!(
        "there are volumes of an earlier ChatCluster {name} without the Secrets that open them: put those back from a backup, or \
         kubectl delete -n {namespace} pvc -l {LABEL_CLUSTER}={id}",
        name = owner.name,
        namespace = owner.namespace,
    );
    Data::Found { message }
}
