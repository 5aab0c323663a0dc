//! Where the parts are that workloads stand on: databases, brokers, caches, each other.

use std::path::PathBuf;

use klatch_domain::DEFAULT_SLOTS;
use serde::{Deserialize, Serialize};

use crate::{place, port};

/// Whether a link is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TlsMode {
    /// Plain: for a network nobody else is on.
    #[default]
    Off,
    /// Encrypted, and the other side's certificate must name it. There is no encryption without that: it would stop nobody
    /// who can listen.
    Verify,
}

/// How a link is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsSettings {
    /// Whether.
    pub mode: TlsMode,
    /// PEM file of the authorities believed; those of the system when left out.
    pub ca_file: Option<PathBuf>,
}

/// What stands between a workload and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PoolerMode {
    /// Nothing.
    #[default]
    None,
    /// PgBouncer 1.21 or newer in transaction mode, which keeps prepared statements.
    Prepared,
    /// An older PgBouncer in transaction mode.
    Unprepared,
}

/// One PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PostgresSettings {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Role to sign in as.
    pub user: String,
    /// File that holds the password; see [`crate::secret`].
    pub password_file: Option<PathBuf>,
    /// Encryption.
    pub tls: TlsSettings,
    /// What stands in between.
    pub pooler: PoolerMode,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: port::POSTGRES,
            database: "klatch".to_owned(),
            user: "klatch".to_owned(),
            password_file: None,
            tls: TlsSettings::default(),
            pooler: PoolerMode::None,
        }
    }
}

/// Connections of this process to one database at most: `replicas x pool` of all workloads stays below the server's
/// `max_connections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PoolSettings {
    /// To the directory.
    pub directory: u32,
    /// To each of its replicas.
    pub replica: u32,
    /// To each shard, for what changes it: as many batches are on their way at once.
    pub shard_writers: u32,
    /// To each shard, for reads.
    pub shard_readers: u32,
}

impl Default for PoolSettings {
    fn default() -> Self {
        // A batch is one statement: a few connections keep one core of PostgreSQL busy.
        Self { directory: 8, replica: 4, shard_writers: 8, shard_readers: 8 }
    }
}

/// The directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DirectorySettings {
    /// Takes every write, and the reads that must see them.
    pub primary: PostgresSettings,
    /// Streaming replicas, for reads that may be a moment old.
    pub replicas: Vec<PostgresSettings>,
}

/// One message shard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ShardSettings {
    /// Its number in the slot map; never given to another shard.
    pub id: u16,
    /// Its primary: shards are read there too, as a reader must see what it was told of.
    pub primary: PostgresSettings,
}

/// PostgreSQL: the directory and the shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// Users, sessions, projections.
    pub directory: DirectorySettings,
    /// The logs.
    pub shards: Vec<ShardSettings>,
    /// Connections.
    pub pools: PoolSettings,
    /// Hash buckets of rooms; fixed when the cluster is made.
    pub slots: u16,
    /// Makes and migrates the schema at start: for development. In Kubernetes a Job does.
    pub migrate: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            directory: DirectorySettings::default(),
            shards: vec![ShardSettings::default()],
            pools: PoolSettings::default(),
            slots: DEFAULT_SLOTS,
            migrate: false,
        }
    }
}

/// One RabbitMQ broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BrokerEndpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Virtual host.
    pub vhost: String,
    /// User to sign in as.
    pub user: String,
    /// File that holds the password; see [`crate::secret`].
    pub password_file: Option<PathBuf>,
    /// Whether it is spoken to by TLS.
    pub tls: TlsMode,
}

impl Default for BrokerEndpoint {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: port::AMQP,
            vhost: "/".to_owned(),
            user: "klatch".to_owned(),
            password_file: None,
            tls: TlsMode::Off,
        }
    }
}

/// What stands on the brokers; the same for every workload of a cluster. Bounds that are left out have the bus's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TopologySettings {
    /// Ingest queues: few, as each splits the batches. Fixed for a cluster's life.
    pub ingest_queues: u16,
    /// Fan-outs to every gateway. Fixed for a cluster's life.
    pub lanes: u16,
    /// Stands before every name. Empty where a virtual host belongs to one cluster alone.
    pub prefix: String,
    /// Messages an ingest queue holds before it refuses more.
    pub ingest_messages: Option<u32>,
    /// Bytes an ingest queue holds.
    pub ingest_bytes: Option<u64>,
    /// Deliveries of a message before the broker takes it for poison; high, as handovers count.
    pub delivery_limit: Option<u32>,
    /// Messages of notify commands that wait.
    pub notify_messages: Option<u32>,
    /// Bytes of notify commands that wait.
    pub notify_bytes: Option<u64>,
}

