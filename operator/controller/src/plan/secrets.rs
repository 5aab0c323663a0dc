//! Which Secrets are to be made, and which are to belong to somebody else.

use klatch_crd::DeletionPolicy;
use klatch_desired::{Content, Desired, LABEL_CLUSTER, SecretShape};

use super::{
    data::USED_BY,
    standing::{Owner, Standing, standing},
};
use crate::{
    live::controller,
    observe::{OwnSecret, World},
};

/// Leaves out what carries the ChatCluster's name and is of others, as of a Helm release of the same name: it is never written to. Where
/// it has a name that we want, making ours says so. Credentials of data stay, whoever's: [`data`](super::data::data) tells whose they are.
pub fn leave_out_foreign(world: &mut World, owner: &Owner) {
    world
        .secrets
        .retain(|secret| secret.label(LABEL_CLUSTER).is_some() || secret_standing(secret, owner) != Standing::Foreign);
}

/// Secrets that are not there.
#[must_use]
pub fn missing<'a>(desired: &'a Desired, world: &World) -> Vec<&'a SecretShape> {
    desired.secrets().filter(|shape| world.secret(&shape.name).is_none()).collect()
}

/// The Secret with such content, where one is wanted and there.
pub fn with_content<'a>(
    desired: &'a Desired,
    world: &'a World,
    is_such: impl Fn(&Content) -> bool,
) -> Option<(&'a SecretShape, &'a OwnSecret)> {
    let shape = desired.secrets().find(|shape| shape.keys.values().any(&is_such))?;
    Some((shape, world.secret(&shape.name)?))
}

/// Annotation of Secrets: the keys of its shape that were made, as [`SecretShape::note`] has them.
pub const KEYS: &str = "klatch.dev/keys";

/// Secrets that do not say that they have every key of their shape: an operator of an earlier version made them, or somebody put
/// them back from a backup.
#[must_use]
pub fn unfinished<'a>(desired: &'a Desired, world: &'a World) -> Vec<(&'a SecretShape, &'a OwnSecret)> {
    let of = |shape: &'a SecretShape| {
        let secret = world.secret(&shape.name)?;
        (secret.annotation(KEYS) != Some(&shape.note())).then_some((shape, secret))
    };
    desired.secrets().filter_map(of).collect()
}

/// A Secret of ours whose owner is another than it should be: with the policy Delete it ends with the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// Its name.
    pub name: String,
    /// The version that was looked at.
    pub resource_version: String,
    /// Whether it is to be owned.
    pub owned: bool,
}

/// Whether a Secret of this shape ends with the resource.
#[must_use]
pub fn is_owned(shape: &SecretShape, policy: DeletionPolicy) -> bool {
    !shape.retained || policy == DeletionPolicy::Delete
}

/// Secrets to hand over.
#[must_use]
pub fn handovers(desired: &Desired, policy: DeletionPolicy, owner: &Owner, world: &World) -> Vec<Handover> {
    let of = |shape: &SecretShape| {
        let secret = world.secret(&shape.name)?;
        let owned = is_owned(shape, policy);
        let is = controller(&secret.metadata).is_some_and(|one| one.uid == owner.uid);
        (is != owned).then(|| Handover {
            name: shape.name.clone(),
            resource_version: secret.metadata.resource_version.clone().unwrap_or_default(),
            owned,
        })
    };
    desired.secrets().filter_map(of).collect()
}

/// Whose a Secret with a name that we want is.
#[must_use]
pub fn secret_standing(secret: &OwnSecret, owner: &Owner) -> Standing {
    match secret.annotation(USED_BY) {
        Some(uid) if uid == owner.uid => Standing::Ours,
        _ => standing(&secret.metadata, owner),
    }
}
