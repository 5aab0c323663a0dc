//! What the whole is made of.

use std::fmt;

/// Gateways, message-service replicas and api replicas of the tests' platform.
pub const REPLICAS: usize = 2;
/// Shards, each a server of its own.
pub const SHARDS: usize = 2;

/// A process that can be killed and frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A chat server.
    Gateway(usize),
    /// A writer.
    MessageService(usize),
    /// An api replica.
    Api(usize),
    /// The one that decides on notifications.
    NotificationService,
    /// A PostgreSQL with logs.
    Shard(usize),
    /// The PostgreSQL of the directory.
    Directory,
    /// RabbitMQ.
    Broker,
    /// Redis.
    Cache,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(number) => write!(formatter, "gateway-{number}"),
            Self::MessageService(number) => write!(formatter, "message-service-{number}"),
            Self::Api(number) => write!(formatter, "api-{number}"),
            Self::NotificationService => formatter.write_str("notification-service"),
            Self::Shard(number) => write!(formatter, "shard-{number}"),
            Self::Directory => formatter.write_str("directory"),
            Self::Broker => formatter.write_str("broker"),
            Self::Cache => formatter.write_str("cache"),
        }
    }
}

/// The network between two parts, from who connects to who is connected to.
pub type Link = (Part, Part);
