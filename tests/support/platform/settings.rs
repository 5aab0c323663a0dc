//! The settings files of the tests' platform: as a user would write them, with every address leading over the tests' own network.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use klatch_settings::{
    ApiProcess, ApiSettings, BrokerEndpoint, BrokerSettings, CacheEndpoint, CacheSettings, DatabaseSettings,
    DirectorySettings, GatewayProcess, GatewaySettings, InternalSettings, KeysSettings, Limits, MessageServiceProcess,
    NotificationServiceProcess, PostgresSettings, QueriesSettings, ShardSettings, TopologySettings, TraceSettings,
};

use super::part::{Part, REPLICAS, SHARDS};
use crate::services::certificates::CertificateFiles;

/// Hash buckets of rooms: few, as each is a table in each shard.
pub const SLOTS: u16 = 12;
/// The one database of each PostgreSQL.
pub(super) const DATABASE: &str = "klatch";
/// Its owner, whom the tests' servers let in without a password.
const USER: &str = "klatch";
/// Ingest queues. No divisor or multiple of the shards: each queue carries rooms of both, so that a dead shard is felt in all.
pub(super) const INGEST_QUEUES: u16 = 3;
/// Messages an ingest queue holds: few enough that a test fills one.
const INGEST_MESSAGES: u32 = 64;
/// The server pings this often, milliseconds: often, so that a dead connection is found within an episode.
const HEARTBEAT_MS: u64 = 5_000;
/// A drain is cut short: tests of drains are elsewhere.
const DRAIN_MS: u64 = 1_000;

/// What all settings files have in common.
pub(super) struct Plan<'a> {
    pub(super) folder: &'a Path,
    /// Where a part finds another one.
    pub(super) way: &'a dyn Fn(Part, Part) -> SocketAddr,
    pub(super) broker_user: String,
    pub(super) broker_vhost: String,
    pub(super) broker_password: PathBuf,
    pub(super) service_token: PathBuf,
    /// Of the apis' internal listeners.
    pub(super) certificates: CertificateFiles,
    /// Where traces go.
    pub(super) traces: TraceSettings,
}

fn no_limits() -> Limits {
    Limits { enabled: false, ..Limits::default() }
}

impl Plan<'_> {
    fn postgres(&self, from: Part, to: Part) -> PostgresSettings {
        let address = (self.way)(from, to);
        PostgresSettings {
            host: address.ip().to_string(),
            port: address.port(),
            database: DATABASE.to_owned(),
            user: USER.to_owned(),
            ..PostgresSettings::default()
        }
    }

    fn database(&self, from: Part) -> DatabaseSettings {
        let shard = |number| ShardSettings {
            id: u16::try_from(number).expect("few shards"),
            primary: self.postgres(from, Part::Shard(number)),
        };
        DatabaseSettings {
            directory: DirectorySettings { primary: self.postgres(from, Part::Directory), replicas: Vec::new() },
            shards: (0..SHARDS).map(shard).collect(),
            slots: SLOTS,
            // The first api makes what all stand on, as a Job does in Kubernetes.
            migrate: from == Part::Api(0),
            ..DatabaseSettings::default()
        }
    }

    fn broker(&self, from: Part) -> BrokerSettings {
        let address = (self.way)(from, Part::Broker);
        BrokerSettings {
            brokers: vec![BrokerEndpoint {
                host: address.ip().to_string(),
                port: address.port(),
                vhost: self.broker_vhost.clone(),
                user: self.broker_user.clone(),
                password_file: Some(self.broker_password.clone()),
                ..BrokerEndpoint::default()
            }],
            topology: TopologySettings {
                ingest_queues: INGEST_QUEUES,
                ingest_messages: Some(INGEST_MESSAGES),
                ..TopologySettings::default()
            },
            declare_topology: from == Part::Api(0),
            ..BrokerSettings::default()
        }
    }

    fn cache(&self, from: Part) -> CacheSettings {
        let address = (self.way)(from, Part::Cache);
        let endpoint = CacheEndpoint { host: address.ip().to_string(), port: address.port() };
        CacheSettings { endpoints: vec![endpoint], ..CacheSettings::default() }
    }

    pub(super) fn api(&self, number: usize, listen: SocketAddr, internal: SocketAddr, admin: SocketAddr) -> ApiProcess {
        let part = Part::Api(number);
        ApiProcess {
            listen: listen.to_string(),
            admin_listen: admin.to_string(),
            api: ApiSettings {
                limits: no_limits(),
                trusted_proxies: vec!["127.0.0.1/32".to_owned()],
                ..ApiSettings::default()
            },
            internal: InternalSettings {
                listen: internal.to_string(),
                token_file: Some(self.service_token.clone()),
                other_token_file: None,
                certificate_file: Some(self.certificates.certificate.clone()),
                key_file: Some(self.certificates.key.clone()),
            },
            keys: KeysSettings { folder: self.folder.join("keys"), rotate: number == 0 },
            database: self.database(part),
            broker: self.broker(part),
            cache: self.cache(part),
            trace: self.traces.clone(),
            ..ApiProcess::default()
        }
    }

    pub(super) fn gateway(&self, number: usize, listen: SocketAddr, admin: SocketAddr) -> GatewayProcess {
        let part = Part::Gateway(number);
        let api = |other| format!("https://{}", (self.way)(part, Part::Api(other)));
        GatewayProcess {
            listen: listen.to_string(),
            admin_listen: admin.to_string(),
            gateway: GatewaySettings {
                slots: SLOTS,
                heartbeat_ms: HEARTBEAT_MS,
                drain_ms: DRAIN_MS,
                limits: no_limits(),
                ..GatewaySettings::default()
            },
            broker: self.broker(part),
            cache: self.cache(part),
            queries: QueriesSettings {
                // Each prefers another one.
                addresses: (0..REPLICAS).map(|other| api((number + other) % REPLICAS)).collect(),
                token_file: Some(self.service_token.clone()),
                ca_file: Some(self.certificates.ca.clone()),
            },
            trace: self.traces.clone(),
        }
    }

    pub(super) fn message_service(&self, number: usize, admin: SocketAddr) -> MessageServiceProcess {
        let part = Part::MessageService(number);
        MessageServiceProcess {
            admin_listen: admin.to_string(),
            database: self.database(part),
            broker: self.broker(part),
            cache: self.cache(part),
            trace: self.traces.clone(),
            ..MessageServiceProcess::default()
        }
    }

    pub(super) fn notification_service(&self, admin: SocketAddr) -> NotificationServiceProcess {
        let part = Part::NotificationService;
        NotificationServiceProcess {
            admin_listen: admin.to_string(),
            database: self.database(part),
            broker: self.broker(part),
            cache: self.cache(part),
            trace: self.traces.clone(),
            ..NotificationServiceProcess::default()
        }
    }
}
