//! Every rule that is more than a type or a bound, in CEL (<https://kubernetes.io/docs/reference/using-api/cel/>), each with the
//! sentence its breaker reads. A sentence says what to write instead.
//!
//! The schema carries them to the apiserver; [`crate::check`] evaluates them from the same schema.

use serde::Serialize;

/// A rule over the value it is attached to.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Rule {
    rule: &'static str,
    message: &'static str,
}

const fn rule(rule: &'static str, message: &'static str) -> Rule {
    Rule { rule, message }
}

pub(crate) const ROOT: &[Rule] = &[
    rule(
        "size(self.metadata.name) <= 40",
        "the name is too long: give the ChatCluster a name of at most 40 characters, as the names of its Services and pods \
         begin with it",
    ),
    rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "the name becomes that of Services: write lower-case letters, digits and hyphens, beginning with a letter, such as \
         chat",
    ),
];

pub(crate) const PLATFORM_VERSION: &[Rule] = &[rule(
    "self.matches('^[0-9]+[.][0-9]+[.][0-9]+(-[0-9A-Za-z.-]+)?$')",
    "write a version of Klatch such as 0.1.0, without a leading v",
)];

pub(crate) const REGISTRY: &[Rule] = &[rule(
    "self == '' || self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*$')",
    "write the registry as HOST or HOST:PORT/PATH, such as registry.example.org/mirror: without https:// and without a slash \
     at the end",
)];

pub(crate) const IMAGE: &[Rule] = &[rule(
    "self.matches('^[A-Za-z0-9][A-Za-z0-9._:/@-]*$') && (self.contains('@') || self.matches('.*:[A-Za-z0-9_][A-Za-z0-9._-]*$'))",
    "write an image with its tag or digest, such as postgres:17, so that every pod gets the same one",
)];

pub(crate) const QUANTITY: &[Rule] = &[rule(
    "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
    "write a quantity above zero such as 500m, 2, 256Mi or 10Gi",
)];

pub(crate) const RESOURCES: &[Rule] = &[
    rule(
        "!has(self.requests) || !has(self.limits) || !has(self.requests.cpu) || !has(self.limits.cpu) || \
         !isQuantity(self.requests.cpu) || !isQuantity(self.limits.cpu) || \
         quantity(self.requests.cpu).compareTo(quantity(self.limits.cpu)) <= 0",
        "requests.cpu is above limits.cpu: raise the limit or lower the request",
    ),
    rule(
        "!has(self.requests) || !has(self.limits) || !has(self.requests.memory) || !has(self.limits.memory) || \
         !isQuantity(self.requests.memory) || !isQuantity(self.limits.memory) || \
         quantity(self.requests.memory).compareTo(quantity(self.limits.memory)) <= 0",
        "requests.memory is above limits.memory: raise the limit or lower the request",
    ),
];

/// `startsWith` and not `contains`: keys have no bound, and the cost of the second grows with them.
pub(crate) const POD_METADATA: &[Rule] = &[
    rule(
        "!has(self.labels) || self.labels.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('klatch.dev/'))",
        "labels below app.kubernetes.io/ and klatch.dev/ are the operator's: choose other names",
    ),
    rule(
        "!has(self.annotations) || self.annotations.all(key, !key.startsWith('klatch.dev/'))",
        "annotations below klatch.dev/ are the operator's: choose other names",
    ),
];

pub(crate) const ENDPOINT: &[Rule] = &[
    rule(
        "self.type == 'None' || (has(self.hosts) && size(self.hosts) > 0)",
        "people need a name to come by: write endpoint.hosts, such as [chat.example.com], or type: None",
    ),
    rule(
        "self.type == 'Ingress' || !has(self.ingress)",
        "ingress belongs to type Ingress: write type: Ingress, or take ingress out",
    ),
    rule(
        "self.type == 'HTTPRoute' ? has(self.httpRoute) : !has(self.httpRoute)",
        "httpRoute and type HTTPRoute go together: write both, httpRoute with the parentRefs of your Gateway, or neither",
    ),
    rule(
        "self.type == 'Ingress' || !has(self.tls)",
        "tls belongs to type Ingress: with HTTPRoute the Gateway's listener holds the certificate; take tls out",
    ),
    rule(
        "!has(self.hosts) || self.hosts.all(host, host.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",
        "write hosts as names in lower case, such as chat.example.com: without https://, port, path or *",
    ),
    rule(
        "!has(self.trustedProxies) || self.trustedProxies.all(network, isCIDR(network))",
        "write trustedProxies as networks, such as 10.0.0.0/8 or fd00::/8",
    ),
];

