//! How workloads talk to each other: **commands** to message-service, **events** and **notifications** from it, lossy
//! **signals** between gateways, **watermarks**, **presence**, **rate limits**, and **queries** that gateways ask.
//!
//! One trait each; [`in_process`] is the embedded twin, [`rabbitmq`] the real part for what must be queued or fanned out,
//! [`redis`] that of what may be lost at any moment, and [`http`] carries the queries. A twin passes the conformance suite in
//! `tests/`. Every queue behind a trait is bounded and counts what it drops.

pub mod http;
pub mod in_process;
pub mod payload;
pub mod rabbitmq;
pub mod redis;

mod commands;
mod event_queue;
mod events;
mod notifications;
mod presence;
mod queries;
mod rate_limits;
mod recent;
mod room_streams;
mod signal_queue;
mod signals;
mod size;
mod watermarks;

pub use commands::{CommandConsumer, Commands, Delivery, OwnershipLost, PublishError};
pub use events::{EventPublisher, EventReceiver, Events, Receipt, Received, Target};
pub use notifications::{NotificationConsumer, Notifications, NotifyCommand, NotifyDelivery};
pub use presence::{Addressees, GatewaysOf, Load, Presence, PresenceUnknown, UserPresence};
pub use queries::{Queries, QueryError, RoomMembers};
pub use rate_limits::{Limited, Rate, RateLimits, RatesUnknown, Take};
pub use recent::{RECENT_BYTES, RECENT_ENTRIES, RECENT_SECONDS, Recent, RecentEntries};
pub use room_streams::{
    JOINED_ROOMS, ROOM_EVENT_BYTES, ROOM_EVENTS, RoomNews, RoomPublisher, RoomStreams, RoomSubscriber, StreamUnknown,
};
pub use signals::{PresenceStatus, Signal, SignalReceiver, Signals};
pub use watermarks::{WatermarkConsumer, WatermarkMove, Watermarks};

use std::sync::Arc;

/// Everything a workload may hold of the bus.
#[derive(Clone)]
pub struct Bus {
    /// To message-service.
    pub commands: Arc<dyn Commands>,
    /// From message-service.
    pub events: Arc<dyn Events>,
    /// Between gateways.
    pub signals: Arc<dyn Signals>,
    /// To message-service, lossy.
    pub watermarks: Arc<dyn Watermarks>,
    /// To notification-service.
    pub notifications: Arc<dyn Notifications>,
    /// Who is connected where.
    pub presence: Arc<dyn Presence>,
    /// Over all processes.
    pub rate_limits: Arc<dyn RateLimits>,
    /// What many read at one time.
    pub recent: Arc<dyn RecentEntries>,
}
