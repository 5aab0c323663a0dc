//! The settings of each workload.

use klatch_domain::DEFAULT_SLOTS;
use serde::{Deserialize, Serialize};

use crate::{DEFAULT_LISTEN, Limits, TraceSettings};

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SignUp {
    /// Anyone who reaches the server.
    #[default]
    Open,
    /// Nobody; `klatch user add` makes users.
    Closed,
}

/// Where data lives. All of it is fixed when a data folder is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoreSettings {
    /// Hash buckets of rooms.
    pub slots: u16,
    /// Message shards.
    pub shards: u16,
    /// Reader threads of each database.
    pub readers: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { slots: DEFAULT_SLOTS, shards: 2, readers: 2 }
    }
}

/// The bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BusSettings {
    /// Ingest queues: few, as each splits the batches.
    pub ingest_queues: u16,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self { ingest_queues: 2 }
    }
}

/// A chat server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GatewaySettings {
    /// Hash buckets of rooms, as the store has them: they lead a room's commands to its ingest queue.
    pub slots: u16,
    /// Connections above this are answered 503.
    pub max_connections: usize,
    /// The server pings this often, milliseconds.
    pub heartbeat_ms: u64,
    /// How long `hello` may take, milliseconds.
    pub hello_timeout_ms: u64,
    /// Bytes that may wait for one connection before it is closed as a slow reader.
    pub output_bytes: usize,
    /// On shutdown, connections are closed over this time, milliseconds.
    pub drain_ms: u64,
    /// How often this gateway compares its connections with the others', milliseconds.
    pub rebalance_ms: u64,
    /// While it holds a fifth more than the mean, this share of its connections is asked to come back elsewhere each minute,
    /// percent. 0: none ever.
    pub rebalance_percent: u32,
    /// Rate limits.
    pub limits: Limits,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            slots: DEFAULT_SLOTS,
            max_connections: 40_000,
            heartbeat_ms: 30_000,
            hello_timeout_ms: 10_000,
            // A second of a busy room at 1 MB/s, and 40,000 stuck readers stay below 40 GB only because they are closed.
            output_bytes: 1024 * 1024,
            drain_ms: 4_000,
            rebalance_ms: 10_000,
            rebalance_percent: 1,
            limits: Limits::default(),
        }
    }
}

/// message-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MessageServiceSettings {
    /// Commands of one batch.
    pub batch_commands: usize,
    /// Rooms whose heads stay in memory, for each ingest queue.
    pub heads: usize,
    /// A parked slot is told to gateways after this, milliseconds.
    pub busy_after_ms: u64,
    /// A park older than this closes the channel, milliseconds.
    pub park_ms: u64,
}

impl Default for MessageServiceSettings {
    fn default() -> Self {
        // 512 rows fill a transaction well past the cost of its sync; 100,000 heads of small rooms are some 50 MB.
        Self { batch_commands: 512, heads: 100_000, busy_after_ms: 1_000, park_ms: 300_000 }
    }
}

/// notification-service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NotificationServiceSettings {
    /// A message is decided on this long after it was stored, milliseconds, so that who reads it at once is not notified.
    pub delay_ms: u64,
    /// A message older than this notifies nobody, milliseconds: after an outage nobody wants yesterday's notifications.
    pub too_late_ms: u64,
    /// Rooms decided on at the same time.
    pub rooms_at_once: usize,
}

impl NotificationServiceSettings {
    /// Longest delay: what waits is held in memory, and a notification is wanted soon.
    pub const LONGEST_DELAY_MS: u64 = 30_000;
}

impl Default for NotificationServiceSettings {
    fn default() -> Self {
        // Clients report what is read within a second; a notification three seconds late is still one.
        Self { delay_ms: 3_000, too_late_ms: 600_000, rooms_at_once: 8 }
    }
}

/// api.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiSettings {
    /// Who may sign up.
    pub sign_up: SignUp,
    /// Proxies whose `X-Forwarded-For` is believed, as networks in CIDR form.
    pub trusted_proxies: Vec<String>,
    /// Whether browsers reach the server by https only: cookies are then `Secure` (always, except on loopback).
    pub public_url: Option<String>,
    /// Rate limits.
    pub limits: Limits,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { sign_up: SignUp::Open, trusted_proxies: Vec::new(), public_url: None, limits: Limits::default() }
    }
}

/// The web client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WebSettings {
    /// Where browsers load the client's hashed files from, `https://HOST/PATH/`: a CDN that holds the build's folder. The
    /// server itself when left out.
    #[serde(rename = "assetsBaseURL")]
    pub assets_base_url: Option<String>,
}

/// `klatch up`: everything in one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpSettings {
    /// Address and port of the one listener.
    pub listen: String,
    /// Where `/metrics` goes; on the one listener, to loopback only, when left out.
    pub admin_listen: Option<String>,
    /// Data.
    pub store: StoreSettings,
    /// Bus.
    pub bus: BusSettings,
    /// Chat server.
    pub gateway: GatewaySettings,
    /// Writer.
    pub message_service: MessageServiceSettings,
    /// Notifications.
    pub notification_service: NotificationServiceSettings,
    /// HTTP API.
    pub api: ApiSettings,
    /// Traces.
    pub trace: TraceSettings,
    /// Web client.
    pub web: WebSettings,
}

impl Default for UpSettings {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN.to_owned(),
            admin_listen: None,
            store: StoreSettings::default(),
            bus: BusSettings::default(),
            gateway: GatewaySettings::default(),
            message_service: MessageServiceSettings::default(),
            notification_service: NotificationServiceSettings::default(),
            api: ApiSettings::default(),
            trace: TraceSettings::default(),
            web: WebSettings::default(),
        }
    }
}

impl UpSettings {
    /// Rate limits of all workloads lifted: for measuring.
    pub fn lift_limits(&mut self) {
        self.gateway.limits.enabled = false;
        self.api.limits.enabled = false;
    }
}