pub(crate) const GATEWAY: &[Rule] = &[rule(
    "!has(self.scaling) || !has(self.scaling.autoscale) || self.scaling.autoscale.targetConnections <= self.maxConnectionsPerReplica",
    "scaling.autoscale.targetConnections is above maxConnectionsPerReplica: replicas would be full before another came; \
     write a smaller target, half of the maximum or less",
)];

pub(crate) const SCALING: &[Rule] = &[
    rule(
        "self.type == 'Fixed' ? has(self.fixed) : !has(self.fixed)",
        "fixed and type Fixed go together: write fixed: {replicas: 2} with type: Fixed, or neither",
    ),
    rule(
        "self.type == 'Autoscale' ? has(self.autoscale) : !has(self.autoscale)",
        "autoscale and type Autoscale go together: write autoscale: {minReplicas: 2, maxReplicas: 10} with type: Autoscale, \
         or neither",
    ),
    rule(
        "!has(self.autoscale) || self.autoscale.minReplicas <= self.autoscale.maxReplicas",
        "autoscale.minReplicas is above autoscale.maxReplicas: write the smaller number first",
    ),
];

pub(crate) const DRAIN_PERIOD: &[Rule] = &[rule(
    "self.matches('^[0-9]{1,5}(s|m)$') && duration(self) >= duration('1s') && duration(self) <= duration('30m')",
    "write a drain period between 1s and 30m, such as 60s",
)];

pub(crate) const SLOTS: &[Rule] = &[rule(
    "self == oldSelf",
    "slots are fixed when a ChatCluster is made, as every room's place follows from them: write the number that stood here",
)];

pub(crate) const MESSAGES: &[Rule] = &[rule(
    "self.shardSets.map(set, has(set.external) ? size(set.external.shards) : (has(set.shards) ? set.shards : 1)).sum() <= self.slots",
    "there are more shards than slots: every shard needs a slot to own; write fewer shards",
)];

/// Names, as the order of sets and of their shards is the numbers of the shards, and CEL finds two lists with keys equal whatever
/// their order.
pub(crate) const SHARD_SETS: &[Rule] = &[rule(
    "self.map(set, set.name) == oldSelf.map(set, set.name)",
    "this version cannot add shard sets, take them out or put them in another order, as shards are numbered in it and slots \
     cannot move yet: write the sets that stood here, in the order they stood in",
)];

pub(crate) const SHARD_SET: &[Rule] = &[
    rule(
        "self.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "write the set's name in lower-case letters, digits and hyphens, beginning with a letter, such as main",
    ),
    rule(
        "self.provider == 'Managed' ? has(self.shards) : !has(self.shards)",
        "shards is how many the operator makes: write it with provider: Managed, and take it out with External, where \
         external.shards lists them",
    ),
    rule(
        "self.provider == 'External' ? has(self.external) : !has(self.external)",
        "external and provider External go together: write external: {shards: [...]} with provider: External, or neither",
    ),
    rule(
        "self.provider == 'Managed' || !has(self.managed)",
        "managed belongs to provider Managed: take managed out, or write provider: Managed",
    ),
    rule(
        "self.provider == oldSelf.provider",
        "a shard set keeps its provider for life, as its messages are there: write the provider that stood here",
    ),
    rule(
        "!has(self.shards) || !has(oldSelf.shards) || self.shards == oldSelf.shards",
        "this version cannot change the number of shards yet, as it cannot move slots: write the number that stood here",
    ),
    rule(
        "!has(self.external) || !has(oldSelf.external) || \
         self.external.shards.map(shard, shard.name) == oldSelf.external.shards.map(shard, shard.name)",
        "this version cannot add external shards, take them out or put them in another order, as shards are numbered in it \
         and slots cannot move yet: write the shards that stood here, in the order they stood in",
    ),
    STORAGE_SIZE,
    STORAGE_CLASS,
];

pub(crate) const UNION: &[Rule] = &[
    rule(
        "self.provider == 'External' ? has(self.external) : !has(self.external)",
        "external and provider External go together: write external, with where it is, beside provider: External, or neither",
    ),
    rule(
        "self.provider == 'Managed' || !has(self.managed)",
        "managed belongs to provider Managed: take managed out, or write provider: Managed",
    ),
];

/// What keeps data also keeps its provider.
const PROVIDER_FOR_LIFE: Rule = rule(
    "self.provider == oldSelf.provider",
    "the provider is fixed when a ChatCluster is made, as its data is there: write the provider that stood here",
);

pub(crate) const DIRECTORY: &[Rule] = &[UNION[0], UNION[1], PROVIDER_FOR_LIFE, STORAGE_SIZE, STORAGE_CLASS];

