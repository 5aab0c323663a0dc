//! Deployments of the workloads, and the Job that makes their schema.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        batch::v1::{Job, JobSpec},
        core::v1::{
            Container, Lifecycle, LifecycleHandler, PodSpec, Service, ServicePort, ServiceSpec, SleepAction, Volume,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use klatch_crd::{Pod, PostgresConnection, Provider, PullPolicy, Scheduling};
use klatch_settings::{STOP_SECONDS, place};
use serde_json::json;

use crate::{
    Context, Login, Object, Role, Texts, configuration,
    name::login_key,
    object::metadata,
    part::Kind,
    pod::{self, Said, SecretFile},
    role::{From, Port},
    secret, settings, texts,
};

/// Between a pod's end being asked for and its process hearing of it, seconds: load balancers learn of it meanwhile.
const BEFORE_STOP_SECONDS: i64 = 10;
/// Between a process's own end of patience and its being killed, seconds: it says what it left, and goes.
const LAST_WORDS_SECONDS: i64 = 5;
/// What a migration may take to end when it is told to, seconds: its statement is rolled back.
const MIGRATE_STOP_SECONDS: i64 = 30;
/// A replica that has been ready for so long counts as available, seconds.
const MIN_READY_SECONDS: i32 = 5;
/// Tries of a migration before it counts as failed; each failure says why in its log.
const MIGRATE_TRIES: i32 = 4;
/// A migration that takes longer is stopped, seconds: what it has done stays, and the next goes on.
const MIGRATE_SECONDS: i64 = 3_600;

fn said<'a>(context: &'a Context<'_>, role: Role) -> Said<'a> {
    let spec = context.spec();
    let pod: &Pod = match role {
        Role::Gateway => &spec.gateway.pod,
        Role::Api => &spec.api.pod,
        Role::MessageService => &spec.message_service.pod,
        Role::NotificationService => &spec.notification_service.pod,
        // It runs where api may, which waits for it: among nodes that are all tainted it would find no other.
        Role::Migrate => return Said { scheduling: spec.api.pod.scheduling.as_ref(), ..Said::default() },
        _ => return Said::default(),
    };
    Said { resources: pod.resources.as_ref(), scheduling: pod.scheduling.as_ref(), metadata: pod.pod_metadata.as_ref() }
}

/// ConfigMap, Deployment, Services and disruption budget of a workload.
pub(crate) fn objects(context: &Context<'_>, role: Role) -> Vec<Object> {
    let (config, config_map) = config(context, role);
    let mut objects = vec![config_map, deployment(context, role, &config)];
    objects.extend(services(context, role));
    // Where an autoscaler may leave one there are more at other times. The one may go, too: one at a time may.
    if context.sizes.of(role).most > 1 {
        objects.push(disruption_budget(context, role));
    }
    objects
}

fn config(context: &Context<'_>, role: Role) -> (String, Object) {
    let files = texts([("settings.yaml", &settings::file(context, role))]);
    configuration::files(context, role, role.name(), files)
}

/// Until a pod is killed, seconds: a bound, and no wait. It is no longer than what the process takes for itself, as whoever deletes a
/// namespace waits for it: Kubernetes looks again after half of the longest (`ResourcesRemainingError` of its namespace controller).
fn grace(context: &Context<'_>, role: Role) -> i64 {
    let drain = match role {
        Role::Gateway => i64::try_from(context.spec().gateway.drain.seconds()).unwrap_or(0),
        _ => 0,
    };
    BEFORE_STOP_SECONDS + drain + i64::from(STOP_SECONDS) + LAST_WORDS_SECONDS
}

fn deployment(context: &Context<'_>, role: Role, config: &str) -> Object {
    let labels = context.names.role_labels(role);
    let pod = PodSpec {
        containers: vec![container(context, role)],
        volumes: Some(volumes(context, role, config)),
        ..PodSpec::default()
    };
    let deployment = Object::new(&Deployment {
        metadata: metadata(context, context.names.role(role), labels.clone()),
        spec: DeploymentSpec {
            // No replicas: see `Desired::replicas`.
            replicas: None,
            min_ready_seconds: Some(MIN_READY_SECONDS),
            revision_history_limit: Some(3),
            selector: selector(context.names.selector(role)),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: pod::template(context, role, labels, said(context, role), grace(context, role), pod),
            ..DeploymentSpec::default()
        },
        status: None,
    });
    // It reads once which tokens it takes.
    if role == Role::Api { pod::begin_anew_with_secrets(context, deployment) } else { deployment }
}

fn selector(labels: Texts) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn container(context: &Context<'_>, role: Role) -> Container {
    let long_lived = role != Role::Migrate;
    let mut mounts = vec![
        pod::file_mount("settings", "settings.yaml", place::SETTINGS),
        pod::mount("secrets", place::SECRETS),
        pod::writable("tmp", "/tmp"),
    ];
    if matches!(role, Role::Gateway | Role::Api) {
        mounts.push(pod::mount("internal-tls", place::INTERNAL_TLS));
    }
    if role == Role::Api {
        mounts.push(pod::mount("keys", place::KEYS));
    }
    Container {
        name: "klatch".to_owned(),
        image: Some(pod::klatch_image(context)),
        image_pull_policy: pod::pull_policy(context),
        command: Some(vec![place::BINARY.to_owned(), role.name().to_owned()]),
        args: Some(vec!["--settings".to_owned(), place::SETTINGS.to_owned()]),
        ports: long_lived.then(|| pod::container_ports(role.ports())),
        resources: Some(pod::resources(role, said(context, role).resources)),
        // The status of a ChatCluster says why a migration failed, in its own words.
        termination_message_policy: (role == Role::Migrate).then(|| "FallbackToLogsOnError".to_owned()),
        security_context: Some(pod::container_security()),
        volume_mounts: Some(mounts),
        // It waits for what it stands on for a minute, then ends and is started again: five minutes are patience enough.
        startup_probe: long_lived.then(|| pod::http_probe("/healthz", "admin", 2, 150)),
        readiness_probe: long_lived.then(|| pod::http_probe("/readyz", "admin", 2, 2)),
        liveness_probe: long_lived.then(|| pod::http_probe("/healthz", "admin", 10, 6)),
        lifecycle: long_lived.then(|| Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: BEFORE_STOP_SECONDS }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..Container::default()
    }
}

fn volumes(context: &Context<'_>, role: Role, config: &str) -> Vec<Volume> {
    let mut volumes = vec![
        pod::config_volume("settings", config),
        pod::secret_volume("secrets", &secret_files(context, role)),
        pod::empty("tmp", "64Mi"),
    ];
    let whole = |name: &str, secret: String, keys: &[&str]| {
        let files: Vec<_> = keys
            .iter()
            .map(|key| SecretFile { secret: secret.clone(), key: (*key).to_owned(), file: (*key).to_owned() })
            .collect();
        pod::secret_volume(name, &files)
    };
    match role {
        Role::Gateway => volumes.push(whole("internal-tls", secret::internal_tls(context), &["ca.crt"])),
        Role::Api => {
            volumes.push(whole("internal-tls", secret::internal_tls(context), &["tls.crt", "tls.key"]));
            volumes.push(Volume {
                name: "keys".to_owned(),
                secret: Some(k8s_openapi::api::core::v1::SecretVolumeSource {
                    secret_name: Some(secret::signing_keys(context)),
                    default_mode: Some(0o440),
                    ..k8s_openapi::api::core::v1::SecretVolumeSource::default()
                }),
                ..Volume::default()
            });
        }
        _ => {}
    }
    volumes
}

/// The secrets a role is shown, and no others.
fn secret_files(context: &Context<'_>, role: Role) -> Vec<SecretFile> {
    let mut files = Vec::new();
    let mut add = |secret: String, key: &str, file: &str| {
        files.push(SecretFile { secret, key: key.to_owned(), file: file.to_owned() });
    };
    let login = context.observed.login;
    if role != Role::Migrate {
        add(secret::broker_logins(context), &login_key(role, login), settings::BROKER_FILE);
        if let Some(reference) = external_broker_authority(context) {
            add(reference, "ca.crt", settings::BROKER_CA_FILE);
        }
        cache_files(context, &mut add);
    }
    if matches!(role, Role::Gateway | Role::Api) {
        add(secret::service_token(context), &secret::key_of(secret::TOKEN, login), settings::TOKEN_FILE);
    }
    if role == Role::Api {
        let other = secret::key_of(secret::TOKEN, login.other());
        add(secret::service_token(context), &other, settings::OTHER_TOKEN_FILE);
    }
    if role != Role::Gateway {
        database_files(context, role, &mut add);
    }
    files
}

/// The Secret of the authority that vouches for brokers of others.
pub(crate) fn external_broker_authority(context: &Context<'_>) -> Option<String> {
    let external = context.spec().broker.external.as_ref()?;
    Some(external.tls.ca_secret_ref.as_ref()?.name.clone())
}

fn cache_files(context: &Context<'_>, add: &mut impl FnMut(String, &str, &str)) {
    let cache = &context.spec().cache;
    match (cache.provider, &cache.external) {
        (Provider::External, Some(external)) => {
            if let Some(reference) = &external.secret_ref {
                add(reference.name.clone(), "password", settings::CACHE_FILE);
            }
            if let Some(reference) = &external.tls.ca_secret_ref {
                add(reference.name.clone(), "ca.crt", settings::CACHE_CA_FILE);
            }
        }
        _ => add(secret::redis(context), context.observed.login.letter(), settings::CACHE_FILE),
    }
}

fn database_files(context: &Context<'_>, role: Role, add: &mut impl FnMut(String, &str, &str)) {
    let managed = secret::managed_directory(context) || context.shards.iter().any(|shard| shard.managed().is_some());
    if managed && role == Role::Migrate {
        for login in Login::BOTH {
            let key = secret::admin(login);
            add(secret::postgres(context), &key, &key);
        }
        for user in Role::DATABASE_USERS {
            for login in Login::BOTH {
                let key = login_key(user, login);
                add(secret::database_logins(context), &key, &key);
            }
        }
    } else if managed {
        add(secret::database_logins(context), &login_key(role, context.observed.login), settings::DATABASE_FILE);
    }
    external_database_files(context, add);
}

fn external_database_files(context: &Context<'_>, add: &mut impl FnMut(String, &str, &str)) {
    let mut external = |connection: &PostgresConnection, file: &str| {
        add(connection.secret_ref.name.clone(), "password", file);
        if let Some(reference) = &connection.tls.ca_secret_ref {
            add(reference.name.clone(), "ca.crt", &settings::authority_file(file));
        }
    };
    if let Some(directory) = &context.spec().directory.external {
        external(&directory.primary, settings::DIRECTORY_FILE);
        for (number, replica) in directory.replicas.iter().enumerate() {
            external(replica, &format!("{}-{number}", settings::DIRECTORY_FILE));
        }
    }
    for shard in &context.shards {
        if let Kind::External(connection) = shard.kind {
            external(connection, &settings::external_file(&shard.name));
        }
    }
}

/// One Service for whoever comes in, one for gateways' questions; what nobody comes to has none.
fn services(context: &Context<'_>, role: Role) -> Vec<Object> {
    let of = |name: String, port: &Port| {
        Object::new(&Service {
            metadata: metadata(context, name, context.names.role_labels(role)),
            spec: Some(ServiceSpec {
                selector: Some(context.names.selector(role)),
                ports: Some(vec![ServicePort {
                    name: Some(port.name.to_owned()),
                    port: port.number.into(),
                    target_port: Some(IntOrString::String(port.name.to_owned())),
                    protocol: Some("TCP".to_owned()),
                    ..ServicePort::default()
                }]),
                ..ServiceSpec::default()
            }),
            status: None,
        })
    };
    let named = role.ports().iter().filter_map(|port| match port.from {
        From::Anyone => Some((context.names.role(role), port)),
        From::Roles(_) => Some((secret::internal_service(context), port)),
        From::Pods | From::Operator => None,
    });
    named.map(|(name, port)| of(name, port)).collect()
}

pub(crate) fn disruption_budget(context: &Context<'_>, role: Role) -> Object {
    Object::new(&PodDisruptionBudget {
        metadata: metadata(context, context.names.role(role), context.names.role_labels(role)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(context.names.selector(role))),
            // A pod that is not ready protects nobody, and must not stop a node from being emptied.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    })
}

/// What a user says to a migration and its settings do not hold: who changes it may mend one that failed. Where nothing is said there is
/// nothing, as another name is another Job.
fn said_beside(context: &Context<'_>, mut add: impl FnMut(&str)) {
    let image = &context.spec().image;
    image.pull_secrets.iter().for_each(|secret| add(&secret.name));
    if image.pull_policy != PullPolicy::default() {
        pod::pull_policy(context).iter().for_each(|policy| add(policy));
    }
    if let Some(scheduling) = said(context, Role::Migrate).scheduling
        && *scheduling != Scheduling::default()
    {
        add(&json!(scheduling).to_string());
    }
    external_database_files(context, &mut |secret, _, file| {
        add(file);
        add(&secret);
    });
}

/// The Job that brings the databases to the version's schema. Its name changes with the version and with what it is told: a Job
/// cannot be changed, and one that is done is not done again.
pub(crate) fn migrate(context: &Context<'_>) -> Vec<Object> {
    let (config, config_map) = config(context, Role::Migrate);
    let labels = context.names.role_labels(Role::Migrate);
    let pod = PodSpec {
        containers: vec![container(context, Role::Migrate)],
        volumes: Some(volumes(context, Role::Migrate, &config)),
        restart_policy: Some("Never".to_owned()),
        ..PodSpec::default()
    };
    let mut content = format!("{}\0{config}\0{}", pod::klatch_image(context), context.observed.rotations);
    said_beside(context, |word| {
        content.push('\0');
        content.push_str(word);
    });
    let said = said(context, Role::Migrate);
    let job = Object::new(&Job {
        metadata: metadata(context, context.names.hashed("migrate", content.as_bytes()), labels.clone()),
        spec: Some(JobSpec {
            backoff_limit: Some(MIGRATE_TRIES - 1),
            active_deadline_seconds: Some(MIGRATE_SECONDS),
            template: pod::template(context, Role::Migrate, labels, said, MIGRATE_STOP_SECONDS, pod),
            ..JobSpec::default()
        }),
        status: None,
    });
    vec![config_map, job]
}
