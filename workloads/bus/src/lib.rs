//! How workloads talk to each other: **commands** to message-service, **events** from it, lossy **signals** between
//! gateways, **watermarks**, **presence**, and **queries** that gateways ask.
//!
//! One trait each; [`in_process`] is the embedded twin (RabbitMQ and Redis follow). A twin passes the conformance suite in
//! `tests/`. Every queue behind a trait is bounded and counts what it drops.

pub mod in_process;

mod commands;
mod events;
mod presence;
mod queries;
mod signals;
mod watermarks;

pub use commands::{CommandConsumer, Commands, Delivery, OwnershipLost, PublishError};
pub use events::{EventPublisher, EventReceiver, Events, Received, Target};
pub use presence::{GatewaysOf, Presence, PresenceUnknown, UserPresence};
pub use queries::{Queries, QueryError, RoomMembers};
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
    /// Who is connected where.
    pub presence: Arc<dyn Presence>,
}
