//! The Redis twin of presence, signals, rate limits and recent entries: what may be lost at any moment.
//!
//! Redis may be emptied, killed, frozen or gone. Nothing acknowledged depends on it: without an answer fan-out goes by the
//! lanes, limits are each process's own, signals are dropped and counted, entries are read from the shards. Which keys exist stands in `keys.rs`; an access
//! control list needs `~{PREFIX:*`, `&*PREFIX:signals:*` (and `&*PREFIX:stream:*` where very large rooms have streams), and the commands of `scripts/`, `EVALSHA`, `SCRIPT|LOAD`,
//! `GET`, `SRANDMEMBER`, `LREM`, `PUBLISH` and `SUBSCRIBE` (`SPUBLISH` and `SSUBSCRIBE` in a cluster), `ROLE`.
//!
//! Redis 7.0 or newer. Its clock measures leases: the clocks of a cluster's servers may differ by a second, not by a lease.

mod client;
mod keys;
mod link;
mod metrics;
mod options;
mod presence;
mod rate_limits;
mod recent;
mod replies;
mod room_streams;
mod scripts;
mod signals;
mod wire;

use std::sync::Arc;

pub use options::{
    Ahead, CONNECT_TIMEOUT, DOUBT, Endpoint, Mode, Options, OptionsError, PREFIX, RESPONSE_TIMEOUT, SIGNAL_QUEUE_BYTES,
    SIGNAL_QUEUE_SIGNALS, Tls,
};

pub use room_streams::room_streams;

use crate::{Presence, RateLimits, RecentEntries, Signals};
use link::Link;

/// The parts of a [`Bus`](crate::Bus) that live in Redis.
#[derive(Clone)]
pub struct RedisParts {
    /// Who is connected where.
    pub presence: Arc<dyn Presence>,
    /// Between gateways.
    pub signals: Arc<dyn Signals>,
    /// Over all processes.
    pub rate_limits: Arc<dyn RateLimits>,
    /// What many read at one time.
    pub recent: Arc<dyn RecentEntries>,
}

/// Why there is no Redis twin.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An option cannot be meant.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The registry holds a Redis twin's metrics already.
    #[error("cannot register the metrics of Redis: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Connects: two connections a process, one for calls and one for signals, each opened again whenever it is lost. A Redis
/// that cannot be reached is no error: the parts say so themselves until it can be. Returns after the first try of each,
/// which takes twice `connect_timeout` at most. Call it within a tokio runtime; the connections end with the last part.
/// Metrics:
///
/// - `klatch_redis_up{link="calls"|"signals"}`: 1 while connected
/// - `klatch_redis_call_seconds{call}`, `klatch_redis_failed_total{call}`: answers, and calls without one, for the calls
///   `presence_renew`, `presence_leave`, `presence_set`, `presence_rooms`, `presence_read`, `rates`, `signals_publish`,
///   `recent_read`, `recent_keep`, `recent_forget`
/// - `klatch_redis_presence_gateways`: gateways that hold a lease, as read last
/// - `klatch_redis_presence_lost_total`: leases or pieces of the registry that a gateway found gone
/// - `klatch_redis_recent_unreadable_total`: recent entries that another version has written, or nobody
/// - `klatch_redis_signals_queued`: waiting, over all subscribers
/// - `klatch_redis_signals_dropped_total{where="publish"|"queue"|"unreadable"}`: not sent, not fitting, not understood
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(options: Options, registry: &prometheus::Registry) -> Result<RedisParts, ConnectError> {
    options.check()?;
    let metrics = metrics::Metrics::register(registry)?;
    let up = metrics.up.with_label_values(&["calls"]);
    let (link, signals) = tokio::join!(
        Link::open("calls", &options, scripts::LoadScripts, None, up),
        signals::RedisSignals::open(&options, &metrics),
    );
    let link = Arc::new(link);
    Ok(RedisParts {
        presence: Arc::new(presence::RedisPresence::new(Arc::clone(&link), &options, &metrics)),
        signals: Arc::new(signals),
        rate_limits: Arc::new(rate_limits::RedisRateLimits::new(Arc::clone(&link), &options, &metrics)),
        recent: Arc::new(recent::RedisRecentEntries::new(link, &options, &metrics)),
    })
}
