//! What to do next, decided without doing anything: from what is to be and what is so.

pub mod conditions;
pub mod data;
pub mod difference;
pub mod gate;
pub mod outcome;
pub mod prune;
pub mod renewal;
pub mod replicas;
pub mod rotation;
pub mod secrets;
pub mod stamp;
pub mod standing;
pub mod volume;

use klatch_desired::{Object, Phase, Writer};

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
pub fn changes(phase: &Phase, replicas: &[klatch_desired::Replicas], owner: &Owner, world: &World) -> Vec<Change> {
    let mut changes = Vec::new();
    for object in &phase.objects {
        let Some(kind) = Kind::of(object.kind()) else { continue };
        let stamped = Stamped::new(kind, object, owner);
        match world.find(kind.name, object.name()) {
            None => changes.push(Change::Create(stamped)),
            Some(live) => changes.extend(change(object, stamped, live, world)),
        }
    }
    for wanted in replicas {
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
    if stamped.kind.name == "StatefulSet" {
        let expansions = volume::expansions(object, live, world);
        if !expansions.is_empty() {
            return expansions.into_iter().map(Change::Expand).collect();
        }
        // One that is going already is waited for.
        if volume::is_to_be_renewed(object, live) && live.metadata.deletion_timestamp.is_none() {
            return vec![Change::Renew(live.clone())];
        }
    }
    // A Job's template is fixed once it is made, and its name changes with what it is told: whatever else this version of the
    // operator would write there stays as it is.
    let kept = stamped.kind.name == "Job" && live.annotation(stamp::APPLIED) != Some(&stamped.hash);
    if kept || stamped.is_applied(live) { Vec::new() } else { vec![Change::Apply(stamped, live.clone())] }
}