impl Default for TopologySettings {
    fn default() -> Self {
        Self {
            ingest_queues: 2,
            lanes: 4,
            prefix: String::new(),
            ingest_messages: None,
            ingest_bytes: None,
            delivery_limit: None,
            notify_messages: None,
            notify_bytes: None,
        }
    }
}

/// RabbitMQ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BrokerSettings {
    /// Queue i and lane i live on broker i mod n.
    pub brokers: Vec<BrokerEndpoint>,
    /// PEM file of the authorities believed, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Queues and exchanges.
    pub topology: TopologySettings,
    /// Declares queues and exchanges at start: for development, with a broker user who may. In Kubernetes the operator does,
    /// and a workload only looks whether they are there.
    pub declare_topology: bool,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            brokers: vec![BrokerEndpoint::default()],
            ca_file: None,
            topology: TopologySettings::default(),
            declare_topology: false,
        }
    }
}

/// One server, or many that share the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CacheMode {
    /// One primary; with several endpoints, the first that answers.
    #[default]
    Standalone,
    /// A Redis Cluster; the endpoints are where its map is read from.
    Cluster,
}

/// One address of a Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CacheEndpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Default for CacheEndpoint {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: port::REDIS }
    }
}

/// Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Where it is.
    pub endpoints: Vec<CacheEndpoint>,
    /// One server or a cluster.
    pub mode: CacheMode,
    /// A user of its access control lists; the default user when left out.
    pub user: Option<String>,
    /// File that holds the password; see [`crate::secret`].
    pub password_file: Option<PathBuf>,
    /// Stands before every key and channel.
    pub prefix: String,
    /// Encryption.
    pub tls: TlsSettings,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            endpoints: vec![CacheEndpoint::default()],
            mode: CacheMode::Standalone,
            user: None,
            password_file: None,
            prefix: "klatch".to_owned(),
            tls: TlsSettings::default(),
        }
    }
}

/// Where gateways ask api replicas: members, heads, ended sessions, and the public keys tokens are checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QueriesSettings {
    /// Internal addresses of api replicas, `http://` or `https://`; the next is asked when one does not answer.
    pub addresses: Vec<String>,
    /// File that holds the service token; see [`crate::secret`].
    pub token_file: Option<PathBuf>,
    /// PEM file of the authorities an `https://` address is believed by; those of the system when left out. It is read again every
    /// minute.
    pub ca_file: Option<PathBuf>,
}

impl Default for QueriesSettings {
    fn default() -> Self {
        Self {
            addresses: vec![format!("http://{}", port::loopback(port::API_INTERNAL))],
            token_file: None,
            ca_file: None,
        }
    }
}

/// Where an api replica answers gateways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InternalSettings {
    /// Address and port of the internal listener: for gateways only, never behind the load balancer.
    pub listen: String,
    /// File that holds the service token; see [`crate::secret`].
    pub token_file: Option<PathBuf>,
    /// File that holds a second service token, which is taken as well: one is made new while the other is in use.
    pub other_token_file: Option<PathBuf>,
    /// PEM file of its certificate; with `keyFile` the listener speaks TLS. Both are read again every minute.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    pub key_file: Option<PathBuf>,
}

impl Default for InternalSettings {
    fn default() -> Self {
        Self {
            listen: port::loopback(port::API_INTERNAL),
            token_file: None,
            other_token_file: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

/// The keys that sign access tokens. Only api has them; gateways read the public halves from api's internal listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KeysSettings {
    /// Folder of key files: in Kubernetes a mounted Secret, the same for every replica. It is read again every minute.
    pub folder: PathBuf,
    /// Makes the first key and rotates them: for development, with one api and a folder it may write. In Kubernetes the
    /// operator does.
    pub rotate: bool,
}

impl Default for KeysSettings {
    fn default() -> Self {
        Self { folder: PathBuf::from(place::KEYS), rotate: false }
    }
}

/// Traces by OTLP over gRPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TraceSettings {
    /// Where a collector listens, `http://` or `https://`; no traces are made when left out.
    pub endpoint: Option<String>,
    /// PEM file of the authorities an `https://` endpoint is believed by, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The share of messages that begin a trace of their own, 0 to 1. One that comes with a sampled `traceparent` is always
    /// traced.
    pub sample_ratio: f64,
}

impl Default for TraceSettings {
    fn default() -> Self {
        // A thousandth of 10,000 messages a second is ten traces a second: enough to see with, nothing to pay.
        Self { endpoint: None, ca_file: None, sample_ratio: 0.001 }
    }
}
