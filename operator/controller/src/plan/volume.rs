//! Volumes that grow. A StatefulSet's claims cannot be changed: each volume is enlarged by itself, and then the StatefulSet is made
//! anew around its pods, which do not notice. So it is where the way it manages pods is another.

use klatch_crd::Quantity;
use klatch_desired::Object;
use serde_json::Value;

use crate::{live::Live, observe::World};

const SIZE: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
const MANAGEMENT: &str = "/spec/podManagementPolicy";
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

/// Whether a StatefulSet differs in what cannot be changed: the size of its claims, or how it manages its pods.
#[must_use]
pub fn is_to_be_renewed(object: &Object, live: &Live) -> bool {
    let sized = wanted(object).is_some_and(|size| units(live.text(SIZE)) != units(Some(size)));
    let management = object.document.pointer(MANAGEMENT).and_then(Value::as_str);
    sized || management.is_some_and(|management| live.text(MANAGEMENT) != Some(management))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kind;

    #[test]
    fn what_cannot_be_changed_is_made_anew() {
        let set = |management: &str, size: Option<&str>| {
            let claim = |size| json!({"spec": {"resources": {"requests": {"storage": size}}}});
            let claims: Vec<_> = size.into_iter().map(claim).collect();
            json!({"metadata": {"name": "chat"}, "spec": {"podManagementPolicy": management, "volumeClaimTemplates": claims}})
        };
        let anew = |wanted: Value, live: Value| {
            let live = Live::new(Kind::of("StatefulSet").unwrap(), &serde_json::from_value(live).unwrap());
            is_to_be_renewed(&Object { document: wanted, owned: true }, &live)
        };
        let wanted = || set("Parallel", Some("10Gi"));
        assert!(!anew(wanted(), set("Parallel", Some("10240Mi"))), "the same size in other words");
        assert!(anew(wanted(), set("Parallel", Some("5Gi"))));
        assert!(anew(wanted(), set("OrderedReady", Some("10Gi"))), "as the operator before made it");
        assert!(anew(set("Parallel", None), set("OrderedReady", None)), "one without volumes, too");
        assert!(!anew(set("Parallel", None), set("Parallel", None)));
    }
}
