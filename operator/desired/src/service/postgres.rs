//! PostgreSQL: one server for the directory and one a shard, so that each is stopped, sized and upgraded by itself.

use klatch_crd::ManagedPostgres;
use klatch_settings::{PostgresDependency, place};

use super::{Server, ask, service, stateful_set, storage};
use crate::{
    Context, Login, Object, Role, configuration,
    pod::SecretFile,
    secret, settings,
    size::{self, MANAGED_CONNECTIONS},
    texts,
};

/// The image when nothing is said.
const IMAGE: &str = "postgres:17";
/// Seconds that a fast shutdown may take beside its checkpoint: transactions are rolled back, walsenders send the rest.
const STOP_SECONDS: u64 = 30;
/// What the checkpoint of a shutdown writes in a second, at least, megabytes: all shared buffers may be dirty, in pages of 8 KB that
/// lie here and there on a volume in a network. Who is killed in it loses nothing, and starts with a recovery.
const CHECKPOINT_MEGABYTES_A_SECOND: u64 = 32;
/// Tries of ten seconds that a start may take: a recovery after a crash replays what was written since the last checkpoint.
const STARTUP_TRIES: i32 = 180;

/// Every server that the operator runs.
pub(crate) fn objects(context: &Context<'_>) -> Vec<Object> {
    let mut objects = Vec::new();
    if secret::managed_directory(context) {
        objects.extend(server(context, "directory", context.spec().directory.managed.as_ref()));
    }
    for shard in &context.shards {
        if let Some(said) = shard.managed() {
            objects.extend(server(context, &shard.name, said));
        }
    }
    objects
}

fn server(context: &Context<'_>, part: &str, said: Option<&ManagedPostgres>) -> Vec<Object> {
    let name = context.names.postgres(part);
    let resources = said.and_then(|one| one.resources.as_ref());
    let memory = size::memory_limit(Role::Postgres, resources);
    let mut files = configuration::user_files();
    files.extend(texts([
        ("settings.yaml", &settings::yaml(&PostgresDependency::default())),
        ("postgresql.conf", &postgresql_conf(memory)),
        ("pg_hba.conf", PG_HBA),
    ]));
    // The same for all with the same memory: one ConfigMap serves them.
    let (config_map, config) = configuration::files(context, Role::Postgres, "postgres", files);
    let server = Server {
        role: Role::Postgres,
        part: Some(part.to_owned()),
        headless: name.clone(),
        name: name.clone(),
        replicas: 1,
        image: said.and_then(|one| one.image.clone()).unwrap_or_else(|| IMAGE.to_owned()),
        config_map,
        files: &["postgresql.conf", "pg_hba.conf"],
        secrets: Login::BOTH
            .map(|login| {
                let key = secret::admin(login);
                SecretFile { secret: secret::postgres(context), file: key.clone(), key }
            })
            .into(),
        storage: storage(Role::Postgres, said.map(|one| &one.storage)),
        resources,
        scheduling: said.and_then(|one| one.scheduling.as_ref()),
        peers: false,
        grace: stop_seconds(memory),
        environment: Vec::new(),
        readiness: ask(Role::Postgres),
        startup_tries: STARTUP_TRIES,
    };
    vec![config, service(context, &server, &name, true, &["postgres"]), stateful_set(context, &server)]
}

/// Everyone signs in by password, over the network of the pods; who is inside the pod, too.
const PG_HBA: &str =
    "# TYPE DATABASE USER ADDRESS METHOD\nlocal all all scram-sha-256\nhost all all all scram-sha-256\n";

/// The part of the memory that is shared buffers.
const SHARED_BUFFERS: u64 = 4;

fn megabytes(memory: u64, share: u64) -> u64 {
    (memory / share / (1024 * 1024)).max(32)
}

fn stop_seconds(memory: u64) -> i64 {
    let seconds = STOP_SECONDS + megabytes(memory, SHARED_BUFFERS) / CHECKPOINT_MEGABYTES_A_SECOND;
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// A quarter of the memory for shared buffers is PostgreSQL's own advice
/// (<https://www.postgresql.org/docs/17/runtime-config-resource.html>); `wal_level` is what moves of slots take, and cannot be
/// changed without a restart later.
fn postgresql_conf(memory: u64) -> String {
    let megabytes = |share: u64| megabytes(memory, share);
    let run = place::RUN;
    format!(
        "listen_addresses = '*'\n\
         unix_socket_directories = '{run}'\n\
         max_connections = {MANAGED_CONNECTIONS}\n\
         shared_buffers = {}MB\n\
         effective_cache_size = {}MB\n\
         maintenance_work_mem = {}MB\n\
         # An acknowledged message is on disk.\n\
         synchronous_commit = on\n\
         wal_level = logical\n\
         max_wal_size = 2GB\n\
         checkpoint_timeout = 15min\n\
         password_encryption = scram-sha-256\n\
         log_destination = stderr\n\
         logging_collector = off\n\
         log_line_prefix = '%m [%p] %q%u@%d '\n\
         log_checkpoints = on\n\
         log_lock_waits = on\n\
         # Many small queries of known shape: compiling them costs more than it saves.\n\
         jit = off\n",
        megabytes(SHARED_BUFFERS),
        megabytes(2),
        megabytes(16),
    )
}
