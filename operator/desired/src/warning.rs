//! What the user should know before and after: conditions of the status, and lines of a plan.

use klatch_crd::{EndpointType, Provider, ScalingType};

use crate::{Context, Role, secret, size};

/// Something to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The condition it shows in.
    pub condition: &'static str,
    /// Its reason.
    pub reason: &'static str,
    /// Whether nothing can be done until the user changes something.
    pub blocking: bool,
    /// For people.
    pub sentence: String,
}

pub(crate) fn warnings(context: &Context<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    pools(context, &mut warnings);
    single_instances(context, &mut warnings);
    way_in(context, &mut warnings);
    scaling(context, &mut warnings);
    warnings
}

fn pools(context: &Context<'_>, warnings: &mut Vec<Warning>) {
    for (what, connections) in [("the directory", context.sizes.directory), ("a shard", context.sizes.shard)] {
        if !connections.fit() {
            warnings.push(Warning {
                condition: "Stalled",
                reason: "TooManyConnections",
                blocking: true,
                sentence: format!(
                    "all replicas together could open {} connections to {what}, and {} are there for them, with every pool at \
                     one connection: write fewer replicas of api, messageService or notificationService, or raise \
                     maxConnections of an external database",
                    connections.used, connections.most
                ),
            });
        }
    }
}

fn single_instances(context: &Context<'_>, warnings: &mut Vec<Warning>) {
    let mut single = Vec::new();
    if secret::managed_directory(context) {
        single.push("the directory".to_owned());
    }
    let shards: Vec<_> =
        context.shards.iter().filter(|shard| shard.managed().is_some()).map(|shard| shard.name.as_str()).collect();
    match shards.as_slice() {
        [] => {}
        [one] => single.push(format!("shard {one}")),
        [first, .., last] => single.push(format!("shards {first} to {last}")),
    }
    if size::broker_replicas(context.cluster) == 1 {
        single.push("the broker".to_owned());
    }
    if context.spec().cache.provider == Provider::Managed {
        single.push("the cache, which may be lost".to_owned());
    }
    if !single.is_empty() {
        warnings.push(Warning {
            condition: "HighlyAvailable",
            reason: "SingleInstance",
            blocking: false,
            sentence: format!(
                "one copy on one volume: {}. What is stored is as safe as its volume: take backups, and use External for \
                 production",
                single.join(", ")
            ),
        });
    }
    for role in Role::WORKLOADS.into_iter().filter(|role| context.sizes.of(*role).least == 1) {
        warnings.push(Warning {
            condition: "HighlyAvailable",
            reason: "SingleReplica",
            blocking: false,
            sentence: format!("one replica of {}: while it moves to another node nobody takes its place", role.name()),
        });
    }
}

fn way_in(context: &Context<'_>, warnings: &mut Vec<Warning>) {
    let endpoint = &context.spec().endpoint;
    let mut add = |reason, blocking, sentence: &str| {
        warnings.push(Warning { condition: "Ready", reason, blocking, sentence: sentence.to_owned() });
    };
    match endpoint.kind {
        EndpointType::None => {
            let (gateway, api) = (context.names.role(Role::Gateway), context.names.role(Role::Api));
            let sentence = format!(
                "nothing leads people in: send /v1/connect to Service {gateway} and everything else to Service {api}"
            );
            return add("NoEndpoint", false, &sentence);
        }
        EndpointType::Ingress if endpoint.tls.is_none() => {
            add("PlainHttp", false, "people come by http, so browsers keep them out of much: write endpoint.tls");
        }
        EndpointType::HttpRoute if !context.observed.http_routes => {
            add(
                "NoHTTPRoutes",
                true,
                "this cluster knows no HTTPRoutes: install the Gateway API, or write type: Ingress",
            );
        }
        EndpointType::Ingress | EndpointType::HttpRoute => {}
    }
    if endpoint.trusted_proxies.is_empty() {
        add(
            "NoTrustedProxies",
            false,
            "everyone behind the load balancer shares one address's limits: write endpoint.trustedProxies, with the network \
             that your Ingress controller's or Gateway's pods are in",
        );
    }
}

fn scaling(context: &Context<'_>, warnings: &mut Vec<Warning>) {
    for role in Role::DATABASE_USERS {
        let external =
            size::scaling(context.cluster, role).is_some_and(|scaling| scaling.kind == ScalingType::External);
        if external {
            warnings.push(Warning {
                condition: "AutoscalingActive",
                reason: "ExternalScaling",
                blocking: false,
                sentence: format!(
                    "somebody else scales {}: its pools are made for at most {} replicas",
                    role.name(),
                    context.sizes.of(role).most
                ),
            });
        }
    }
    let writers = context.sizes.of(Role::MessageService).most;
    let queues = u32::from(context.spec().broker.topology.ingest_queues);
    if writers > queues {
        warnings.push(Warning {
            condition: "AutoscalingActive",
            reason: "MoreWritersThanQueues",
            blocking: false,
            sentence: format!(
                "{writers} replicas of message-service share {queues} ingest queues: some will have nothing to do"
            ),
        });
    }
}
