//! A pass over one ChatCluster: observe, validate, ask what is to be, find the next step, apply, prune, report.

mod certificate;
mod phases;
mod rotate;
mod signing;
mod topology;

use std::time::{Duration, Instant};

use klatch_crd::ChatCluster;
use klatch_desired::{Desired, Names, Observed, desired};

use crate::{
    Key,
    act::{self, report},
    failure::{Cause, Failure},
    gateways::Aim,
    live::Live,
    observe::{self, World},
    operator::Operator,
    plan::{
        conditions::View,
        data::{ADOPT, Data, data},
        gate::Topology,
        outcome::{Outcome, UNKNOWN_EVERY},
        rotation::{self, ROTATE, Rotation},
        secrets,
        standing::Owner,
    },
};

/// What a pass learns on its way.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) desired: Option<Desired>,
    pub(crate) topology: Option<Topology>,
    /// Volumes that the cluster does not enlarge, in words.
    pub(crate) refused: Option<String>,
    /// How long until something is due that no watch tells.
    pub(crate) due: Option<Duration>,
}

/// A pass that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Whether all is as it should be.
    pub settled: bool,
    /// Until the next one.
    pub next: Duration,
}

/// One pass. Dropping it in between is safe: every step is found again from what is so.
pub async fn pass(operator: &Operator, key: &Key) -> Passed {
    let (begun, mut findings) = (Instant::now(), Findings::default());
    let (outcome, failures) = match observe::resource(&operator.client, key).await {
        Ok(Some(cluster)) if cluster.metadata.deletion_timestamp.is_none() => {
            look_after(operator, key, &cluster, &mut findings).await
        }
        // What it owned ends with it, and what it did not own stays: there is nothing to do.
        Ok(_) => {
            operator.memory.forget(key);
            (Outcome::Settled, 0)
        }
        Err(failure) => count(operator, key, Outcome::Failed(failure)),
    };
    let silent = matches!(findings.topology, Some(Topology::Unknown(_))).then_some(UNKNOWN_EVERY);
    let next = [findings.due, silent].into_iter().flatten().fold(outcome.next(failures), Duration::min);
    operator.metrics.passed(outcome.name(), begun.elapsed());
    match &outcome {
        Outcome::Failed(failure) => tracing::warn!(%key, failures, next_s = next.as_secs(), "{failure}"),
        Outcome::Blocked { reason, message } => tracing::info!(%key, reason, "{message}"),
        other => tracing::debug!(%key, outcome = other.name(), "passed"),
    }
    Passed { settled: matches!(outcome, Outcome::Settled), next }
}

/// Failures in a row.
fn count(operator: &Operator, key: &Key, outcome: Outcome) -> (Outcome, u32) {
    let failures = operator.memory.count(key, matches!(outcome, Outcome::Failed(_)));
    (outcome, failures)
}

async fn look_after(operator: &Operator, key: &Key, cluster: &ChatCluster, findings: &mut Findings) -> (Outcome, u32) {
    operator.memory.refer(key, observe::references(cluster));
    let owner = Owner::of(cluster);
    let (world, outcome) = match observe::world(&operator.client, key, cluster).await {
        Err(failure) => (None, Outcome::Failed(failure)),
        Ok(mut world) => {
            secrets::leave_out_foreign(&mut world, &owner);
            let outcome = step(operator, cluster, &owner, &mut world, findings).await;
            (Some(world), outcome.unwrap_or_else(Outcome::Failed))
        }
    };
    let (outcome, failures) = count(operator, key, outcome);
    let view = View {
        cluster,
        desired: findings.desired.as_ref(),
        world: world.as_ref(),
        topology: findings.topology.as_ref(),
        outcome: &outcome,
        failures,
        connections: operator.memory.connections(key),
    };
    operator.memory.scales(key, aim(cluster), world.as_ref().is_none_or(autoscaling_works));
    match report::report(operator, &owner, &view).await {
        Ok(()) => (outcome, failures),
        // What was done is done; that it could not be told is a reason to come back soon.
        Err(failure) if matches!(outcome, Outcome::Failed(_)) => {
            tracing::debug!(%key, "{failure}");
            (outcome, failures)
        }
        Err(failure) => count(operator, key, Outcome::Failed(failure)),
    }
}

/// What gateways are scaled by.
fn aim(cluster: &ChatCluster) -> Option<Aim> {
    let autoscale = cluster.spec.gateway.scaling.as_ref()?.autoscale.as_ref()?;
    Some(Aim { target: autoscale.target_connections.into(), least: autoscale.min_replicas.into() })
}

