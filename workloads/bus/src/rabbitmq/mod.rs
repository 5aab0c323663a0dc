//! The RabbitMQ twin: commands, events, watermarks and notifications. (Signals and presence are Redis's.)
//!
//! What stands on the brokers, by name ([`Names`]), and who uses it:
//!
//! | what | how |
//! |---|---|
//! | `ingest` (direct) to `ingest.N` | quorum queues, single active consumer, bounded, refusing, dead letters at least once |
//! | `dead-letters` (direct) to `dead-letters.ingest`, `dead-letters.notify` | quorum queues, unbounded: alert on what stands there |
//! | `events.one` (direct by incarnation), `events.everyone`, `events.lane.N` (fanout) | to one bounded queue a subscriber, its own |
//! | `watermarks` | bounded, refusing; its messages do not outlive the broker |
//! | `notify` | quorum queue, bounded, refusing, competing consumers |
//!
//! A lost connection is made again with backoff, by whoever needs it; consumers attach again by themselves and their owners
//! hear [`OwnershipLost`](crate::OwnershipLost) for what they held.

mod announce;
mod backoff;
mod commands;
mod confirmed;
mod events;
mod held;
mod intake;
mod link;
mod metrics;
mod names;
mod notifications;
mod options;
mod pause;
mod topology;
mod watch;
mod watermarks;

use std::{path::PathBuf, sync::Arc};

pub use announce::{AnnounceError, announce};
pub use link::LinkError;
pub use names::Names;
pub use options::{
    AddressError, BrokerAddress, CONFIRM_TIMEOUT, CONNECT_TIMEOUT, DELIVERY_LIMIT, EVENT_LOCAL_BYTES,
    EVENT_LOCAL_EVENTS, EVENT_QUEUE_BYTES, EVENT_QUEUE_MESSAGES, HEARTBEAT_SECONDS, INGEST_BYTES, INGEST_MESSAGES,
    INGEST_PREFETCH, NOTIFY_BYTES, NOTIFY_MESSAGES, NOTIFY_PREFETCH, Options, SKIP_AFTER, Topology, WATERMARK_BYTES,
    WATERMARK_MESSAGES, WATERMARK_PREFETCH,
};
pub use topology::TopologyError;

use self::{link::Link, metrics::Metrics};
use crate::{Commands, Events, Notifications, Watermarks};

/// The twin could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options name no broker.
    #[error("the bus needs at least one RabbitMQ broker")]
    NoBroker,
    /// The file of authorities cannot be read.
    #[error("read the authorities of RabbitMQ's certificates from {path}: {source}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The registry holds a RabbitMQ twin's metrics already.
    #[error("register the metrics of RabbitMQ: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A broker is away, or does not hold what is needed.
    #[error("RabbitMQ: {0}")]
    Topology(#[from] TopologyError),
}

/// The parts of a [`Bus`](crate::Bus) that RabbitMQ carries. Clone it for each workload of a process.
///
/// When the last clone of a part is gone (for events, of the publishers too), its receivers get what still waits, then `None`.
#[derive(Clone)]
pub struct RabbitmqParts {
    /// To message-service.
    pub commands: Arc<dyn Commands>,
    /// From message-service.
    pub events: Arc<dyn Events>,
    /// To message-service, lossy.
    pub watermarks: Arc<dyn Watermarks>,
    /// To notification-service.
    pub notifications: Arc<dyn Notifications>,
}

/// Connects to every broker (twice: a broker that is short of memory stops publishers, and must not stop consumers with them)
/// and checks or declares what stands there. Call it in the runtime that will run the parts. Later losses of a broker are
/// dealt with inside. Its metrics, by the names of [`Names`]:
///
/// - `klatch_rabbitmq_waiting_messages{queue}`: wait at the broker, looked at every 10 s; the dead letters too
/// - `klatch_rabbitmq_age_milliseconds{queue}`: how old the command was that an ingest consumer received last
/// - `klatch_rabbitmq_refused_total{queue}`: commands refused as the queue was full
/// - `klatch_rabbitmq_unknown_total{queue}`: publishes of commands without a confirm
/// - `klatch_rabbitmq_redelivered_total{queue}`: deliveries that had been handed out before
/// - `klatch_rabbitmq_ownership_lost_total{queue}`: consumers whose channel was lost
/// - `klatch_rabbitmq_dropped_total{queue}`: watermark moves, notify commands and (`events`, each for one subscriber) events
///   dropped
/// - `klatch_rabbitmq_queued{queue="events"}`, `klatch_rabbitmq_received_events_total`: waiting inside this process's
///   subscribers, and all that reached them, dropped or not
/// - `klatch_rabbitmq_unsent_events_total`: events not sent as there was no broker
/// - `klatch_rabbitmq_absent_total`: processes that were gone when something had been sent to them alone
/// - `klatch_rabbitmq_gaps_total`: gaps that subscribers were told of
/// - `klatch_rabbitmq_unreadable_total{queue}`: what this version could not read
/// - `klatch_rabbitmq_reconnects_total`: connections made again
///
/// # Errors
/// [`OpenError`]: a broker is away or lacks something. Nothing is left behind; try again.
pub async fn connect(options: Options, registry: &prometheus::Registry) -> Result<RabbitmqParts, OpenError> {
    if options.brokers.is_empty() {
        return Err(OpenError::NoBroker);
    }
    let authorities = authorities(&options).await?;
    let names = Names::new(&options.prefix);
    let metrics = Arc::new(Metrics::unregistered()?);
    let links = |purpose: &str| -> Vec<Arc<Link>> {
        let name = format!("{} {purpose}", options.name);
        let link = |address| {
            Link::new(address, name.clone(), authorities.clone(), options.connect_timeout, Arc::clone(&metrics))
        };
        options.brokers.iter().map(|address| Arc::new(link(address))).collect()
    };
    let (publishing, consuming) = (links("publishing"), links("consuming"));
    match options.topology {
        Topology::Declare => topology::declare(&options, &names, &publishing).await?,
        Topology::Check => topology::check(&options, &names, &publishing).await?,
    }
    // Last of what can fail: a second try finds the registry as this one did.
    metrics.register(registry)?;
    let both = (&publishing[..], &consuming[..]);
    let first = (&publishing[0], &consuming[0]);
    let events = events::RabbitmqEvents::open(&options, &names, both, &metrics).await;
    let commands = commands::RabbitmqCommands::new(&options, &names, both, events.downgrade(), &metrics);
    let watching = (options.clone(), names.clone(), consuming.clone(), Arc::clone(&metrics));
    tokio::spawn(watch::run(watching.0, watching.1, watching.2, watching.3, commands.closing()));
    Ok(RabbitmqParts {
        commands: Arc::new(commands),
        watermarks: Arc::new(watermarks::RabbitmqWatermarks::new(&options, &names, first, &metrics)),
        notifications: Arc::new(notifications::RabbitmqNotifications::new(&options, &names, first, &metrics)),
        events: Arc::new(events),
    })
}

/// Whom the options believe beside those of the platform, PEM.
async fn authorities(options: &Options) -> Result<Option<String>, OpenError> {
    let Some(path) = &options.ca_file else { return Ok(None) };
    let read = tokio::fs::read_to_string(path).await;
    read.map(Some).map_err(|source| OpenError::Authorities { path: path.clone(), source })
}
