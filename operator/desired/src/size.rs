//! How many, and how large: what the user leaves out is decided here, and shown by `klatch plan`.

use klatch_crd::{
    Amounts, Autoscale, ChatCluster, Fixed, PostgresConnection, Provider, Quantity, Resources, Scaling, ScalingType,
};

use crate::Role;

/// Replicas of a workload when nothing is said: one may go at any time.
const REPLICAS: u32 = 2;
/// What is reckoned with when somebody else says how many replicas there are.
const EXTERNAL_REPLICAS: u32 = 10;
/// A rollout has one replica more for a while.
const SURGE: u32 = 1;
/// Connections of a Managed PostgreSQL: its own default. A change would restart it.
pub(crate) const MANAGED_CONNECTIONS: u32 = 100;
/// Connections left free: 3 that PostgreSQL keeps for its superuser, and some for migrations and for people.
const RESERVED_CONNECTIONS: u32 = 10;
/// A shard's volume, or the directory's, when nothing is said.
const POSTGRES_STORAGE: &str = "10Gi";
/// A broker's.
const BROKER_STORAGE: &str = "5Gi";

/// Connections of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pools {
    /// To the directory, and as many to each of its replicas.
    pub directory: u32,
    /// To each shard, for what changes it.
    pub shard_writers: u32,
    /// To each shard, for reads.
    pub shard_readers: u32,
}

/// What one workload comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadSize {
    /// Which.
    pub role: Role,
    /// Fewest replicas.
    pub least: u32,
    /// Most replicas.
    pub most: u32,
    /// Connections to databases, of each replica.
    pub pools: Pools,
}

/// Connections to one kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Of all replicas together, at most.
    pub used: u32,
    /// That there are for them.
    pub most: u32,
}

impl Connections {
    /// Whether all replicas together stay below what there is.
    #[must_use]
    pub const fn fit(self) -> bool {
        self.used <= self.most
    }
}

/// What was computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Each workload.
    pub workloads: Vec<WorkloadSize>,
    /// To the directory.
    pub directory: Connections,
    /// To each shard.
    pub shard: Connections,
    /// Message shards.
    pub shards: usize,
}

impl Sizes {
    /// Of this workload; of what is none, nothing.
    #[must_use]
    pub fn of(&self, role: Role) -> WorkloadSize {
        let found = self.workloads.iter().find(|size| size.role == role).copied();
        found.unwrap_or(WorkloadSize { role, least: 1, most: 1, pools: Pools::default() })
    }
}

/// What each workload would like. A batch is one statement: a few connections keep a core of PostgreSQL busy.
const fn wanted(role: Role) -> Pools {
    match role {
        Role::Api => Pools { directory: 8, shard_writers: 1, shard_readers: 8 },
        Role::MessageService => Pools { directory: 8, shard_writers: 8, shard_readers: 8 },
        Role::NotificationService => Pools { directory: 4, shard_writers: 1, shard_readers: 4 },
        _ => Pools { directory: 0, shard_writers: 0, shard_readers: 0 },
    }
}

pub(crate) fn sizes(cluster: &ChatCluster, shards: usize) -> Sizes {
    let spec = &cluster.spec;
    let shard_connections = spec.messages.shard_sets.iter().flat_map(|set| match &set.external {
        Some(external) => external.shards.iter().map(|shard| shard.connection.max_connections).collect(),
        None => vec![MANAGED_CONNECTIONS],
    });
    let shard_most = shard_connections.min().unwrap_or(MANAGED_CONNECTIONS).saturating_sub(RESERVED_CONNECTIONS);
    let external = spec.directory.external.as_ref();
    let directory = external.map(|external| {
        external.replicas.iter().chain([&external.primary]).map(|one: &PostgresConnection| one.max_connections).min()
    });
    let directory_most = directory.flatten().unwrap_or(MANAGED_CONNECTIONS).saturating_sub(RESERVED_CONNECTIONS);
    let mut workloads: Vec<WorkloadSize> = Role::WORKLOADS
        .into_iter()
        .map(|role| {
            let (least, most) = replicas(cluster, role);
            WorkloadSize { role, least, most, pools: wanted(role) }
        })
        .collect();
    fit(&mut workloads, directory_most, |pools| vec![&mut pools.directory]);
    fit(&mut workloads, shard_most, |pools| vec![&mut pools.shard_writers, &mut pools.shard_readers]);
    Sizes {
        directory: Connections { used: used(&workloads, |pools| pools.directory), most: directory_most },
        shard: Connections {
            used: used(&workloads, |pools| pools.shard_writers + pools.shard_readers),
            most: shard_most,
        },
        workloads,
        shards,
    }
}

fn used(workloads: &[WorkloadSize], connections: impl Fn(&Pools) -> u32) -> u32 {
    workloads.iter().map(|size| (size.most + SURGE) * connections(&size.pools)).sum()
}

