//! What a ChatCluster comes to: `(resource, observed) -> objects in phases, broker topology, warnings`. Pure: no clock, no client,
//! no secret. The controller applies it, `klatch plan` shows it.

mod broker;
mod configuration;
mod endpoint;
mod name;
mod network;
mod object;
mod observed;
mod part;
mod phase;
mod pod;
mod role;
mod scaling;
mod secret;
mod service;
mod settings;
mod size;
mod stamp;
mod warning;
mod workload;

use std::collections::BTreeMap;

use klatch_crd::ChatCluster;

pub use broker::{Administrator, Binding, BrokerPlan, Exchange, Permissions, Queue, SecretKey, Topology, User};
pub use name::{LABEL_CLUSTER, LABEL_COMPONENT, LABEL_INSTANCE, LABEL_PART, MANAGER, Names};
pub use object::Object;
pub use observed::{Login, Observed};
pub use phase::{Gate, Phase, Step};
pub use role::Role;
pub use scaling::{CONNECTIONS, Replicas, Writer};
pub use secret::{Content, ROTATION, SecretShape, rotation_secret};
pub use size::{Pools, Sizes};
pub use stamp::{APPLIED, Owner};
pub use warning::Warning;

/// All that is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Objects by phase, in the order to apply them. A phase begins when the gate of the one before it is open.
    pub phases: Vec<Phase>,
    /// Replicas of Deployments: written by a manager of their own, never by the main apply, as a field that is owned once and
    /// then left out falls back to 1.
    pub replicas: Vec<Replicas>,
    /// What stands on the brokers.
    pub topology: Topology,
    /// What was computed.
    pub sizes: Sizes,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// The address people use, if the cluster leads them in.
    pub address: Option<String>,
    /// The message shards.
    pub shards: Vec<ShardName>,
}

/// A message shard, as the status tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardName {
    /// Its number in the slot map.
    pub id: u16,
    /// Set and number, or the external shard's own name.
    pub name: String,
    /// Its StatefulSet, when the operator runs it.
    pub stateful_set: Option<String>,
}

impl Desired {
    /// Every object.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.phases.iter().flat_map(|phase| &phase.objects)
    }

    /// Every Secret that must be there.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretShape> {
        self.phases.iter().flat_map(|phase| &phase.secrets)
    }
}

/// Everything the parts of this crate know: the resource, what was observed, names, sizes.
pub(crate) struct Context<'a> {
    pub(crate) cluster: &'a ChatCluster,
    pub(crate) observed: &'a Observed,
    pub(crate) names: Names,
    pub(crate) sizes: Sizes,
    pub(crate) shards: Vec<part::Shard<'a>>,
}

impl Context<'_> {
    pub(crate) fn spec(&self) -> &klatch_crd::ChatClusterSpec {
        &self.cluster.spec
    }
}

/// What is to be, for a resource that [`klatch_crd::check`] has let through.
#[must_use]
pub fn desired(cluster: &ChatCluster, observed: &Observed) -> Desired {
    let names = Names::new(cluster);
    let shards = part::shards(cluster);
    let sizes = size::sizes(cluster, shards.len());
    let context = Context { cluster, observed, names, sizes, shards };
    let phases = phase::phases(&context);
    let warnings = warning::warnings(&context);
    let shard = |shard: &part::Shard<'_>| ShardName {
        id: shard.id,
        name: shard.name.clone(),
        stateful_set: shard.managed().map(|_| context.names.postgres(&shard.name)),
    };
    Desired {
        address: (cluster.spec.endpoint.kind != klatch_crd::EndpointType::None)
            .then(|| endpoint::public_url(&context))
            .flatten(),
        shards: context.shards.iter().map(shard).collect(),
        phases,
        replicas: scaling::replicas(&context),
        topology: broker::topology(&context),
        sizes: context.sizes,
        warnings,
    }
}

/// Keys and values.
pub(crate) type Texts = BTreeMap<String, String>;

/// Owned keys and values.
pub(crate) fn texts<const N: usize>(pairs: [(&str, &str); N]) -> Texts {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests;
