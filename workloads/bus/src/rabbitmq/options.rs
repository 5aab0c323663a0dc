//! Where the brokers are, what is called how, and the bounds of what stands there.

use std::{fmt, path::PathBuf, time::Duration};

use lapin::uri::{AMQPScheme, AMQPUri};

/// Deliveries (each one publish of up to some hundred commands) an ingest consumer holds unacknowledged. The same on every
/// replica: with mixed figures a handover lets newer deliveries overtake returned ones (measured, 2-7 of 4,000 messages).
pub const INGEST_PREFETCH: u16 = 512;
/// Messages an ingest queue holds: some seconds of what one writer takes, so that a full queue is late by seconds. Soft: a
/// quorum queue takes a few more before its publishers hear of it.
pub const INGEST_MESSAGES: u32 = 16_384;
/// Bytes an ingest queue holds.
pub const INGEST_BYTES: u64 = 256 * 1024 * 1024;
/// Deliveries of one message before the broker takes it for poison. High: handovers and parks count too, and what decides is
/// the writer's own record. Never -1, which on RabbitMQ 3.10 loses a message at its first return.
pub const DELIVERY_LIMIT: u32 = 100;
/// Messages that wait at the broker for one subscriber of events, while its process is slow to read.
pub const EVENT_QUEUE_MESSAGES: u32 = 16_384;
/// Their bytes.
pub const EVENT_QUEUE_BYTES: u64 = 64 * 1024 * 1024;
/// Events that wait inside a subscriber: about a second of the busiest lane.
pub const EVENT_LOCAL_EVENTS: usize = 65_536;
/// Their bytes (estimated).
pub const EVENT_LOCAL_BYTES: usize = 64 * 1024 * 1024;
/// Messages of watermark moves that wait; a client reports again when it comes back.
pub const WATERMARK_MESSAGES: u32 = 4_096;
/// Their bytes.
pub const WATERMARK_BYTES: u64 = 16 * 1024 * 1024;
/// Messages of watermark moves a consumer takes ahead, beside as many the broker has sent.
pub const WATERMARK_PREFETCH: u16 = 16;
/// Messages of notify commands that wait: a notification that is later helps nobody.
pub const NOTIFY_MESSAGES: u32 = 65_536;
/// Their bytes.
pub const NOTIFY_BYTES: u64 = 128 * 1024 * 1024;
/// Deliveries a consumer of notify commands holds unacknowledged.
pub const NOTIFY_PREFETCH: u16 = 64;
/// How long a confirm may take. Past it the outcome is unknown, and the same ids are sent again.
pub const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// How long handing over what may be skipped (watermark moves, notify commands) can hold up who does it. After a broker that
/// did not answer nothing is tried for as long.
pub const SKIP_AFTER: Duration = Duration::from_secs(1);
/// How long a connection, or a step on it, may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds between heartbeats: a silent peer is given up after about twice that (measured 12.7 s against a frozen one; with
/// 10 it took 27.7 s).
pub const HEARTBEAT_SECONDS: u16 = 5;

/// The address of a broker cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker's address must read amqp://user:password@host:port/vhost or amqps://...: {0}")]
pub struct AddressError(String);

/// Where a broker is, and as whom to sign in there. Its `Debug` form shows no password.
#[derive(Clone)]
pub struct BrokerAddress(AMQPUri);

impl BrokerAddress {
    /// Reads `amqp://user:password@host:port/vhost`, or `amqps://` for TLS (RabbitMQ URI specification,
    /// <https://www.rabbitmq.com/docs/uri-spec>). `/%2f` or nothing names the virtual host `/`.
    ///
    /// # Errors
    /// [`AddressError`], which does not repeat the address.
    pub fn parse(address: &str) -> Result<Self, AddressError> {
        let mut uri: AMQPUri = address.parse().map_err(AddressError)?;
        if uri.vhost.is_empty() {
            uri.vhost = "/".to_owned();
        }
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        Ok(Self(uri))
    }

    /// The same broker through another port of this machine: for a proxy or a sidecar.
    #[must_use]
    pub fn by_way_of(mut self, host: &str, port: u16) -> Self {
        host.clone_into(&mut self.0.authority.host);
        self.0.authority.port = port;
        self
    }