/// Makes the largest pools smaller, one by one, until all replicas together fit or every pool is a single connection.
fn fit(workloads: &mut [WorkloadSize], most: u32, fields: impl Fn(&mut Pools) -> Vec<&mut u32>) {
    loop {
        let mut all = 0;
        for size in workloads.iter_mut() {
            let replicas = size.most + SURGE;
            all += fields(&mut size.pools).into_iter().map(|field| *field).sum::<u32>() * replicas;
        }
        if all <= most {
            return;
        }
        let pools = workloads.iter_mut().flat_map(|size| fields(&mut size.pools));
        // The first of the largest: the outcome must not depend on chance.
        let largest = pools.reduce(|largest, field| if *field > *largest { field } else { largest });
        match largest {
            Some(field) if *field > 1 => *field -= 1,
            _ => return,
        }
    }
}

/// Fewest and most replicas of a workload.
fn replicas(cluster: &ChatCluster, role: Role) -> (u32, u32) {
    let spec = &cluster.spec;
    let of = |kind: ScalingType, fixed: Option<&Fixed>, range: Option<(u32, u32)>| match kind {
        ScalingType::Fixed => fixed.map_or((REPLICAS, REPLICAS), |fixed| (fixed.replicas, fixed.replicas)),
        ScalingType::Autoscale => range.unwrap_or((REPLICAS, REPLICAS)),
        ScalingType::External => (REPLICAS, EXTERNAL_REPLICAS),
    };
    if role == Role::Gateway {
        let Some(scaling) = &spec.gateway.scaling else { return (REPLICAS, REPLICAS) };
        let range = scaling.autoscale.as_ref().map(|one| (one.min_replicas, one.max_replicas));
        return of(scaling.kind, scaling.fixed.as_ref(), range);
    }
    let Some(scaling) = scaling(cluster, role) else { return (REPLICAS, REPLICAS) };
    let range = scaling.autoscale.as_ref().map(|one: &Autoscale| (one.min_replicas, one.max_replicas));
    of(scaling.kind, scaling.fixed.as_ref(), range)
}

/// What is said of a workload's replicas; of gateways that is another type.
pub(crate) fn scaling(cluster: &ChatCluster, role: Role) -> Option<&Scaling> {
    let workload = match role {
        Role::Api => &cluster.spec.api,
        Role::MessageService => &cluster.spec.message_service,
        Role::NotificationService => &cluster.spec.notification_service,
        _ => return None,
    };
    workload.scaling.as_ref()
}

/// Processors, memory and most memory of a pod when nothing is said: all of a small cluster fits a node of two cores.
fn default_resources(role: Role) -> (&'static str, &'static str, &'static str) {
    match role {
        // Some 10 KB a connection: 40,000 are 400 MB.
        Role::Gateway => ("50m", "64Mi", "1Gi"),
        Role::Api => ("50m", "64Mi", "512Mi"),
        Role::MessageService => ("50m", "96Mi", "1Gi"),
        Role::NotificationService => ("20m", "64Mi", "512Mi"),
        Role::Migrate => ("20m", "64Mi", "256Mi"),
        Role::Postgres => ("100m", "256Mi", "1Gi"),
        Role::Rabbitmq => ("100m", "256Mi", "1Gi"),
        Role::Redis => ("20m", "64Mi", "256Mi"),
    }
}

/// What a pod is promised, and what it may take at most: what is said, else what a small node has room for.
pub(crate) fn resources(role: Role, said: Option<&Resources>) -> (Amounts, Amounts) {
    let said = said.cloned().unwrap_or_default();
    let (requests, limits) = (said.requests.unwrap_or_default(), said.limits.unwrap_or_default());
    let (cpu, memory, most) = default_resources(role);
    let (cpu, most_cpu) = within(requests.cpu, limits.cpu, cpu, None);
    let (memory, most_memory) = within(requests.memory, limits.memory, memory, Some(most));
    (Amounts { cpu, memory }, Amounts { cpu: most_cpu, memory: most_memory })
}

/// Request and limit of one resource. An apiserver refuses a request above its limit, so who says one of them moves the default of the
/// other: a large request lifts the limit, a small limit lowers the request.
fn within(
    request: Option<Quantity>,
    limit: Option<Quantity>,
    default: &str,
    most: Option<&str>,
) -> (Option<Quantity>, Option<Quantity>) {
    let lifted = |most: &str| request.iter().cloned().chain([Quantity::from(most)]).max_by_key(Quantity::nano);
    let limit = limit.or_else(|| most.and_then(lifted));
    let request = request.unwrap_or_else(|| Quantity::from(default));
    let lowered = [Some(request), limit.clone()].into_iter().flatten().min_by_key(Quantity::nano);
    (lowered, limit)
}

/// Memory a pod may take, bytes: services measure what they keep in it by that.
pub(crate) fn memory_limit(role: Role, said: Option<&Resources>) -> u64 {
    let (_, limits) = resources(role, said);
    limits.memory.and_then(|limit| limit.units()).unwrap_or_default()
}

/// The size of a volume.
pub(crate) fn storage(role: Role, said: Option<&klatch_crd::Storage>) -> String {
    let default = if role == Role::Rabbitmq { BROKER_STORAGE } else { POSTGRES_STORAGE };
    said.and_then(|storage| storage.size.as_ref()).map_or_else(|| default.to_owned(), |size| size.0.clone())
}

/// Brokers that the operator runs.
pub(crate) fn broker_replicas(cluster: &ChatCluster) -> u32 {
    let broker = &cluster.spec.broker;
    match broker.provider {
        Provider::Managed => broker.managed.clone().unwrap_or_default().replicas,
        Provider::External => 0,
    }
}
