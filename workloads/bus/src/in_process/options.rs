//! Bounds of the embedded twin.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

/// Commands an ingest queue holds, unacknowledged ones included: about a second of what one writer stores, so that a
/// queue that is full is late by a second, not by a minute.
pub const INGEST_COMMANDS: usize = 32_768;
/// Bytes an ingest queue holds (estimated): 1 KiB a command, and at most 32 MiB of a small machine's memory.
pub const INGEST_BYTES: usize = 32 * 1024 * 1024;
/// Deliveries a consumer holds unacknowledged: a few batches of the writer, and room for those that wait for a parked slot.
pub const PREFETCH: usize = 512;
/// Events that wait for one subscriber: about a second of the busiest lane. Later than that, asking for heads is cheaper.
pub const EVENT_QUEUE_EVENTS: usize = 65_536;
/// Bytes that wait for one subscriber (estimated; bodies are shared between subscribers and counted for each).
pub const EVENT_QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// Signals that wait for one gateway: typing older than a few ticks is no news.
pub const SIGNAL_QUEUE_SIGNALS: usize = 8_192;
/// Bytes of signals that wait for one gateway (estimated): 1 KiB a signal.
pub const SIGNAL_QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// Watermark moves that wait, one a member and session: some 100 bytes each, a few MB.
pub const WATERMARK_QUEUE_MOVES: usize = 32_768;
/// Notify commands that wait or are not acknowledged: some seconds of what one writer stores. What is later helps nobody.
pub const NOTIFY_QUEUE_COMMANDS: usize = 65_536;
/// Bytes of notify commands that wait or are not acknowledged (estimated): 512 bytes a command.
pub const NOTIFY_QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Users who are offline and whose last activity is remembered: some 100 bytes each, 10 MB.
pub const LAST_ACTIVE_USERS: usize = 100_000;

/// Tells how much time has passed; never goes back. Leases are measured with it.
pub type MonotonicClock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How large the queues of an embedded bus are.
#[derive(Clone)]
pub struct Options {
    /// How many ingest queues there are; at least 1.
    pub ingest_queues: u16,
    /// See [`INGEST_COMMANDS`].
    pub ingest_commands: usize,
    /// See [`INGEST_BYTES`].
    pub ingest_bytes: usize,
    /// See [`PREFETCH`]; at least 1.
    pub prefetch: usize,
    /// See [`EVENT_QUEUE_EVENTS`].
    pub event_queue_events: usize,
    /// See [`EVENT_QUEUE_BYTES`].
    pub event_queue_bytes: usize,
    /// See [`SIGNAL_QUEUE_SIGNALS`].
    pub signal_queue_signals: usize,
    /// See [`SIGNAL_QUEUE_BYTES`].
    pub signal_queue_bytes: usize,
    /// See [`WATERMARK_QUEUE_MOVES`].
    pub watermark_queue_moves: usize,
    /// See [`NOTIFY_QUEUE_COMMANDS`].
    pub notify_queue_commands: usize,
    /// See [`NOTIFY_QUEUE_BYTES`].
    pub notify_queue_bytes: usize,
    /// See [`LAST_ACTIVE_USERS`].
    pub last_active_users: usize,
    /// Says that commands are durable, which they are not: for tests of what happens after `accepted`.
    pub claim_durable: bool,
    /// What leases are measured with.
    pub monotonic: MonotonicClock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // Few, as each splits the batches; the settings' default.
            ingest_queues: 2,
            ingest_commands: INGEST_COMMANDS,
            ingest_bytes: INGEST_BYTES,
            prefetch: PREFETCH,
            event_queue_events: EVENT_QUEUE_EVENTS,
            event_queue_bytes: EVENT_QUEUE_BYTES,
            signal_queue_signals: SIGNAL_QUEUE_SIGNALS,
            signal_queue_bytes: SIGNAL_QUEUE_BYTES,
            watermark_queue_moves: WATERMARK_QUEUE_MOVES,
            notify_queue_commands: NOTIFY_QUEUE_COMMANDS,
            notify_queue_bytes: NOTIFY_QUEUE_BYTES,
            last_active_users: LAST_ACTIVE_USERS,
            claim_durable: false,
            monotonic: Arc::new(Instant::now),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("ingest_queues", &self.ingest_queues)
            .field("ingest_commands", &self.ingest_commands)
            .field("prefetch", &self.prefetch)
            .field("claim_durable", &self.claim_durable)
            .finish_non_exhaustive()
    }
}