    /// Whether it is spoken to by TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted() { "amqps" } else { "amqp" };
        let (authority, vhost) = (&self.0.authority, &self.0.vhost);
        write!(formatter, "{scheme}://{}:{} vhost {vhost:?}", authority.host, authority.port)
    }
}

impl fmt::Debug for BrokerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Who declares queues and exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// Somebody else (the operator): here it is only checked that everything is there.
    Check,
    /// This process: for development and tests, with a broker user who may.
    Declare,
}

/// All that the RabbitMQ twin is told. The same for every process of a cluster, but for `name`, `brokers`' users and bounds
/// that are local.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the broker's operators see as the connections' name: workload and pod.
    pub name: String,
    /// At least one. Ingest queue i and lane i live on broker i mod n; what there is only one of, on the first.
    pub brokers: Vec<BrokerAddress>,
    /// PEM file of authorities that a broker's certificate may be signed by, beside those of the platform.
    pub ca_file: Option<PathBuf>,
    /// Who declares.
    pub topology: Topology,
    /// Stands before every name on the broker. Empty where a virtual host belongs to one cluster alone.
    pub prefix: String,
    /// How many ingest queues there are; fixed for a cluster's life.
    pub ingest_queues: u16,
    /// How many lanes there are; fixed for a cluster's life.
    pub lanes: u16,
    /// See [`INGEST_PREFETCH`].
    pub ingest_prefetch: u16,
    /// See [`INGEST_MESSAGES`].
    pub ingest_messages: u32,
    /// See [`INGEST_BYTES`].
    pub ingest_bytes: u64,
    /// See [`DELIVERY_LIMIT`].
    pub delivery_limit: u32,
    /// See [`EVENT_QUEUE_MESSAGES`].
    pub event_queue_messages: u32,
    /// See [`EVENT_QUEUE_BYTES`].
    pub event_queue_bytes: u64,
    /// See [`EVENT_LOCAL_EVENTS`].
    pub event_local_events: usize,
    /// See [`EVENT_LOCAL_BYTES`].
    pub event_local_bytes: usize,
    /// See [`WATERMARK_MESSAGES`].
    pub watermark_messages: u32,
    /// See [`WATERMARK_BYTES`].
    pub watermark_bytes: u64,
    /// See [`WATERMARK_PREFETCH`].
    pub watermark_prefetch: u16,
    /// See [`NOTIFY_MESSAGES`].
    pub notify_messages: u32,
    /// See [`NOTIFY_BYTES`].
    pub notify_bytes: u64,
    /// See [`NOTIFY_PREFETCH`].
    pub notify_prefetch: u16,
    /// See [`CONFIRM_TIMEOUT`].
    pub confirm_timeout: Duration,
    /// See [`SKIP_AFTER`].
    pub skip_after: Duration,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
}

impl Options {
    /// The options with every bound at its default.
    #[must_use]
    pub fn new(name: impl Into<String>, brokers: Vec<BrokerAddress>) -> Self {
        Self {
            name: name.into(),
            brokers,
            ca_file: None,
            topology: Topology::Check,
            prefix: String::new(),
            // Few, as each splits the batches; the settings' default.
            ingest_queues: 2,
            lanes: 1,
            ingest_prefetch: INGEST_PREFETCH,
            ingest_messages: INGEST_MESSAGES,
            ingest_bytes: INGEST_BYTES,
            delivery_limit: DELIVERY_LIMIT,
            event_queue_messages: EVENT_QUEUE_MESSAGES,
            event_queue_bytes: EVENT_QUEUE_BYTES,
            event_local_events: EVENT_LOCAL_EVENTS,
            event_local_bytes: EVENT_LOCAL_BYTES,
            watermark_messages: WATERMARK_MESSAGES,
            watermark_bytes: WATERMARK_BYTES,
            watermark_prefetch: WATERMARK_PREFETCH,
            notify_messages: NOTIFY_MESSAGES,
            notify_bytes: NOTIFY_BYTES,
            notify_prefetch: NOTIFY_PREFETCH,
            confirm_timeout: CONFIRM_TIMEOUT,
            skip_after: SKIP_AFTER,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// Which broker something of this number lives on.
    pub(super) fn broker_of(&self, number: u16) -> usize {
        usize::from(number) % self.brokers.len().max(1)
    }
}
