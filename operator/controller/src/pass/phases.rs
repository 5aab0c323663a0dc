//! Phase by phase. A pass that has written something ends there: the next one looks at what came of it.

use std::collections::BTreeMap;

use klatch_crd::ChatCluster;
use klatch_desired::{Desired, LABEL_CLUSTER, Phase, SecretShape, Step};

use super::{passes, topology};
use crate::{
    act::{self, Done},
    failure::Failure,
    live::Live,
    observe::World,
    operator::Operator,
    plan::{
        self, Change,
        gate::{self, Open, Topology},
        outcome::Outcome,
        prune, secrets,
        standing::Owner,
    },
};

/// What a pass walks with.
pub(super) struct Walk<'a> {
    pub(super) operator: &'a Operator,
    pub(super) cluster: &'a ChatCluster,
    pub(super) owner: &'a Owner,
    pub(super) cluster_id: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
}

impl Walk<'_> {
    /// Secrets that are missing, and whose they are.
    pub(super) async fn secrets(&self, desired: &Desired, world: &World) -> Result<Option<Outcome>, Failure> {
        let (client, owner, policy) = (&self.operator.client, self.owner, self.cluster.spec.deletion_policy);
        let missing = secrets::missing(desired, world);
        let mut absent = Vec::new();
        for shape in &missing {
            match act::label_secret(client, owner, &self.labels_of(shape), shape).await? {
                None => absent.push(shape),
                Some(done) => {
                    if let Some(outcome) = obstacle(&done) {
                        return Ok(Some(outcome));
                    }
                }
            }
        }
        let is_ours = |claim: &Live| claim.label(LABEL_CLUSTER) == Some(self.cluster_id);
        let begun = world.of_kind("PersistentVolumeClaim").any(is_ours);
        if let Some(lost) = absent.iter().find(|shape| shape.retained && begun) {
            let message = format!(
                "Secret {} is gone, and a new one would not open the data that is there: put it back from a backup",
                lost.name
            );
            return Ok(Some(Outcome::Blocked { reason: "SecretLost", message }));
        }
        for shape in absent {
            let owned = secrets::is_owned(shape, policy);
            act::create_secret(client, owner, &self.labels_of(shape), shape, owned).await?;
        }
        let unfinished = secrets::unfinished(desired, world);
        for (shape, seen) in &unfinished {
            act::finish_secret(client, owner, shape, seen).await?;
        }
        if !unfinished.is_empty() {
            let message = format!("added what {} Secrets lacked", unfinished.len());
            return Ok(Some(Outcome::Progress { message }));
        }
        let handovers = secrets::handovers(desired, policy, owner, world);
        for handover in &handovers {
            act::hand_over(client, owner, handover).await?;
        }
        let written = missing.len() + handovers.len();
        Ok((written > 0).then(|| Outcome::Progress { message: format!("wrote {written} Secrets") }))
    }

    /// Retained ones say which data they open.
    fn labels_of(&self, shape: &SecretShape) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        if shape.retained {
            labels.insert(LABEL_CLUSTER.to_owned(), self.cluster_id.to_owned());
        }
        labels
    }

    /// The first phase that is not as it should be.
    pub(super) async fn phases(
        &self,
        desired: &Desired,
        world: &mut World,
        topology: &mut Option<Topology>,
        refused: &mut Option<String>,
    ) -> Result<Option<Outcome>, Failure> {
        for phase in &desired.phases {
            if let Some(outcome) = self.objects(phase, desired, world, refused).await? {
                return Ok(Some(outcome));
            }
            if phase.step == Step::Topology {
                match topology::look_after(self.operator, self.owner, desired).await? {
                    topology::Seen::Written(count) => {
                        let message = format!("made or put back {count} things on the brokers");
                        return Ok(Some(Outcome::Progress { message }));
                    }
                    topology::Seen::Stuck(message) => {
                        return Ok(Some(Outcome::Blocked { reason: "TopologyInTheWay", message }));
                    }
                    topology::Seen::Is(seen) => *topology = Some(seen),
                }
            }
            match gate::gate(phase, desired, world, topology.as_ref()) {
                Open::Yes => {}
                Open::Waiting(what) => {
                    return Ok(Some(Outcome::Waiting {
                        reason: "Progressing",
                        message: format!("waiting for {what}"),
                    }));
                }
                Open::Failed { reason, message } => {
                    let message = self.explain(desired, world, message).await?;
                    return Ok(Some(Outcome::Blocked { reason, message }));
                }
            }
        }
        Ok(None)
    }

    async fn objects(
        &self,
        phase: &Phase,
        desired: &Desired,
        world: &mut World,
        refused: &mut Option<String>,
    ) -> Result<Option<Outcome>, Failure> {
        let changes = plan::changes(phase, desired, self.owner, world);
        let (mut failed, mut written) = (None, 0_usize);
        let mut made = Vec::new();
        for change in &changes {
            match act::make(&self.operator.client, self.owner, change).await {
                Ok(done) => {
                    if let Some(outcome) = obstacle(&done) {
                        return Ok(Some(outcome));
                    }
                    written += usize::from(is_step(change, &done));
                    if let Done::Live(live) = done {
                        made.push((change, live));
                    }
                }
                Err(failure) if passes(&failure) => return Err(failure),
                // A class that enlarges nothing, or a quota: that is the user's to mend, and everything else goes on.
                Err(failure) if matches!(change, Change::Expand(_)) => {
                    refused.get_or_insert_with(|| failure.to_string());
                }
                // One object that is refused keeps none of the others from being right.
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        // A Deployment that was just made gets its replicas at once: nobody sees it with one.
        for (change, live) in made {
            world.replace(*live);
            if matches!(change, Change::Create(stamped) if stamped.kind.name == "Deployment") {
                for change in plan::changes(phase, desired, self.owner, world) {
                    if matches!(change, Change::Replicas(_))
                        && let Done::Live(live) = act::make(&self.operator.client, self.owner, &change).await?
                    {
                        world.replace(*live);
                    }
                }
            }
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        let message = || format!("wrote {written} objects: {}", phase.step.title());
        Ok((written > 0).then(|| Outcome::Progress { message: message() }))
    }

    /// What a failed migration says of itself.
    async fn explain(&self, desired: &Desired, world: &World, message: String) -> Result<String, Failure> {
        let Some(job) = gate::job(desired, world) else { return Ok(message) };
        let said = act::read_termination(&self.operator.client, self.owner, job.name()).await?;
        Ok(said.map_or(message.clone(), |said| format!("{message}: {said}")))
    }

    /// Everything was written: what is wanted no more may go.
    pub(super) async fn prune(&self, desired: &Desired, world: &World) -> Result<Option<Outcome>, Failure> {
        let unwanted = prune::unwanted(desired, self.owner, world);
        for live in &unwanted {
            act::prune(&self.operator.client, self.owner, live).await?;
        }
        let message = || format!("deleted {} objects that are wanted no more", unwanted.len());
        Ok((!unwanted.is_empty()).then(|| Outcome::Progress { message: message() }))
    }

    /// All was written; it may still be starting.
    pub(super) fn settled(&self, desired: &Desired, world: &World) -> Outcome {
        let waiting = gate::waiting(desired, world);
        if waiting.is_empty() {
            return Outcome::Settled;
        }
        Outcome::Waiting { reason: "NotReady", message: format!("not ready: {}", waiting.join(", ")) }
    }
}

/// Whether a write left something else than there was. What the server keeps otherwise than it is told, as an admission webhook's rules
/// may have it, is not as wanted afterwards either: that is no step on the way, and what comes later is not kept waiting for it.
fn is_step(change: &Change, done: &Done) -> bool {
    let (Change::Apply(stamped, before), Done::Live(after)) = (change, done) else { return true };
    let step = before.metadata.resource_version != after.metadata.resource_version;
    if !step {
        let (kind, name) = (stamped.kind.name, &stamped.name);
        tracing::warn!(
            kind,
            name,
            "the server keeps it otherwise than it is told: does an admission webhook rewrite it?"
        );
    }
    step
}

fn obstacle(done: &Done) -> Option<Outcome> {
    match done {
        Done::Foreign(what) => Some(Outcome::Blocked {
            reason: "ForeignObject",
            message: format!(
                "{what} is there and is somebody else's: rename or delete it, or give the ChatCluster another name"
            ),
        }),
        Done::InTheWay(what) => {
            Some(Outcome::Waiting { reason: "Progressing", message: format!("waiting until {what} is gone") })
        }
        Done::Live(_) | Done::Gone | Done::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{kind::Kind, plan::stamp::Stamped};

    fn live(kind: &'static Kind, version: &str) -> Live {
        let object = json!({"metadata": {"name": "chat-api", "resourceVersion": version}});
        Live::new(kind, &serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_write_that_leaves_all_as_it_was_is_no_step() {
        let kind = Kind::of("Deployment").unwrap();
        let stamped = || Stamped { kind, name: "chat-api".to_owned(), hash: String::new(), document: Value::default() };
        let after = |version| Done::Live(Box::new(live(kind, version)));
        let apply = Change::Apply(stamped(), live(kind, "7"));
        assert!(is_step(&apply, &after("8")));
        assert!(!is_step(&apply, &after("7")), "a webhook rewrote it to what there was");
        assert!(is_step(&Change::Create(stamped()), &after("7")));
    }
}
