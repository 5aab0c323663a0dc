//! Every port that a part of Klatch listens on or is spoken to by, once.

/// A gateway's, for `/v1/connect`.
pub const GATEWAY: u16 = 8_481;
/// A gateway's, for those who run it.
pub const GATEWAY_ADMIN: u16 = 9_481;
/// api's, for `/v1` and the web client.
pub const API: u16 = 8_482;
/// api's, for gateways.
pub const API_INTERNAL: u16 = 8_483;
/// api's, for those who run it.
pub const API_ADMIN: u16 = 9_482;
/// message-service's, for those who run it.
pub const MESSAGE_SERVICE_ADMIN: u16 = 9_484;
/// notification-service's, for those who run it.
pub const NOTIFICATION_SERVICE_ADMIN: u16 = 9_485;
/// PostgreSQL's own.
pub const POSTGRES: u16 = 5_432;
/// RabbitMQ's, for AMQP 0-9-1 (<https://www.rabbitmq.com/docs/networking#ports>).
pub const AMQP: u16 = 5_672;
/// RabbitMQ's, for its management API.
pub const RABBITMQ_MANAGEMENT: u16 = 15_672;
/// Where an Erlang node says on which port it listens for others.
pub const EPMD: u16 = 4_369;
/// RabbitMQ's, among the brokers of one cluster.
pub const RABBITMQ_DISTRIBUTION: u16 = 25_672;
/// Redis' own.
pub const REDIS: u16 = 6_379;

/// This port of this machine alone: where a part listens unless told otherwise.
#[must_use]
pub fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// This port of every address: where a part listens in a pod.
#[must_use]
pub fn everywhere(port: u16) -> String {
    format!("0.0.0.0:{port}")
}
