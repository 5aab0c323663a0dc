//! Whether the next phase may begin.

use klatch_desired::{Desired, Gate, Phase, Step};

use crate::{live::Live, observe::World};

/// A gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// The next phase may begin.
    Yes,
    /// Not yet: what is waited for.
    Waiting(String),
    /// It will not open until the user does something.
    Failed {
        /// Reason of the condition.
        reason: &'static str,
        /// For people.
        message: String,
    },
}

/// What the brokers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// All that is to be.
    There,
    /// Nobody knows: a broker does not answer.
    Unknown(String),
}

/// Whether what follows a phase may begin. The first time everything waits for everything before it; later a part that is down
/// must not keep the others from being looked after, so what was passed once stays passed.
#[must_use]
pub fn gate(phase: &Phase, desired: &Desired, world: &World, topology: Option<&Topology>) -> Open {
    match phase.gate {
        Gate::Applied => Open::Yes,
        Gate::ServicesReady => {
            let waiting = waiting_for(phase, "StatefulSet", world, stateful_set_ready);
            // The schema of this very version is there, so the services were, too.
            if job(desired, world).is_some_and(is_complete) { Open::Yes } else { waiting }
        }
        Gate::JobComplete => match job(desired, world) {
            None => Open::Waiting("the Job that makes the schema".to_owned()),
            Some(job) if is_complete(job) => Open::Yes,
            Some(job) => match job.condition("Failed") {
                Some((true, message)) => {
                    Open::Failed { reason: "MigrationFailed", message: format!("Job {} failed: {message}", job.name()) }
                }
                _ => Open::Waiting(format!("Job {}", job.name())),
            },
        },
        Gate::TopologyThere => match topology {
            Some(Topology::There) => Open::Yes,
            Some(Topology::Unknown(_)) | None if later_exist(desired, Step::Topology, "Deployment", world) => Open::Yes,
            Some(Topology::Unknown(why)) => Open::Waiting(format!("the brokers: {why}")),
            None => Open::Waiting("the brokers".to_owned()),
        },
        Gate::WorkloadsReady => {
            let waiting = waiting_for(phase, "Deployment", world, deployment_ready);
            let later = [Step::Scaling, Step::Endpoint].into_iter().all(|step| exist(desired, step, world));
            if later { Open::Yes } else { waiting }
        }
    }
}

/// What a phase waits for, whatever its gate.
#[must_use]
pub fn not_ready(phase: &Phase, world: &World) -> Vec<String> {
    let waiting = [("StatefulSet", stateful_set_ready as fn(&Live) -> bool), ("Deployment", deployment_ready)];
    waiting.into_iter().flat_map(|(kind, ready)| missing(phase, kind, world, ready)).map(str::to_owned).collect()
}

/// What is not ready of everything that is wanted.
#[must_use]
pub fn waiting(desired: &Desired, world: &World) -> Vec<String> {
    desired.phases.iter().flat_map(|phase| not_ready(phase, world)).collect()
}

fn waiting_for(phase: &Phase, kind: &str, world: &World, ready: fn(&Live) -> bool) -> Open {
    let missing: Vec<_> = missing(phase, kind, world, ready).collect();
    if missing.is_empty() { Open::Yes } else { Open::Waiting(missing.join(", ")) }
}

/// Objects of a kind that are wanted and not ready.
fn missing<'a>(
    phase: &'a Phase,
    kind: &'a str,
    world: &'a World,
    ready: fn(&Live) -> bool,
) -> impl Iterator<Item = &'a str> {
    let wanted = phase.objects.iter().filter(move |object| object.kind() == kind).map(|object| object.name());
    wanted.filter(move |name| !world.find(kind, name).is_some_and(ready))
}

/// The Job of this version, if the cluster holds it.
#[must_use]
pub fn job<'a>(desired: &Desired, world: &'a World) -> Option<&'a Live> {
    world.find("Job", desired.objects().find(|object| object.kind() == "Job")?.name())
}

/// Whether a Job has done its work.
#[must_use]
pub fn is_complete(job: &Live) -> bool {
    job.condition("Complete").is_some_and(|(complete, _)| complete)
}

fn exist(desired: &Desired, step: Step, world: &World) -> bool {
    let phases = desired.phases.iter().filter(|phase| phase.step == step);
    phases.flat_map(|phase| &phase.objects).all(|object| world.find(object.kind(), object.name()).is_some())
}

/// Whether all objects of a kind that come after a step are there.
fn later_exist(desired: &Desired, step: Step, kind: &str, world: &World) -> bool {
    let later = desired.phases.iter().filter(|phase| phase.step > step).flat_map(|phase| &phase.objects);
    later.filter(|object| object.kind() == kind).all(|object| world.find(kind, object.name()).is_some())
}

/// All replicas are ready, and of the newest revision.
#[must_use]
pub fn stateful_set_ready(live: &Live) -> bool {
    let wanted = live.number("/spec/replicas").unwrap_or(1);
    let status = |field: &str| live.number(&format!("/status/{field}")).unwrap_or(0);
    seen(live) && status("readyReplicas") >= wanted && status("updatedReplicas") >= wanted
}

/// Rolled out: all replicas are of the newest revision and available, and none of an older one is left.
#[must_use]
pub fn deployment_ready(live: &Live) -> bool {
    let wanted = live.number("/spec/replicas").unwrap_or(1);
    let status = |field: &str| live.number(&format!("/status/{field}")).unwrap_or(0);
    seen(live)
        && status("availableReplicas") >= wanted
        && status("updatedReplicas") >= wanted
        && status("replicas") <= status("updatedReplicas")
}

/// Whether the status is about the spec as it is.
fn seen(live: &Live) -> bool {
    live.number("/status/observedGeneration").unwrap_or(0) >= live.metadata.generation.unwrap_or(0)
}
