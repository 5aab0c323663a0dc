//! What is wanted no more.

use std::collections::BTreeSet;

use klatch_desired::{Desired, LABEL_COMPONENT};

use super::{
    gate,
    standing::{Owner, Standing, standing},
};
use crate::{
    live::{Live, controller},
    observe::World,
};

/// Configurations of a part that are kept beside the one in use: a rollback by hand finds what it mounts.
const KEPT: usize = 3;

/// Objects to delete: ours by owner and by label, of a kind that is pruned, and in no phase. Only for a pass that has seen
/// everything and written everything. While something is not ready yet, no configuration goes: pods of an earlier
/// one may be those that serve, and come back with what they mount.
#[must_use]
pub fn unwanted<'a>(desired: &Desired, owner: &Owner, world: &'a World) -> Vec<&'a Live> {
    let wanted: BTreeSet<_> = desired.objects().map(|object| (object.kind(), object.name())).collect();
    let ours = |live: &&Live| {
        live.kind.pruned
            && !wanted.contains(&(live.kind.name, live.name()))
            && controller(&live.metadata).is_some()
            && standing(&live.metadata, owner) == Standing::Ours
            && live.metadata.deletion_timestamp.is_none()
    };
    let (configurations, mut rest): (Vec<_>, Vec<_>) =
        world.objects.iter().filter(ours).partition(|live| live.kind.name == "ConfigMap");
    if gate::waiting(desired, world).is_empty() {
        rest.extend(old(configurations));
    }
    rest
}

/// All but the newest of each part.
fn old(mut configurations: Vec<&Live>) -> Vec<&Live> {
    configurations.sort_by(|one, other| {
        let at = |live: &Live| live.metadata.creation_timestamp.clone().map(|time| time.0);
        (at(other), other.name()).cmp(&(at(one), one.name()))
    });
    let mut kept: Vec<&str> = Vec::new();
    configurations.retain(|live| {
        let part = live.label(LABEL_COMPONENT).unwrap_or_default();
        let keep = kept.iter().filter(|one| **one == part).count() < KEPT;
        if keep {
            kept.push(part);
        }
        !keep
    });
    configurations
}
