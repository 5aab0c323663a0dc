//! What the status says.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use klatch_crd::{ChatCluster, ChatClusterStatus, GatewayStatus, MessagesStatus, ShardStatus, StatusEndpoint};
use klatch_desired::{Desired, Names, Role, Step};

use super::{
    gate::{self, Topology},
    outcome::Outcome,
};
use crate::{
    failure::{Cause, Failure},
    gateways::is_news,
    observe::World,
    operator::Memory,
};

/// What a status is made of.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The resource.
    pub cluster: &'a ChatCluster,
    /// What is to be, if it came to that.
    pub desired: Option<&'a Desired>,
    /// What is so, if that could be seen.
    pub world: Option<&'a World>,
    /// What the brokers hold, if they were asked.
    pub topology: Option<&'a Topology>,
    /// How the pass ended.
    pub outcome: &'a Outcome,
    /// Failures in a row.
    pub failures: u32,
    /// Connections that gateways hold, if they were asked.
    pub connections: Option<u64>,
}

/// Bytes of a message that a condition takes (the schema of Kubernetes' own conditions).
const MOST_CHARACTERS: usize = 1_500;

struct Writer<'a> {
    old: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    new: Vec<Condition>,
}

impl Writer<'_> {
    fn set(&mut self, kind: &str, status: bool, reason: &str, message: &str) {
        let status = if status { "True" } else { "False" }.to_owned();
        let same = self.old.iter().find(|one| one.type_ == kind && one.status == status);
        self.new.push(Condition {
            type_: kind.to_owned(),
            last_transition_time: same.map_or(Time(self.now), |one| one.last_transition_time.clone()),
            status,
            reason: reason.to_owned(),
            message: message.chars().take(MOST_CHARACTERS).collect(),
            observed_generation: self.generation,
        });
    }

    fn keep(&mut self, kind: &str) -> bool {
        let found = self.old.iter().find(|one| one.type_ == kind);
        self.new.extend(found.cloned());
        found.is_some()
    }
}

/// The status after a pass. Nothing of it changes while nothing changes.
#[must_use]
pub fn status(view: &View<'_>, now: Timestamp) -> ChatClusterStatus {
    let old = view.cluster.status.clone().unwrap_or_default();
    // A failure that may pass at once is not told.
    if matches!(view.outcome, Outcome::Failed(failure) if failure.cause == Cause::Passing && !Memory::is_shown(view.failures))
    {
        return old;
    }
    let generation = view.cluster.metadata.generation;
    let mut writer = Writer { old: &old.conditions, generation, now, new: Vec::new() };
    whole(view, &mut writer);
    let parts = view.desired.zip(view.world);
    match parts {
        Some((desired, world)) => of_parts(view, desired, world, &mut writer),
        None => {
            let rest = old.conditions.iter().filter(|one| !WHOLE.contains(&one.type_.as_str()));
            writer.new.extend(rest.cloned());
        }
    }
    let mut status = ChatClusterStatus { observed_generation: generation, conditions: writer.new, ..old };
    if let Some((desired, world)) = parts {
        let endpoint = |url: &String| StatusEndpoint { name: "web".to_owned(), url: url.clone() };
        status.endpoints = desired.address.iter().map(endpoint).collect();
        status.gateway = gateway(view, world, status.gateway);
        status.messages = Some(messages(desired, world));
        if matches!(view.outcome, Outcome::Settled) && !view.cluster.spec.paused {
            status.version = Some(view.cluster.spec.version.clone());
        }
    }
    status
}

const WHOLE: [&str; 4] = ["Ready", "Reconciling", "Stalled", "Paused"];

/// Ready, Reconciling, Stalled, Paused
/// (<https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>).
fn whole(view: &View<'_>, writer: &mut Writer<'_>) {
    let everything = view.desired.zip(view.world).is_some_and(|(desired, world)| all_ready(desired, world));
    let was_ready = writer
        .old
        .iter()
        .any(|one| one.type_ == "Ready" && one.status == "True" && one.observed_generation == writer.generation);
    let (reconciling, stalled) = match view.outcome {
        Outcome::Settled => (None, None),
        Outcome::Progress { message } => (Some(("Progressing", message.clone())), None),
        Outcome::Waiting { reason, message } => (Some((*reason, message.clone())), None),
        Outcome::Blocked { reason, message } => (None, Some((*reason, with_advice(view, reason, message)))),
        Outcome::Failed(failure @ Failure { cause: Cause::Passing, .. }) => {
            (Some(("Retrying", failure.to_string())), None)
        }
        Outcome::Failed(failure @ Failure { cause: Cause::Forbidden, .. }) => {
            (None, Some(("Forbidden", failure.to_string())))
        }
        Outcome::Failed(failure) => (None, Some(("Rejected", failure.to_string()))),
    };
    match (&reconciling, &stalled) {
        _ if view.cluster.spec.paused => {
            let message = "the operator changes nothing while spec.paused is true";
            writer.set("Ready", everything, if everything { "Ready" } else { "Paused" }, message);
        }
        (None, None) => writer.set("Ready", true, "Ready", "everything runs as it should"),
        // What is put back while people chat on, or what cannot be looked at, is no reason to say that nobody can chat.
        (Some((reason, _)), _) if was_ready && (everything || *reason == "Retrying") => {
            writer.keep("Ready");
        }
        (Some((reason, message)), _) | (_, Some((reason, message))) => writer.set("Ready", false, reason, message),
    }
    match reconciling.filter(|_| !view.cluster.spec.paused) {
        Some((reason, message)) => writer.set("Reconciling", true, reason, &message),
        None => writer.set("Reconciling", false, "Settled", "nothing is under way"),
    }
    match stalled {
        Some((reason, message)) => writer.set("Stalled", true, reason, &message),
        None => writer.set("Stalled", false, "NotStalled", "nothing is asked of you"),
    }
    let paused = view.cluster.spec.paused;
    writer.set("Paused", paused, if paused { "Paused" } else { "NotPaused" }, "spec.paused says so");
}

