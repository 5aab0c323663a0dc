//! The shards, numbered.

use klatch_crd::{ChatCluster, ManagedPostgres, PostgresConnection, Provider};

/// One message shard.
#[derive(Debug, Clone)]
pub(crate) struct Shard<'a> {
    /// Its number in the slot map, for life: sets and their shards in the order they stand in. The rules of klatch-crd over
    /// `shardSets` and `external.shards` keep both in that order.
    pub(crate) id: u16,
    /// `main-0`, or the external shard's own name behind its set's.
    pub(crate) name: String,
    pub(crate) kind: Kind<'a>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind<'a> {
    Managed(Option<&'a ManagedPostgres>),
    External(&'a PostgresConnection),
}

impl<'a> Shard<'a> {
    /// What is said of it, when the operator runs it.
    pub(crate) fn managed(&self) -> Option<Option<&'a ManagedPostgres>> {
        match self.kind {
            Kind::Managed(options) => Some(options),
            Kind::External(_) => None,
        }
    }
}

/// Every shard of the cluster.
pub(crate) fn shards(cluster: &ChatCluster) -> Vec<Shard<'_>> {
    let mut shards = Vec::new();
    for set in &cluster.spec.messages.shard_sets {
        let mut add = |name: String, kind| shards.push((name, kind));
        match set.provider {
            Provider::Managed => {
                for number in 0..set.shards.unwrap_or(1) {
                    add(format!("{}-{number}", set.name), Kind::Managed(set.managed.as_ref()));
                }
            }
            Provider::External => {
                for shard in set.external.iter().flat_map(|external| &external.shards) {
                    add(format!("{}-{}", set.name, shard.name), Kind::External(&shard.connection));
                }
            }
        }
    }
    let numbered = shards.into_iter().zip(0_u16..);
    numbered.map(|((name, kind), id)| Shard { id, name, kind }).collect()
}
