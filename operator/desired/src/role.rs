//! The kinds of pods there are.

use klatch_settings::port;

/// What a pod is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A chat server.
    Gateway,
    /// The HTTP API and the web client.
    Api,
    /// A writer of messages.
    MessageService,
    /// Decides whom a message notifies.
    NotificationService,
    /// Brings databases to a version's schema, and ends.
    Migrate,
    /// The directory's or a shard's PostgreSQL.
    Postgres,
    /// RabbitMQ.
    Rabbitmq,
    /// Redis.
    Redis,
}

/// A port of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) number: u16,
    pub(crate) from: From,
}

/// Who may come by a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// Anyone: a load balancer may be outside of the cluster.
    Anyone,
    /// Every pod of the Kubernetes cluster: those who watch are in a namespace of their own.
    Pods,
    /// These pods of the same ChatCluster.
    Roles(&'static [Role]),
    /// The operator, and pods of the same role.
    Operator,
}

const fn port_of(name: &'static str, number: u16, from: From) -> Port {
    Port { name, number, from }
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Gateway,
        Self::Api,
        Self::MessageService,
        Self::NotificationService,
        Self::Migrate,
        Self::Postgres,
        Self::Rabbitmq,
        Self::Redis,
    ];
    /// Those that run as Deployments.
    pub const WORKLOADS: [Self; 4] = [Self::Gateway, Self::Api, Self::MessageService, Self::NotificationService];
    /// Workloads that open databases.
    pub const DATABASE_USERS: [Self; 3] = [Self::Api, Self::MessageService, Self::NotificationService];

    /// As labels and names have it; of a workload also its subcommand.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Api => "api",
            Self::MessageService => "message-service",
            Self::NotificationService => "notification-service",
            Self::Migrate => "migrate",
            Self::Postgres => "postgres",
            Self::Rabbitmq => "rabbitmq",
            Self::Redis => "redis",
        }
    }

    /// Every port of its pods.
    pub(crate) const fn ports(self) -> &'static [Port] {
        match self {
            Self::Gateway => {
                const {
                    &[
                        port_of("connect", port::GATEWAY, From::Anyone),
                        port_of("admin", port::GATEWAY_ADMIN, From::Pods),
                    ]
                }
            }
            Self::Api => {
                const {
                    &[
                        port_of("http", port::API, From::Anyone),
                        port_of("internal", port::API_INTERNAL, From::Roles(&[Self::Gateway])),
                        port_of("admin", port::API_ADMIN, From::Pods),
                    ]
                }
            }
            Self::MessageService => const { &[port_of("admin", port::MESSAGE_SERVICE_ADMIN, From::Pods)] },
            Self::NotificationService => const { &[port_of("admin", port::NOTIFICATION_SERVICE_ADMIN, From::Pods)] },
            Self::Migrate => &[],
            Self::Postgres => {
                const {
                    &[port_of(
                        "postgres",
                        port::POSTGRES,
                        From::Roles(&[Self::Api, Self::MessageService, Self::NotificationService, Self::Migrate]),
                    )]
                }
            }
            Self::Rabbitmq => {
                const {
                    &[
                        port_of("amqp", port::AMQP, From::Roles(&Self::WORKLOADS)),
                        port_of("management", port::RABBITMQ_MANAGEMENT, From::Operator),
                        port_of("epmd", port::EPMD, From::Roles(&[Self::Rabbitmq])),
                        port_of("distribution", port::RABBITMQ_DISTRIBUTION, From::Roles(&[Self::Rabbitmq])),
                    ]
                }
            }
            Self::Redis => const { &[port_of("redis", port::REDIS, From::Roles(&Self::WORKLOADS))] },
        }
    }
}
