//! Who may speak to whom: nobody, but for what is used.

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use klatch_crd::Provider;

use crate::{
    Context, MANAGER, Object, Role, Texts,
    object::metadata,
    part::Kind,
    role::{From, Port},
    texts,
};

/// Where names are looked up (RFC 1035 section 4.2).
const DNS: u16 = 53;

pub(crate) fn policies(context: &Context<'_>) -> Vec<Object> {
    let labels = context.names.labels();
    let mut policies = vec![policy(context, "default-deny", labels.clone(), labels, None, None)];
    for role in Role::ALL {
        let ingress: Vec<_> = role.ports().iter().map(|port| ingress(context, port)).collect();
        let egress = egress(context, role);
        let labels = context.names.role_labels(role);
        policies.push(policy(context, role.name(), labels.clone(), labels, Some(ingress), Some(egress)));
    }
    policies
}

/// Over pods with all of these labels: a name alone may be that of somebody else's Helm release, or of the operator's.
fn policy(
    context: &Context<'_>,
    name: &str,
    labels: Texts,
    pods: Texts,
    ingress: Option<Vec<NetworkPolicyIngressRule>>,
    egress: Option<Vec<NetworkPolicyEgressRule>>,
) -> Object {
    Object::new(&NetworkPolicy {
        metadata: metadata(context, context.names.of(name), labels),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(matching(pods)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            // No rules are said as such: what is left out, somebody else may write without being corrected.
            ingress: Some(ingress.unwrap_or_default()),
            egress: Some(egress.unwrap_or_default()),
        }),
    })
}

fn matching(labels: Texts) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn pods(labels: Texts) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(matching(labels)), ..NetworkPolicyPeer::default() }
}

fn by(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(number.into())),
        end_port: None,
    }
}

fn ingress(context: &Context<'_>, port: &Port) -> NetworkPolicyIngressRule {
    let everywhere = || Some(LabelSelector::default());
    let from = match port.from {
        From::Anyone => None,
        From::Pods => {
            Some(vec![NetworkPolicyPeer { namespace_selector: everywhere(), ..NetworkPolicyPeer::default() }])
        }
        From::Roles(roles) => Some(roles.iter().map(|role| pods(context.names.role_labels(*role))).collect()),
        // In whatever namespace it runs.
        From::Operator => Some(vec![NetworkPolicyPeer {
            namespace_selector: everywhere(),
            pod_selector: Some(matching(texts([("app.kubernetes.io/name", MANAGER)]))),
            ip_block: None,
        }]),
    };
    NetworkPolicyIngressRule { from, ports: Some(vec![by("TCP", port.number)]) }
}

/// What a role's pods reach: the ports that others open to them, names, and what somebody else runs.
fn egress(context: &Context<'_>, role: Role) -> Vec<NetworkPolicyEgressRule> {
    let mut rules = Vec::new();
    for other in Role::ALL {
        let open = |port: &&Port| matches!(port.from, From::Roles(roles) if roles.contains(&role));
        let ports: Vec<_> = other.ports().iter().filter(open).map(|port| by("TCP", port.number)).collect();
        if !ports.is_empty() && is_ours(context, other) {
            let to = Some(vec![pods(context.names.role_labels(other))]);
            rules.push(NetworkPolicyEgressRule { to, ports: Some(ports) });
        }
    }
    // Their addresses may be anything, and change; their ports are known.
    let external = external_ports(context, role);
    if !external.is_empty() {
        rules.push(NetworkPolicyEgressRule {
            to: None,
            ports: Some(external.into_iter().map(|port| by("TCP", port)).collect()),
        });
    }
    if !rules.is_empty() {
        rules.push(NetworkPolicyEgressRule { to: None, ports: Some(vec![by("UDP", DNS), by("TCP", DNS)]) });
    }
    rules
}

fn is_ours(context: &Context<'_>, role: Role) -> bool {
    match role {
        Role::Rabbitmq => context.spec().broker.provider == Provider::Managed,
        Role::Redis => context.spec().cache.provider == Provider::Managed,
        Role::Postgres => {
            crate::secret::managed_directory(context) || context.shards.iter().any(|shard| shard.managed().is_some())
        }
        _ => true,
    }
}

fn external_ports(context: &Context<'_>, role: Role) -> Vec<u16> {
    let (spec, mut ports) = (context.spec(), Vec::new());
    if role == Role::Migrate || Role::DATABASE_USERS.contains(&role) {
        if let Some(directory) = &spec.directory.external {
            ports.extend(directory.replicas.iter().chain([&directory.primary]).map(|one| one.port));
        }
        ports.extend(context.shards.iter().filter_map(|shard| match shard.kind {
            Kind::External(connection) => Some(connection.port),
            Kind::Managed(_) => None,
        }));
    }
    if Role::WORKLOADS.contains(&role) {
        ports.extend(spec.broker.external.iter().flat_map(|broker| broker.brokers.iter().map(|one| one.port)));
        ports.extend(spec.cache.external.iter().flat_map(|cache| cache.endpoints.iter().map(|one| one.port)));
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}
