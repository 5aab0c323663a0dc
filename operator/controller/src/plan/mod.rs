//! What to do next, decided without doing anything: from what is to be and what is so.

pub mod conditions;
pub mod data;
pub mod difference;
pub mod gate;
pub mod hold;
pub mod outcome;
pub mod prune;
pub mod renewal;
pub mod replicas;
pub mod rotation;
pub mod secrets;
pub mod stamp;
pub mod standing;
pub mod volume;

use klatch_desired::{Desired, Object, Phase, Writer};

use crate::{
    kind::Kind,
    live::Live,
    observe::World,
    plan::{stamp::Stamped, standing::Owner},
};

/// Something to do with an object.
#[derive(Debug, Clone)]
pub enum Change {
    /// It is not there under our label: it is looked for by its name, and made.
    Create(Stamped),
    /// It is there, and not as it should be.
    Apply(Stamped, Live),
    /// A volume is too small.
    Expand(volume::Expansion),
    /// A StatefulSet that differs in what cannot be changed is made anew around its pods.
    Renew(Live),
    /// Replicas of a Deployment.
    Replicas(replicas::Write),
}

/// What a phase's objects lack.
#[must_use]
pub fn changes(phase: &Phase, desired: &Desired, owner: &Owner, world: &World) -> Vec<Change> {
    let mut changes = Vec::new();
    for object in &phase.objects {
        let Some(kind) = Kind::of(object.kind()) else { continue };
        let stamped = Stamped::new(kind, object, owner);
        match world.find(kind.name, object.name()) {
            None => changes.push(Change::Create(stamped)),
            Some(live) if hold::is_held(object, live, desired, world) => {}
            Some(live) => changes.extend(change(object, stamped, live, world)),
        }
    }
    for wanted in &desired.replicas {
        if let Some(live) = world.find("Deployment", &wanted.deployment)
            && phase.objects.iter().any(|object| object.kind() == "Deployment" && object.name() == wanted.deployment)
            && let Some(write) = replicas::write(wanted.replicas, wanted.writer == Writer::Operator, live)
        {
            changes.push(Change::Replicas(write));
        }
    }
    changes
}

fn change(object: &Object, stamped: Stamped, live: &Live, world: &World) -> Vec<Change> {
    let mut changes = Vec::new();
    if stamped.kind.name == "StatefulSet" {
        // First: claims that are made later, by what is made anew, are as large from the beginning.
        changes.extend(volume::expansions(object, live, world).into_iter().map(Change::Expand));
        // One that is going already is waited for.
        if volume::is_to_be_renewed(object, live) && live.metadata.deletion_timestamp.is_none() {
            changes.push(Change::Renew(live.clone()));
            return changes;
        }
    }
    // A Job's template is fixed once it is made, and its name changes with what it is told: whatever else this version of the
    // operator would write there stays as it is.
    let kept = stamped.kind.name == "Job" && live.annotation(stamp::APPLIED) != Some(&stamped.hash);
    if !kept && !stamped.is_applied(live) {
        changes.push(Change::Apply(stamped, live.clone()));
    }
    changes
}