pub(crate) const BROKER: &[Rule] = &[
    UNION[0],
    UNION[1],
    PROVIDER_FOR_LIFE,
    STORAGE_SIZE,
    STORAGE_CLASS,
    rule(
        "(has(self.managed) ? self.managed.replicas : 3) == (has(oldSelf.managed) ? oldSelf.managed.replicas : 3)",
        "this version cannot change the number of brokers yet, as queues would stay where they are: write the replicas that \
         stood here (3 when nothing was said)",
    ),
    // A broker is known by its host, and by its port where several share one. Its place is looked for among booleans: for texts in a
    // list that CEL made, an apiserver's estimate of the cost has no bound, and the definition would be refused.
    rule(
        "!has(self.external) || !has(oldSelf.external) || (size(self.external.brokers) == size(oldSelf.external.brokers) && \
         oldSelf.external.brokers.all(old, \
         self.external.brokers.map(one, one.host == old.host).indexOf(true) in \
         [-1, oldSelf.external.brokers.map(one, one.host == old.host).indexOf(true)] && \
         self.external.brokers.map(one, one.host == old.host && one.port == old.port).indexOf(true) in \
         [-1, oldSelf.external.brokers.map(one, one.host == old.host && one.port == old.port).indexOf(true)]))",
        "the number and the order of external.brokers are fixed when a ChatCluster is made, as queues are dealt out among them: \
         write as many as stood here, each where it stood; a broker may get another host or port there",
    ),
    // It becomes part of a URI; databases and Redis are connected to by the host as it is. What is no address at all HOST refuses.
    rule(
        "!has(self.external) || self.external.brokers.all(broker, !isIP(broker.host) || !broker.host.contains(':'))",
        "this version cannot reach a broker by an IPv6 address: write the host of external.brokers as a name, such as \
         rabbitmq.example.org, or as an IPv4 address",
    ),
    rule(
        "!has(self.external) || !has(oldSelf.external) || \
         (has(self.external.vhost) ? self.external.vhost : '') == (has(oldSelf.external.vhost) ? oldSelf.external.vhost : '')",
        "vhost is fixed when a ChatCluster is made, as commands wait there: write the one that stood here",
    ),
];

/// Over what holds `managed`, which may appear and go: a rule of a volume itself would not be asked then.
const STORAGE_SIZE: Rule = rule(
    "!has(oldSelf.managed) || !has(oldSelf.managed.storage.size) || (has(self.managed) && has(self.managed.storage.size) && \
     isQuantity(self.managed.storage.size) && isQuantity(oldSelf.managed.storage.size) && \
     quantity(self.managed.storage.size).compareTo(quantity(oldSelf.managed.storage.size)) >= 0)",
    "volumes only grow: write a storage.size that is at least the one that stood here",
);
const STORAGE_CLASS: Rule = rule(
    "(has(self.managed) && has(self.managed.storage.className) ? self.managed.storage.className : '') == \
     (has(oldSelf.managed) && has(oldSelf.managed.storage.className) ? oldSelf.managed.storage.className : '')",
    "a volume keeps its storage class: write the storage.className that stood here, or leave it out where none stood",
);

pub(crate) const BROKER_TOPOLOGY: &[Rule] = &[
    rule(
        "self.ingestQueues == oldSelf.ingestQueues",
        "ingestQueues is fixed when a ChatCluster is made, as the order of commands follows from it: write the number that \
         stood here",
    ),
    rule("self.lanes == oldSelf.lanes", "lanes is fixed when a ChatCluster is made: write the number that stood here"),
];

pub(crate) const BROKER_REPLICAS: &[Rule] =
    &[rule("self in [1, 3, 5]", "queues are kept by majority: write 1, 3 or 5 replicas")];

pub(crate) const MANAGEMENT_URL: &[Rule] = &[rule(
    "isURL(self) && (url(self).getScheme() == 'https' || url(self).getScheme() == 'http') && url(self).getHostname() != ''",
    "write the address of RabbitMQ's management API, such as https://rabbitmq.example.org:15671",
)];

pub(crate) const HOST: &[Rule] = &[rule(
    "self.matches('^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$') && (!self.contains(':') || isIP(self))",
    "write a host as a name or an address, such as db.example.org: without a scheme, a port or a path",
)];

pub(crate) const TLS: &[Rule] = &[rule(
    "self.mode == 'Verify' || !has(self.caSecretRef)",
    "caSecretRef names whom a certificate is believed from: write mode: Verify, or take it out",
)];

pub(crate) const CACHE_MEMORY: &[Rule] = &[rule(
    "isQuantity(self) && quantity(self).compareTo(quantity('64Mi')) >= 0",
    "write the cache's memory as a quantity of at least 64Mi, such as 256Mi",
)];

pub(crate) const LIMITS: &[Rule] = &[rule(
    "!has(self.messagesPerSecond) || !has(self.messageBurst) || self.messageBurst >= self.messagesPerSecond",
    "messageBurst is below messagesPerSecond: a second's messages must fit into a burst; write a larger burst",
)];
