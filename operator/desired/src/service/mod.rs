//! What the workloads stand on, when the operator runs it: StatefulSets that start a service in whatever image holds it.

pub(crate) mod postgres;
pub(crate) mod rabbitmq;
pub(crate) mod redis;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec},
        core::v1::{
            Container, ExecAction, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec, Probe, Service,
            ServicePort, ServiceSpec, TCPSocketAction, Volume, VolumeMount, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use klatch_crd::{DeletionPolicy, Resources, Scheduling, Storage};
use klatch_settings::{dependency::ENV_CLUSTER_ID, place};

use crate::{
    Context, LABEL_CLUSTER, LABEL_PART, Object, Role, Texts,
    object::metadata,
    pod::{self, Said, SecretFile},
    size, texts,
};

/// One StatefulSet of a service.
pub(crate) struct Server<'a> {
    pub(crate) role: Role,
    /// Which one, where there are several of a role.
    pub(crate) part: Option<String>,
    pub(crate) name: String,
    /// The headless Service that gives its pods names.
    pub(crate) headless: String,
    pub(crate) replicas: u32,
    pub(crate) image: String,
    pub(crate) config_map: String,
    /// Its files beside the settings.
    pub(crate) files: &'static [&'static str],
    pub(crate) secrets: Vec<SecretFile>,
    /// The volume of each pod; none for what may be lost.
    pub(crate) storage: Option<(String, Option<&'a Storage>)>,
    pub(crate) resources: Option<&'a Resources>,
    pub(crate) scheduling: Option<&'a Scheduling>,
    /// Whether its pods must be found by name before they are ready.
    pub(crate) peers: bool,
    pub(crate) grace: i64,
    pub(crate) environment: Vec<k8s_openapi::api::core::v1::EnvVar>,
    pub(crate) readiness: Probe,
    /// Tries of ten seconds that a start may take.
    pub(crate) startup_tries: i32,
}

impl Server<'_> {
    pub(crate) fn labels(&self, context: &Context<'_>) -> Texts {
        let mut labels = context.names.role_labels(self.role);
        labels.extend(self.part.iter().map(|part| (LABEL_PART.to_owned(), part.clone())));
        labels
    }

    pub(crate) fn selector(&self, context: &Context<'_>) -> Texts {
        let mut labels = context.names.selector(self.role);
        labels.extend(self.part.iter().map(|part| (LABEL_PART.to_owned(), part.clone())));
        labels
    }
}

/// Mounts of every service's container: its configuration, its secrets, who is who, and where it may write. Files are mounted one
/// by one: a folder of a ConfigMap is read-only, and nothing could be mounted inside of it.
fn mounts(server: &Server<'_>) -> Vec<VolumeMount> {
    let file = |name: &&str| pod::file_mount("configuration", name, &format!("{}/{name}", place::FOLDER));
    let mut mounts: Vec<_> = ["settings.yaml"].iter().chain(server.files).map(file).collect();
    mounts.extend([
        pod::mount("tools", place::TOOLS),
        pod::file_mount("configuration", "passwd", "/etc/passwd"),
        pod::file_mount("configuration", "group", "/etc/group"),
        pod::mount("secrets", place::SECRETS),
        pod::writable("run", place::RUN),
        pod::writable("tmp", "/tmp"),
    ]);
    if server.storage.is_some() {
        mounts.push(pod::writable("data", place::DATA));
    }
    mounts
}

fn volumes(server: &Server<'_>) -> Vec<Volume> {
    vec![
        pod::empty("tools", "256Mi"),
        pod::config_volume("configuration", &server.config_map),
        pod::secret_volume("secrets", &server.secrets),
        pod::empty("run", "64Mi"),
        pod::empty("tmp", "256Mi"),
    ]
}

