//! The embedded twin: bounded queues in memory. What waits in it dies with the process, so commands are not durable.
//!
//! Closing: when the last clone of a [`Bus`] part is gone (for events, of the publishers too), its receivers get what
//! still waits, then `None`.

mod commands;
mod events;
mod metrics;
mod notifications;
mod options;
mod presence;
mod rate_limits;
mod recent;
mod room_streams;
mod signals;
mod watermarks;

use std::sync::Arc;

pub use options::{
    EVENT_QUEUE_BYTES, EVENT_QUEUE_EVENTS, INGEST_BYTES, INGEST_COMMANDS, LAST_ACTIVE_USERS, MonotonicClock,
    NOTIFY_QUEUE_BYTES, NOTIFY_QUEUE_COMMANDS, Options, PREFETCH, SIGNAL_QUEUE_BYTES, SIGNAL_QUEUE_SIGNALS,
    WATERMARK_QUEUE_MOVES,
};

pub use room_streams::room_streams;

use crate::Bus;

/// Opens a bus in memory. Any number of gateways and services may live on it; clone it for each. Its metrics:
///
/// - `klatch_bus_ingest_commands{queue}`, `klatch_bus_ingest_bytes{queue}`: waiting or not yet acknowledged
/// - `klatch_bus_ingest_refused_commands_total{queue}`: refused as the queue was full
/// - `klatch_bus_ingest_redelivered_total{queue}`: deliveries that came back from a consumer
/// - `klatch_bus_queued{queue="events"|"signals"|"watermarks"|"notifications"}`: waiting, over all subscribers
/// - `klatch_bus_dropped_total{queue="events"|"signals"|"watermarks"|"notifications"}`: dropped, each for one subscriber
/// - `klatch_bus_unknown_target_events_total`: events to a process that has not subscribed
/// - `klatch_bus_gaps_total`: gaps that subscribers were told of
/// - `klatch_bus_presence_gateways`, `klatch_bus_presence_users`: alive, and connected somewhere
///
/// # Errors
/// When `registry` holds a bus's metrics already.
pub fn bus(options: Options, registry: &prometheus::Registry) -> Result<Bus, prometheus::Error> {
    let metrics = metrics::BusMetrics::register(registry)?;
    Ok(Bus {
        commands: Arc::new(commands::InProcessCommands::new(&options, &metrics)?),
        events: Arc::new(events::InProcessEvents::new(&options, &metrics)?),
        signals: Arc::new(signals::InProcessSignals::new(&options, &metrics)?),
        watermarks: Arc::new(watermarks::InProcessWatermarks::new(&options, &metrics)?),
        notifications: Arc::new(notifications::InProcessNotifications::new(&options, &metrics)?),
        presence: Arc::new(presence::InProcessPresence::new(&options, &metrics)),
        rate_limits: Arc::new(rate_limits::InProcessRateLimits::new(&options)),
        recent: Arc::new(recent::InProcessRecentEntries::new(&options)),
    })
}
