//! What each workload reads, in its own types: what does not exist there cannot be written here.

use klatch_crd::{CacheMode as SaidMode, Encryption, Pooler, PostgresConnection, Provider, SignUp as SaidSignUp, Tls};
use klatch_settings::{
    ApiProcess, ApiSettings, BrokerEndpoint, BrokerSettings, CacheEndpoint, CacheMode, CacheSettings, DatabaseSettings,
    DirectorySettings, GatewayProcess, GatewaySettings, InternalSettings, KeysSettings, Limits, MessageServiceProcess,
    MigrateProcess, NotificationServiceProcess, PoolSettings, PoolerMode, PostgresDependency, PostgresSettings,
    QueriesSettings, RoleSettings, RolesSettings, ShardSettings, SignUp, TlsMode, TlsSettings, TopologySettings, place,
    port,
};
use serde::Serialize;
use serde_json::Value;

use crate::{Context, Login, Role, broker, endpoint, name, part, secret, size::Pools};

/// The role that owns the schema in Managed databases.
const OWNER: &str = "klatch_owner";
/// File of a workload's password at Managed databases.
pub(crate) const DATABASE_FILE: &str = "database";
/// File of the password of the directory, when somebody else runs it.
pub(crate) const DIRECTORY_FILE: &str = "directory";
/// File of the brokers' password.
pub(crate) const BROKER_FILE: &str = "broker";
/// File of the cache's password.
pub(crate) const CACHE_FILE: &str = "cache";
/// File of the service token.
pub(crate) const TOKEN_FILE: &str = "service-token";
/// File of the service token that is not in use, which api takes as well.
pub(crate) const OTHER_TOKEN_FILE: &str = "other-service-token";
/// File of the authority that brokers are believed by.
pub(crate) const BROKER_CA_FILE: &str = "broker-ca.crt";
/// File of the authority that the cache is believed by.
pub(crate) const CACHE_CA_FILE: &str = "cache-ca.crt";

/// File of an external database's password: of the directory's replicas by their number.
pub(crate) fn external_file(shard: &str) -> String {
    format!("shard-{shard}")
}

/// File of the authority that an external database is believed by.
pub(crate) fn authority_file(password_file: &str) -> String {
    format!("{password_file}-ca.crt")
}

/// The settings file of a role's pods.
pub(crate) fn file(context: &Context<'_>, role: Role) -> String {
    match role {
        Role::Gateway => yaml(&gateway(context)),
        Role::Api => yaml(&api(context)),
        Role::MessageService => yaml(&MessageServiceProcess {
            admin_listen: port::everywhere(port::MESSAGE_SERVICE_ADMIN),
            database: database(context, role),
            broker: broker_settings(context, role),
            cache: cache(context),
            ..MessageServiceProcess::default()
        }),
        Role::NotificationService => yaml(&NotificationServiceProcess {
            admin_listen: port::everywhere(port::NOTIFICATION_SERVICE_ADMIN),
            database: database(context, role),
            broker: broker_settings(context, role),
            cache: cache(context),
            ..NotificationServiceProcess::default()
        }),
        _ => yaml(&migrate(context)),
    }
}

/// Only what differs from the defaults: those are the workload's own, of its version. So an upgrade of the operator alone changes
/// no file, and a field that only a newer workload knows is not shown to an older one.
pub(crate) fn yaml<T: Serialize + Default>(settings: &T) -> String {
    let json = |settings: &T| serde_json::to_value(settings).unwrap_or_default();
    let mut said = json(settings);
    drop_defaults(&mut said, &json(&T::default()));
    serde_saphyr::to_string(&said).unwrap_or_default()
}

