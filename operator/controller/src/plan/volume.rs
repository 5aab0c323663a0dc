//! Volumes that grow. A StatefulSet's claims cannot be changed: each volume is enlarged by itself, and then the StatefulSet is made
//! anew around its pods, which do not notice.

use klatch_crd::Quantity;
use klatch_desired::Object;

use crate::{live::Live, observe::World};

const SIZE: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
const REQUEST: &str = "/spec/resources/requests/storage";

/// A volume to enlarge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// The claim.
    pub claim: String,
    /// Its identity.
    pub uid: String,
    /// The version that was looked at.
    pub resource_version: String,
    /// The size it is to have.
    pub size: String,
}

fn units(text: Option<&str>) -> Option<u64> {
    Quantity(text?.to_owned()).units()
}

fn wanted(object: &Object) -> Option<&str> {
    object.document.pointer(SIZE)?.as_str()
}

/// Volumes of a StatefulSet that are smaller than they should be.
#[must_use]
pub fn expansions(object: &Object, live: &Live, world: &World) -> Vec<Expansion> {
    let Some(size) = wanted(object) else { return Vec::new() };
    let replicas = live.number("/spec/replicas").unwrap_or(1);
    let claims = (0..replicas)
        .filter_map(|number| world.find("PersistentVolumeClaim", &format!("data-{}-{number}", live.name())));
    let small = claims.filter(|claim| units(claim.text(REQUEST)) < units(Some(size)));
    small
        .map(|claim| Expansion {
            claim: claim.name().to_owned(),
            uid: claim.uid().to_owned(),
            resource_version: claim.metadata.resource_version.clone().unwrap_or_default(),
            size: size.to_owned(),
        })
        .collect()
}

/// Whether a StatefulSet would make claims of another size than it should.
#[must_use]
pub fn claims_changed(object: &Object, live: &Live) -> bool {
    let Some(size) = wanted(object) else { return false };
    units(live.text(SIZE)) != units(Some(size))
}