pub(crate) fn stateful_set(context: &Context<'_>, server: &Server<'_>) -> Object {
    let labels = server.labels(context);
    let mut environment = vec![pod::variable(ENV_CLUSTER_ID, &context.observed.cluster_id)];
    environment.extend(server.environment.clone());
    let alive = Probe {
        // Its process is alive when it takes connections at all; a busy server is not killed.
        failure_threshold: Some(12),
        period_seconds: Some(10),
        timeout_seconds: Some(5),
        ..tcp(server.role.ports()[0].name)
    };
    let container = Container {
        name: server.role.name().to_owned(),
        image: Some(pod::image(context, &server.image)),
        image_pull_policy: pod::pull_policy(context),
        command: Some([place::TOOL, "dependency", server.role.name()].map(str::to_owned).to_vec()),
        args: Some(vec!["--settings".to_owned(), place::SETTINGS.to_owned()]),
        env: Some(environment),
        ports: Some(pod::container_ports(server.role.ports())),
        resources: Some(pod::resources(server.role, server.resources)),
        security_context: Some(pod::container_security()),
        volume_mounts: Some(mounts(server)),
        startup_probe: Some(Probe {
            period_seconds: Some(2),
            failure_threshold: Some(server.startup_tries * 5),
            ..server.readiness.clone()
        }),
        readiness_probe: Some(server.readiness.clone()),
        liveness_probe: Some(alive),
        ..Container::default()
    };
    let pod = PodSpec {
        init_containers: Some(vec![pod::tool_copier(context)]),
        containers: vec![container],
        volumes: Some(volumes(server)),
        ..PodSpec::default()
    };
    let said = Said { resources: server.resources, scheduling: server.scheduling, metadata: None };
    let when_deleted = if context.spec().deletion_policy == DeletionPolicy::Delete { "Delete" } else { "Retain" };
    Object::new(&StatefulSet {
        metadata: metadata(context, server.name.clone(), labels.clone()),
        spec: StatefulSetSpec {
            replicas: Some(crate::scaling::whole(server.replicas)),
            service_name: Some(server.headless.clone()),
            selector: LabelSelector { match_labels: Some(server.selector(context)), ..LabelSelector::default() },
            // In order, a pod that cannot start is waited for before anybody looks whether the set says something else by now: it would
            // stay when a mistyped image is put right (`updateStatefulSet` in Kubernetes' pkg/controller/statefulset).
            pod_management_policy: Some("Parallel".to_owned()),
            revision_history_limit: Some(3),
            persistent_volume_claim_retention_policy: server.storage.is_some().then(|| {
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some(when_deleted.to_owned()),
                    when_scaled: Some("Retain".to_owned()),
                }
            }),
            volume_claim_templates: server.storage.as_ref().map(|storage| vec![claim(context, server, storage)]),
            template: pod::template(context, server.role, labels, said, server.grace, pod),
            ..StatefulSetSpec::default()
        },
        status: None,
    })
}

fn claim(
    context: &Context<'_>,
    server: &Server<'_>,
    (size, said): &(String, Option<&Storage>),
) -> PersistentVolumeClaim {
    let mut labels = server.selector(context);
    labels.extend(texts([(LABEL_CLUSTER, &context.observed.cluster_id)]));
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some("data".to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: said.and_then(|storage| storage.class_name.clone()),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(size.clone()))].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// A Service over a server's pods: with an address of its own, or only as names of the pods.
pub(crate) fn service(
    context: &Context<'_>,
    server: &Server<'_>,
    name: &str,
    headless: bool,
    ports: &[&str],
) -> Object {
    let of = |port: &crate::role::Port| ServicePort {
        name: Some(port.name.to_owned()),
        port: port.number.into(),
        target_port: Some(IntOrString::String(port.name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    let ports = server.role.ports().iter().filter(|port| ports.contains(&port.name)).map(of);
    Object::new(&Service {
        metadata: metadata(context, name, server.labels(context)),
        spec: Some(ServiceSpec {
            cluster_ip: headless.then(|| "None".to_owned()),
            // Peers find each other before they are ready.
            publish_not_ready_addresses: (headless && server.peers).then_some(true),
            selector: Some(server.selector(context)),
            ports: Some(ports.collect()),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}

pub(crate) fn tcp(port: &str) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::String(port.to_owned()), host: None }),
        period_seconds: Some(5),
        timeout_seconds: Some(3),
        failure_threshold: Some(2),
        ..Probe::default()
    }
}

/// Asks the service by our own binary.
pub(crate) fn ask(role: Role) -> Probe {
    let command = [place::TOOL, "dependency", "check", role.name(), "--settings", place::SETTINGS];
    Probe {
        exec: Some(ExecAction { command: Some(command.map(str::to_owned).to_vec()) }),
        period_seconds: Some(5),
        timeout_seconds: Some(5),
        failure_threshold: Some(2),
        ..Probe::default()
    }
}

/// The size of a server's volume, and what is said of it.
pub(crate) fn storage(role: Role, said: Option<&Storage>) -> Option<(String, Option<&Storage>)> {
    Some((size::storage(role, said), said))
}