fn drop_defaults(said: &mut Value, default: &Value) {
    match said {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                drop_defaults(field, &default[name]);
            }
            // A shard's number is what people look for.
            fields
                .retain(|name, field| name == "id" || !(field.is_null() || *field == default[name] || is_empty(field)));
        }
        // The default of a list is one part with defaults; every part of ours is held against it.
        Value::Array(items) => {
            for item in items.iter_mut().filter(|item| item.is_object()) {
                drop_defaults(item, &default[0]);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn gateway(context: &Context<'_>) -> GatewayProcess {
    let said = &context.spec().gateway;
    GatewayProcess {
        listen: port::everywhere(port::GATEWAY),
        admin_listen: port::everywhere(port::GATEWAY_ADMIN),
        gateway: GatewaySettings {
            slots: context.spec().messages.slots,
            max_connections: usize::try_from(said.max_connections_per_replica).unwrap_or(usize::MAX),
            drain_ms: said.drain.seconds() * 1_000,
            limits: limits(context),
            ..GatewaySettings::default()
        },
        broker: broker_settings(context, Role::Gateway),
        cache: cache(context),
        queries: QueriesSettings {
            addresses: vec![format!("https://{}:{}", secret::internal_service(context), port::API_INTERNAL)],
            token_file: Some(place::secret(TOKEN_FILE).into()),
            ca_file: Some(format!("{}/ca.crt", place::INTERNAL_TLS).into()),
        },
        ..GatewayProcess::default()
    }
}

fn api(context: &Context<'_>) -> ApiProcess {
    ApiProcess {
        listen: port::everywhere(port::API),
        admin_listen: port::everywhere(port::API_ADMIN),
        web_folder: Some(place::WEB.into()),
        api: ApiSettings {
            sign_up: match context.spec().auth.signup {
                SaidSignUp::Open => SignUp::Open,
                SaidSignUp::Closed => SignUp::Closed,
            },
            trusted_proxies: context.spec().endpoint.trusted_proxies.clone(),
            public_url: endpoint::public_url(context),
            limits: limits(context),
        },
        internal: InternalSettings {
            listen: port::everywhere(port::API_INTERNAL),
            token_file: Some(place::secret(TOKEN_FILE).into()),
            other_token_file: Some(place::secret(OTHER_TOKEN_FILE).into()),
            certificate_file: Some(format!("{}/tls.crt", place::INTERNAL_TLS).into()),
            key_file: Some(format!("{}/tls.key", place::INTERNAL_TLS).into()),
        },
        keys: KeysSettings { folder: place::KEYS.into(), rotate: false },
        database: database(context, Role::Api),
        broker: broker_settings(context, Role::Api),
        cache: cache(context),
        ..ApiProcess::default()
    }
}

fn limits(context: &Context<'_>) -> Limits {
    let (said, default) = (&context.spec().limits, Limits::default());
    let sends_per_second = said.messages_per_second.unwrap_or(default.sends_per_second);
    Limits {
        sends_per_second,
        send_burst: said.message_burst.unwrap_or(default.send_burst.max(sends_per_second)),
        ..default
    }
}

/// By the superuser, who makes what is missing and the roles; at databases of others by the role that owns them.
fn migrate(context: &Context<'_>) -> MigrateProcess {
    let logins = Role::DATABASE_USERS.into_iter().flat_map(|role| {
        Login::BOTH.map(|login| RoleSettings {
            name: name::database_role(role, login),
            password_file: place::secret(&name::login_key(role, login)).into(),
        })
    });
    let shards: Vec<_> =
        context.shards.iter().filter(|shard| shard.managed().is_some()).map(|shard| shard.id).collect();
    let directory = secret::managed_directory(context);
    let superusers = Login::BOTH.map(|login| RoleSettings {
        name: superuser(login),
        password_file: place::secret(&secret::admin(login)).into(),
    });
    let roles = RolesSettings {
        owner: OWNER.to_owned(),
        superusers: superusers.into(),
        logins: logins.collect(),
        directory,
        shards,
    };
    MigrateProcess {
        database: database(context, Role::Migrate),
        roles: (directory || !roles.shards.is_empty()).then_some(roles),
    }
}

fn superuser(login: Login) -> String {
    let PostgresDependency { superuser, other_superuser, .. } = PostgresDependency::default();
    match login {
        Login::A => superuser,
        Login::B => other_superuser,
    }
}

fn database(context: &Context<'_>, role: Role) -> DatabaseSettings {
    let (user, file) = match role {
        Role::Migrate => {
            let login = context.observed.superuser();
            (superuser(login), secret::admin(login))
        }
        _ => (name::database_role(role, context.observed.login), DATABASE_FILE.to_owned()),
    };
    let managed = |part: &str| PostgresSettings {
        host: context.names.postgres(part),
        user: user.clone(),
        password_file: Some(place::secret(&file).into()),
        ..PostgresSettings::default()
    };
    let directory = match &context.spec().directory.external {
        None => DirectorySettings { primary: managed("directory"), replicas: Vec::new() },
        Some(external) => DirectorySettings {
            primary: postgres(&external.primary, DIRECTORY_FILE),
            replicas: external
                .replicas
                .iter()
                .enumerate()
                .map(|(number, replica)| postgres(replica, &format!("{DIRECTORY_FILE}-{number}")))
                .collect(),
        },
    };
    let shards = context.shards.iter().map(|shard| ShardSettings {
        id: shard.id,
        primary: match shard.kind {
            part::Kind::Managed(_) => managed(&shard.name),
            part::Kind::External(connection) => postgres(connection, &external_file(&shard.name)),
        },
    });
    let Pools { directory: pool, shard_writers, shard_readers } = context.sizes.of(role).pools;
    let pools = match role {
        Role::Migrate => PoolSettings::default(),
        _ => PoolSettings { directory: pool, replica: pool, shard_writers, shard_readers },
    };
    DatabaseSettings {
        directory,
        shards: shards.collect(),
        pools,
        slots: context.spec().messages.slots,
        migrate: false,
    }
}

fn postgres(connection: &PostgresConnection, file: &str) -> PostgresSettings {
    PostgresSettings {
        host: connection.host.clone(),
        port: connection.port,
        database: connection.database.clone(),
        user: connection.user.clone(),
        password_file: Some(place::secret(file).into()),
        tls: tls(&connection.tls, &authority_file(file)),
        pooler: match connection.pooler {
            Pooler::None => PoolerMode::None,
            Pooler::Prepared => PoolerMode::Prepared,
            Pooler::Unprepared => PoolerMode::Unprepared,
        },
    }
}

fn tls(said: &Tls, file: &str) -> TlsSettings {
    TlsSettings { mode: mode(said), ca_file: said.ca_secret_ref.as_ref().map(|_| place::secret(file).into()) }
}

const fn mode(said: &Tls) -> TlsMode {
    match said.mode {
        Encryption::Off => TlsMode::Off,
        Encryption::Verify => TlsMode::Verify,
    }
}

fn broker_settings(context: &Context<'_>, role: Role) -> BrokerSettings {
    let said = &context.spec().broker;
    let endpoint = |host: String, port: u16, tls: TlsMode| BrokerEndpoint {
        host,
        port,
        vhost: broker::vhost(context),
        user: broker::user(context, role, context.observed.login),
        password_file: Some(place::secret(BROKER_FILE).into()),
        tls,
    };
    let external = said.external.as_ref();
    let brokers = match external {
        None => vec![endpoint(context.names.role(Role::Rabbitmq), port::AMQP, TlsMode::Off)],
        Some(external) => {
            external.brokers.iter().map(|one| endpoint(one.host.clone(), one.port, mode(&external.tls))).collect()
        }
    };
    BrokerSettings {
        brokers,
        ca_file: external
            .and_then(|external| external.tls.ca_secret_ref.as_ref())
            .map(|_| place::secret(BROKER_CA_FILE).into()),
        topology: TopologySettings {
            ingest_queues: said.topology.ingest_queues,
            lanes: said.topology.lanes,
            ..TopologySettings::default()
        },
        declare_topology: false,
    }
}

fn cache(context: &Context<'_>) -> CacheSettings {
    let said = &context.spec().cache;
    let managed = CacheSettings {
        endpoints: vec![CacheEndpoint { host: context.names.role(Role::Redis), port: port::REDIS }],
        user: Some(CACHE_USER.to_owned()),
        password_file: Some(place::secret(CACHE_FILE).into()),
        ..CacheSettings::default()
    };
    let (Provider::External, Some(external)) = (said.provider, &said.external) else { return managed };
    CacheSettings {
        endpoints: external
            .endpoints
            .iter()
            .map(|one| CacheEndpoint { host: one.host.clone(), port: one.port })
            .collect(),
        mode: match external.mode {
            SaidMode::Standalone => CacheMode::Standalone,
            SaidMode::Cluster => CacheMode::Cluster,
        },
        user: external.user.clone(),
        password_file: external.secret_ref.as_ref().map(|_| place::secret(CACHE_FILE).into()),
        // Others may keep their keys there.
        prefix: context.names.vhost(),
        tls: tls(&external.tls, CACHE_CA_FILE),
    }
}

/// The user of the Managed Redis.
pub(crate) const CACHE_USER: &str = "klatch";
