//! One settings struct per workload. The operator writes it, the workload reads it; a port, a file name or an environment
//! name exists once, here.
//!
//! A settings file is YAML; what it leaves out has its default; a field nobody knows is refused by name, as a typing
//! mistake must not pass for a setting. Secrets never stand in it: they come by files it names, or by the environment.

pub mod check;
pub mod dependency;
mod limits;
mod part;
pub mod place;
pub mod port;
mod process;
mod read;
mod secret;
mod workload;

pub use check::{Check, WrongSetting};
pub use dependency::{PostgresDependency, RabbitmqDependency, RedisDependency};
pub use limits::Limits;
pub use part::{
    BrokerEndpoint, BrokerSettings, CacheEndpoint, CacheMode, CacheSettings, DatabaseSettings, DirectorySettings,
    InternalSettings, KeysSettings, PoolSettings, PoolerMode, PostgresSettings, QueriesSettings, ShardSettings,
    TlsMode, TlsSettings, TopologySettings, TraceSettings,
};
pub use process::{
    ApiProcess, DRAIN_SECONDS, GatewayProcess, MessageServiceProcess, MigrateProcess, NotificationServiceProcess,
    RoleSettings, RolesSettings, STOP_SECONDS,
};
pub use read::{SettingsError, read_file, read_text};
pub use secret::{Secret, secret};
pub use workload::{
    ApiSettings, BusSettings, GatewaySettings, MessageServiceSettings, NotificationServiceSettings, SignUp,
    StoreSettings, UpSettings, WebSettings,
};

/// Where `klatch up` listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8480";
/// Where `klatch up` keeps its data unless told otherwise.
pub const DEFAULT_DATA: &str = "./klatch-data";
/// Environment: the bot token scripts post with.
pub const ENV_BOT_TOKEN: &str = "KLATCH_BOT_TOKEN";
/// Environment: a PEM file with authorities the command line believes beside the system's.
pub const ENV_CA_FILE: &str = "KLATCH_CA_FILE";
/// Environment: the server the command line speaks to.
pub const ENV_SERVER: &str = "KLATCH_SERVER";
/// Environment: the file that keeps the command line's session.
pub const ENV_SESSION_FILE: &str = "KLATCH_SESSION_FILE";
/// Environment: what is logged, in the syntax of tracing's EnvFilter.
pub const ENV_LOG: &str = "KLATCH_LOG";
/// Environment: the password a command needs, so that it never stands on a command line.
pub const ENV_PASSWORD: &str = "KLATCH_PASSWORD";
/// Environment: the settings file of a workload's process, when `--settings` is not given.
pub const ENV_SETTINGS: &str = "KLATCH_SETTINGS";
/// Environment: wins over a settings file's `listen`, so that replicas on one machine share a file.
pub const ENV_LISTEN: &str = "KLATCH_LISTEN";
/// Environment: wins over a settings file's `adminListen`.
pub const ENV_ADMIN_LISTEN: &str = "KLATCH_ADMIN_LISTEN";
/// Environment: the directory's password, where the settings name no file.
pub const ENV_DIRECTORY_PASSWORD: &str = "KLATCH_DIRECTORY_PASSWORD";
/// Environment: the shards' password, where the settings name no file.
pub const ENV_SHARD_PASSWORD: &str = "KLATCH_SHARD_PASSWORD";
/// Environment: the brokers' password, where the settings name no file.
pub const ENV_BROKER_PASSWORD: &str = "KLATCH_BROKER_PASSWORD";
/// Environment: the cache's password, where the settings name no file.
pub const ENV_CACHE_PASSWORD: &str = "KLATCH_CACHE_PASSWORD";
/// Environment: the token gateways show to api's internal listener, where the settings name no file.
pub const ENV_SERVICE_TOKEN: &str = "KLATCH_SERVICE_TOKEN";
