//! In which order: each phase waits for the one before it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ServiceAccount;

use crate::{
    Context, Object, Role, SecretShape, endpoint, network, object::metadata, scaling, secret, service, workload,
};

/// What a phase is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Accounts, credentials and who may speak to whom.
    Ground,
    /// PostgreSQL, RabbitMQ, Redis.
    Services,
    /// The schema of this version.
    Schema,
    /// What stands on the brokers.
    Topology,
    /// The workloads.
    Workloads,
    /// Who says how many there are.
    Scaling,
    /// The way in.
    Endpoint,
}

impl Step {
    /// For people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Ground => "accounts, credentials, network policies",
            Self::Services => "PostgreSQL, RabbitMQ, Redis",
            Self::Schema => "schema",
            Self::Topology => "queues and exchanges",
            Self::Workloads => "workloads",
            Self::Scaling => "autoscaling",
            Self::Endpoint => "the way in",
        }
    }
}

/// What must be so before the next phase begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Nothing more than that it was applied.
    Applied,
    /// Every StatefulSet has its replicas ready, of this revision.
    ServicesReady,
    /// The Job is complete.
    JobComplete,
    /// The brokers hold the topology.
    TopologyThere,
    /// Every Deployment has rolled out.
    WorkloadsReady,
}

/// Objects that are applied together.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// What it is about.
    pub step: Step,
    /// Secrets that are created when they are not there.
    pub secrets: Vec<SecretShape>,
    /// Objects to apply.
    pub objects: Vec<Object>,
    /// What opens the next.
    pub gate: Gate,
}

pub(crate) fn phases(context: &Context<'_>) -> Vec<Phase> {
    let of = |step, objects: Vec<Object>, gate| Phase { step, secrets: Vec::new(), objects: once(objects), gate };
    let mut ground = accounts(context);
    ground.extend(network::policies(context));
    let mut services = service::postgres::objects(context);
    services.extend(service::rabbitmq::objects(context));
    services.extend(service::redis::objects(context));
    let workloads = Role::WORKLOADS.iter().flat_map(|role| workload::objects(context, *role)).collect();
    vec![
        Phase { secrets: secret::secrets(context), ..of(Step::Ground, ground, Gate::Applied) },
        of(Step::Services, services, Gate::ServicesReady),
        of(Step::Schema, workload::migrate(context), Gate::JobComplete),
        of(Step::Topology, Vec::new(), Gate::TopologyThere),
        of(Step::Workloads, workloads, Gate::WorkloadsReady),
        of(Step::Scaling, scaling::autoscalers(context), Gate::Applied),
        of(Step::Endpoint, endpoint::objects(context), Gate::Applied),
    ]
}

/// Servers with the same configuration share its ConfigMap.
fn once(objects: Vec<Object>) -> Vec<Object> {
    let mut seen = BTreeSet::new();
    let is_new = |object: &Object| seen.insert((object.kind().to_owned(), object.name().to_owned()));
    objects
        .into_iter()
        .filter({
            let mut is_new = is_new;
            move |object| is_new(object)
        })
        .collect()
}

/// Nothing of ours asks the apiserver anything: accounts without tokens.
fn accounts(context: &Context<'_>) -> Vec<Object> {
    let of = |role: Role| {
        Object::new(&ServiceAccount {
            metadata: metadata(context, context.names.role(role), context.names.role_labels(role)),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        })
    };
    Role::ALL.into_iter().map(of).collect()
}
