//! Redis: one server, nothing on disk. It may be empty at any time.

use klatch_crd::{Amounts, Provider, Resources};
use klatch_settings::{RedisDependency, port};

use super::{Server, service, stateful_set, tcp};
use crate::{
    Context, Login, Object, Role, configuration,
    pod::{self, SecretFile},
    secret,
    settings::{self, CACHE_USER},
    texts,
};

/// The image when nothing is said.
const IMAGE: &str = "redis:8";
/// Seconds that a stop may take; nothing is written.
const STOP_SECONDS: i64 = 20;
/// Tries of ten seconds that a start may take.
const STARTUP_TRIES: i32 = 6;

pub(crate) fn objects(context: &Context<'_>) -> Vec<Object> {
    let cache = &context.spec().cache;
    if cache.provider != Provider::Managed {
        return Vec::new();
    }
    let said = cache.managed.clone().unwrap_or_default();
    let name = context.names.role(Role::Redis);
    // A quarter stays for connections, buffers and what the allocator cannot use.
    let most = said.memory.units().unwrap_or_default() / 4 * 3;
    let dependency = RedisDependency { user: CACHE_USER.to_owned(), ..RedisDependency::default() };
    let mut files = configuration::user_files();
    files.extend(texts([("settings.yaml", &settings::yaml(&dependency)), ("redis.conf", &redis_conf(most))]));
    let (config_map, config) = configuration::files(context, Role::Redis, "redis", files);
    let secret = |login: Login| SecretFile {
        secret: secret::redis(context),
        key: login.letter().to_owned(),
        file: login.letter().to_owned(),
    };
    let amounts = Amounts { cpu: None, memory: Some(said.memory.clone()) };
    let resources = Resources { requests: Some(amounts.clone()), limits: Some(amounts) };
    let server = Server {
        role: Role::Redis,
        part: None,
        name: name.clone(),
        headless: name.clone(),
        replicas: 1,
        image: said.image.clone().unwrap_or_else(|| IMAGE.to_owned()),
        config_map,
        files: &["redis.conf"],
        secrets: Login::BOTH.map(secret).to_vec(),
        storage: None,
        resources: Some(&resources),
        scheduling: said.scheduling.as_ref(),
        peers: false,
        grace: STOP_SECONDS,
        environment: Vec::new(),
        readiness: tcp("redis"),
        startup_tries: STARTUP_TRIES,
    };
    // It reads its passwords once. What it holds may go at any time.
    let stateful_set = pod::begin_anew_with_secrets(context, stateful_set(context, &server));
    vec![config, service(context, &server, &name, true, &["redis"]), stateful_set]
}

/// Keys with a time to live go first when memory is short; presence has none but its leases, and is made again.
fn redis_conf(most: u64) -> String {
    format!(
        "bind * -::*\n\
         protected-mode no\n\
         port {}\n\
         save \"\"\n\
         appendonly no\n\
         maxmemory {most}\n\
         maxmemory-policy volatile-ttl\n",
        port::REDIS
    )
}
