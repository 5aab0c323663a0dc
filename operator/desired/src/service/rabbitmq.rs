//! RabbitMQ: brokers that find each other by the names of their pods.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector};
use klatch_crd::Provider;
use klatch_settings::{RabbitmqDependency, dependency::ENV_NODE_NAME, port};

use super::{Server, service, stateful_set, storage, tcp};
use crate::{
    Context, Login, Object, Role, configuration,
    pod::{SecretFile, variable},
    secret, settings, size, texts, workload,
};

/// The image when nothing is said. Its management plugin is turned on by the operator.
const IMAGE: &str = "rabbitmq:4";
/// Seconds that a stop may take: connections and queues are closed. What is confirmed is on disk of most brokers, whatever becomes of
/// this one.
const STOP_SECONDS: i64 = 60;
/// Tries of ten seconds that a start may take: peers wait for each other.
const STARTUP_TRIES: i32 = 30;
/// Seconds between heartbeats: a silent peer is given up after about twice that.
const HEARTBEAT: u16 = 5;

pub(crate) fn objects(context: &Context<'_>) -> Vec<Object> {
    let broker = &context.spec().broker;
    if broker.provider != Provider::Managed {
        return Vec::new();
    }
    let default = klatch_crd::ManagedBroker::default();
    let said = broker.managed.as_ref().unwrap_or(&default);
    let name = context.names.role(Role::Rabbitmq);
    let headless = context.names.of("rabbitmq-nodes");
    let mut files = configuration::user_files();
    let memory = size::memory_limit(Role::Rabbitmq, said.resources.as_ref());
    files.extend(texts([
        ("settings.yaml", &settings::yaml(&RabbitmqDependency::default())),
        ("rabbitmq.conf", &rabbitmq_conf(&name, &headless, said.replicas, memory)),
    ]));
    let (config_map, config) = configuration::files(context, Role::Rabbitmq, "rabbitmq", files);
    let secret = |key: String| SecretFile { secret: secret::rabbitmq(context), file: key.clone(), key };
    let server = Server {
        role: Role::Rabbitmq,
        part: None,
        name: name.clone(),
        headless: headless.clone(),
        replicas: said.replicas,
        image: said.image.clone().unwrap_or_else(|| IMAGE.to_owned()),
        config_map,
        files: &["rabbitmq.conf"],
        secrets: vec![secret(secret::admin(Login::A)), secret(secret::COOKIE.to_owned())],
        storage: storage(Role::Rabbitmq, Some(&said.storage)),
        resources: said.resources.as_ref(),
        scheduling: said.scheduling.as_ref(),
        peers: true,
        grace: STOP_SECONDS,
        environment: node_name(&headless),
        readiness: tcp("amqp"),
        startup_tries: STARTUP_TRIES,
    };
    let mut objects = vec![
        config,
        service(context, &server, &headless, true, &["epmd", "distribution"]),
        service(context, &server, &name, false, &["amqp", "management"]),
        stateful_set(context, &server),
    ];
    if said.replicas > 1 {
        objects.push(workload::disruption_budget(context, Role::Rabbitmq));
    }
    objects
}

fn node_name(headless: &str) -> Vec<EnvVar> {
    let field = ObjectFieldSelector { field_path: "metadata.name".to_owned(), api_version: None };
    vec![
        EnvVar {
            name: "POD_NAME".to_owned(),
            value: None,
            value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        },
        variable(ENV_NODE_NAME, &format!("rabbit@$(POD_NAME).{headless}")),
    ]
}

fn rabbitmq_conf(name: &str, headless: &str, replicas: u32, memory: u64) -> String {
    let mut conf = format!(
        "listeners.tcp.default = {}\n\
         management.tcp.port = {}\n\
         distribution.listener.port_range.min = {distribution}\n\
         distribution.listener.port_range.max = {distribution}\n\
         heartbeat = {HEARTBEAT}\n\
         loopback_users = none\n\
         total_memory_available_override_value = {memory}\n\
         vm_memory_high_watermark.relative = 0.6\n\
         disk_free_limit.absolute = 500MB\n\
         log.console = true\n\
         log.file = false\n\
         cluster_name = {name}\n\
         cluster_partition_handling = pause_minority\n\
         cluster_formation.peer_discovery_backend = classic_config\n",
        port::AMQP,
        port::RABBITMQ_MANAGEMENT,
        distribution = port::RABBITMQ_DISTRIBUTION,
    );
    for number in 0..replicas {
        conf.push_str(&format!(
            "cluster_formation.classic_config.nodes.{} = rabbit@{name}-{number}.{headless}\n",
            number + 1
        ));
    }
    conf
}