fn autoscaling_works(world: &World) -> bool {
    let active = |live: &Live| live.condition("ScalingActive").is_some_and(|(active, _)| active);
    world.of_kind("HorizontalPodAutoscaler").all(active)
}

async fn step(
    operator: &Operator,
    cluster: &ChatCluster,
    owner: &Owner,
    world: &mut World,
    findings: &mut Findings,
) -> Result<Outcome, Failure> {
    let consent = cluster.metadata.annotations.as_ref().and_then(|all| all.get(ADOPT)).map(String::as_str);
    let cluster_id = match data(world, owner, consent) {
        Data::Ours(id) => id,
        Data::Found { message } => return Ok(Outcome::Blocked { reason: "RetainedDataFound", message }),
        Data::Adopted { secrets, .. } if !cluster.spec.paused => {
            for name in &secrets {
                act::adopt(&operator.client, owner, name).await?;
            }
            return Ok(Outcome::Progress { message: "took over the data of an earlier ChatCluster".to_owned() });
        }
        Data::Adopted { id, .. } => id,
    };
    let names = Names::new(cluster);
    let rotation = match Rotation::read(rotation::state_secret(world, &names)) {
        Ok(rotation) => rotation,
        Err(message) => return Ok(Outcome::Blocked { reason: "RotationUnreadable", message }),
    };
    let observed =
        Observed { cluster_id, login: rotation.login(), rotations: rotation.rotations, http_routes: world.http_routes };
    let desired = &*findings.desired.insert(desired(cluster, &observed));
    if cluster.spec.paused {
        return Ok(Outcome::Settled);
    }
    let labels = names.labels();
    let walk = phases::Walk { operator, cluster, owner, cluster_id: &observed.cluster_id, labels: &labels };
    let asked = cluster.metadata.annotations.as_ref().and_then(|all| all.get(ROTATE)).map(String::as_str);
    // First of all: people chat on while something else waits for its user, perhaps for longer than a certificate is good.
    findings.due = certificate::wait(desired, world);
    if let Some(outcome) = walk.certificate(asked, desired, world).await? {
        return Ok(outcome);
    }
    if let Some(blocked) = missing_secret(world, false) {
        return Ok(blocked);
    }
    if let Some(warning) = desired.warnings.iter().find(|warning| warning.blocking) {
        return Ok(Outcome::Blocked { reason: warning.reason, message: warning.sentence.clone() });
    }
    if let Some(outcome) = walk.secrets(desired, world).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = walk.signing_keys(asked, desired, world).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = walk.rotate(&rotation, asked, desired, world, false).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = walk.phases(desired, world, &mut findings.topology, &mut findings.refused).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = walk.prune(desired, world).await? {
        return Ok(outcome);
    }
    if let Some(blocked) = missing_secret(world, true) {
        return Ok(blocked);
    }
    let outcome = walk.settled(desired, world);
    // Brokers that nobody could ask may not know the logins that workloads would change over to.
    if matches!(outcome, Outcome::Settled)
        && findings.topology == Some(Topology::There)
        && let Some(outcome) = walk.rotate(&rotation, asked, desired, world, true).await?
    {
        return Ok(outcome);
    }
    match findings.refused.take() {
        Some(message) if matches!(outcome, Outcome::Settled) => {
            Ok(Outcome::Blocked { reason: "VolumeNotEnlarged", message })
        }
        _ => Ok(outcome),
    }
}

/// A Secret of the user that is not there, or not whole.
fn missing_secret(world: &World, later: bool) -> Option<Outcome> {
    let of_time = world.user_secrets.iter().filter(|secret| secret.reference.later == later);
    let mut sentences = of_time.filter_map(|secret| {
        let name = &secret.reference.name;
        let keys = if secret.there { &secret.lacks } else { &secret.reference.keys };
        match (secret.there, keys.as_slice()) {
            (true, []) => None,
            (true, keys) => Some(format!("Secret {name} lacks {}", keys.join(" and "))),
            (false, []) => Some(format!("there is no Secret {name}")),
            (false, keys) => Some(format!("there is no Secret {name}: make it, with {}", keys.join(" and "))),
        }
    });
    let message = sentences.next()?;
    Some(Outcome::Blocked { reason: "SecretMissing", message })
}

/// Whether the same again soon may help.
pub(crate) const fn passes(failure: &Failure) -> bool {
    matches!(failure.cause, Cause::Passing)
}