/// A Job that has failed is not tried again by itself: what would mend it may be nothing that it is told, such as a database that was
/// away. The advice stays whole, however much the migration says.
fn with_advice(view: &View<'_>, reason: &str, message: &str) -> String {
    let job = view.desired.zip(view.world).and_then(|(desired, world)| gate::job(desired, world));
    let Some(job) = job.filter(|_| reason == "MigrationFailed") else { return message.to_owned() };
    let namespace = view.cluster.metadata.namespace.as_deref().unwrap_or("default");
    let advice = format!("; to try again: kubectl delete job {} --namespace {namespace}", job.name());
    let said: String = message.chars().take(MOST_CHARACTERS.saturating_sub(advice.chars().count())).collect();
    said + &advice
}

fn all_ready(desired: &Desired, world: &World) -> bool {
    let there = desired.objects().all(|object| world.find(object.kind(), object.name()).is_some());
    there && gate::waiting(desired, world).is_empty()
}

fn of_parts(view: &View<'_>, desired: &Desired, world: &World, writer: &mut Writer<'_>) {
    let names = Names::new(view.cluster);
    let mut part = |kind: &str, waiting: Vec<String>| {
        if waiting.is_empty() {
            writer.set(kind, true, "Ready", "all replicas are ready");
        } else {
            writer.set(kind, false, "NotReady", &format!("not ready: {}", waiting.join(", ")));
        }
    };
    let of = |prefixes: &[String]| -> Vec<String> {
        let all = desired.phases.iter().flat_map(|phase| gate::not_ready(phase, world));
        all.filter(|name| prefixes.iter().any(|prefix| name == prefix)).collect()
    };
    part("GatewayReady", of(&[names.role(Role::Gateway)]));
    let mut stores: Vec<_> = desired.shards.iter().filter_map(|shard| shard.stateful_set.clone()).collect();
    stores.push(names.role(Role::MessageService));
    part("MessagesReady", of(&stores));
    part("DirectoryReady", of(&[names.postgres("directory"), names.role(Role::Api)]));
    let mut brokers = of(&[names.role(Role::Rabbitmq)]);
    if let Some(Topology::Unknown(why)) = view.topology {
        brokers.push(why.clone());
    }
    part("BrokerReady", brokers);
    part("CacheReady", of(&[names.role(Role::Redis)]));
    schema(view, desired, world, writer);
    let single: Vec<_> = desired
        .warnings
        .iter()
        .filter(|warning| warning.condition == "HighlyAvailable")
        .map(|warning| (warning.reason, warning.sentence.as_str()))
        .collect();
    match single.first() {
        None => writer.set("HighlyAvailable", true, "SeveralCopies", "one of anything may be lost"),
        Some((reason, _)) => {
            let sentences: Vec<_> = single.iter().map(|(_, sentence)| *sentence).collect();
            writer.set("HighlyAvailable", false, reason, &sentences.join("; "));
        }
    }
    autoscaling(desired, world, writer);
}

fn schema(view: &View<'_>, desired: &Desired, world: &World, writer: &mut Writer<'_>) {
    let version = &view.cluster.spec.version;
    match (gate::job(desired, world), view.outcome) {
        (Some(job), _) if gate::is_complete(job) => {
            writer.set("SchemaMigrated", true, "Migrated", &format!("the schema is that of {version}"));
        }
        (_, Outcome::Blocked { reason: "MigrationFailed", message }) => {
            let message = with_advice(view, "MigrationFailed", message);
            writer.set("SchemaMigrated", false, "MigrationFailed", &message);
        }
        _ => writer.set("SchemaMigrated", false, "Migrating", &format!("the schema of {version} is not there yet")),
    }
}

fn autoscaling(desired: &Desired, world: &World, writer: &mut Writer<'_>) {
    let scaling = desired.phases.iter().filter(|phase| phase.step == Step::Scaling).flat_map(|phase| &phase.objects);
    let wanted: Vec<_> = scaling.map(|object| object.name()).collect();
    if wanted.is_empty() {
        return;
    }
    let inactive: Vec<_> = wanted
        .iter()
        .filter_map(|name| {
            match world.find("HorizontalPodAutoscaler", name).and_then(|live| live.condition("ScalingActive")) {
                Some((true, _)) => None,
                Some((false, message)) => Some(format!("{name}: {message}")),
                None => Some(format!("{name}: nothing is known yet")),
            }
        })
        .collect();
    if inactive.is_empty() {
        writer.set("AutoscalingActive", true, "Active", "replicas follow what is measured");
    } else {
        writer.set("AutoscalingActive", false, "NotMeasured", &inactive.join("; "));
    }
}

fn gateway(view: &View<'_>, world: &World, old: Option<GatewayStatus>) -> Option<GatewayStatus> {
    let live = world.find("Deployment", &Names::new(view.cluster).role(Role::Gateway))?;
    let number = |pointer: &str| live.number(pointer).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    Some(GatewayStatus {
        replicas: number("/status/replicas"),
        ready_replicas: number("/status/readyReplicas"),
        // Where there are none, nobody is asked.
        connections: match number("/status/replicas") {
            0 => Some(0),
            _ => connections(view.connections, old.and_then(|old| old.connections)),
        },
    })
}

/// As it was told last, while that is near enough.
fn connections(now: Option<u64>, old: Option<u64>) -> Option<u64> {
    match (now, old) {
        (Some(now), Some(old)) if !is_news(old, now) => Some(old),
        (now, old) => now.or(old),
    }
}

fn messages(desired: &Desired, world: &World) -> MessagesStatus {
    let of = |shard: &klatch_desired::ShardName| {
        let live = shard.stateful_set.as_ref().map(|name| world.find("StatefulSet", name));
        let state = match live {
            // Nobody tells how the databases of others are; that they were migrated is what is known.
            None if gate::job(desired, world).is_some_and(gate::is_complete) => "Active",
            Some(Some(live)) if gate::stateful_set_ready(live) => "Active",
            Some(Some(live)) if live.number("/status/replicas").unwrap_or(0) > 0 => "Unavailable",
            _ => "Pending",
        };
        let claim = shard.stateful_set.as_ref().map(|name| format!("data-{name}-0"));
        let claim = claim.and_then(|claim| world.find("PersistentVolumeClaim", &claim));
        ShardStatus {
            name: shard.name.clone(),
            id: shard.id,
            state: state.to_owned(),
            storage: claim.and_then(|claim| claim.text("/status/capacity/storage")).map(str::to_owned),
        }
    };
    MessagesStatus { shards: desired.shards.iter().map(of).collect() }
}

#[cfg(test)]
mod tests {
    use klatch_desired::{Observed, desired};
    use serde_json::json;

    use super::*;
    use crate::{kind::Kind, live::Live};

    #[test]
    fn a_failed_migration_ends_with_what_to_do() {
        let manifest = "{apiVersion: klatch.dev/v1alpha1, kind: ChatCluster, metadata: {name: chat, namespace: talk}, \
                        spec: {version: 0.1.0, endpoint: {type: None}, \
                        messages: {shardSets: [{name: main, shards: 1}]}}}";
        let cluster = klatch_crd::read_manifest(manifest).unwrap();
        let desired = desired(&cluster, &Observed::offline());
        let job = desired.objects().find(|object| object.kind() == "Job").unwrap().name().to_owned();
        let live = serde_json::from_value(json!({"metadata": {"name": job}})).unwrap();
        let objects = vec![Live::new(Kind::of("Job").unwrap(), &live)];
        let world = World { objects, secrets: Vec::new(), user_secrets: Vec::new(), http_routes: false };
        let blocked = |reason, message: &str| {
            let outcome = Outcome::Blocked { reason, message: message.to_owned() };
            let view = View {
                cluster: &cluster,
                desired: Some(&desired),
                world: Some(&world),
                topology: None,
                outcome: &outcome,
                failures: 0,
                connections: None,
            };
            status(&view, Timestamp::UNIX_EPOCH).conditions
        };
        // What a migration says of itself may be long, and must not push it out.
        let long = format!("Job {job} failed: {}", "x".repeat(2 * MOST_CHARACTERS));
        let conditions = blocked("MigrationFailed", &long);
        for kind in ["Ready", "Stalled", "SchemaMigrated"] {
            let condition = conditions.iter().find(|one| one.type_ == kind).unwrap();
            assert_eq!(condition.reason, "MigrationFailed");
            let end = format!("; to try again: kubectl delete job {job} --namespace talk");
            assert!(
                condition.message.ends_with(&end) && condition.message.starts_with("Job "),
                "{}",
                condition.message
            );
            assert!(condition.message.chars().count() <= MOST_CHARACTERS);
        }
        let others = blocked("ForeignObject", "Secret a is somebody else's");
        assert!(others.iter().all(|one| !one.message.contains("kubectl")), "{others:?}");
    }
}
