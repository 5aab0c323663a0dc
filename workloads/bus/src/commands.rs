//! Commands: from gateways and api to the one writer of a room.

use std::sync::Arc;

use async_trait::async_trait;
use klatch_domain::Command;

/// Why a publish did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The queue is at its bound; nothing was taken. Try the same ids again after this many milliseconds.
    #[error("the ingest queue is full")]
    Full {
        /// How long to wait, milliseconds.
        retry_after_ms: u64,
    },
    /// No broker, or no confirm in time: it may have been taken. Try the same ids again.
    #[error("no confirm from the broker: {0}")]
    Unknown(String),
}

/// The ingest queues. A room's commands all go through the queue of its slot.
#[async_trait]
pub trait Commands: Send + Sync + 'static {
    /// How many ingest queues there are; fixed for the cluster's life.
    fn queues(&self) -> u16;

    /// Whether a confirmed command survives the death of every process of ours. Only then may a client hear `accepted`.
    fn durable(&self) -> bool;

    /// Puts a batch into a queue, in order, all or nothing, and waits for the confirm. A publisher has at most one
    /// unconfirmed publish a queue, or its order is lost. Not cancel safe: a dropped call may still publish.
    ///
    /// # Errors
    /// [`PublishError`].
    async fn publish(&self, queue: u16, batch: Vec<Command>) -> Result<(), PublishError>;

    /// Becomes a consumer of a queue. Of all consumers of a queue one is active; the others wait in `receive`.
    ///
    /// # Errors
    /// [`PublishError::Unknown`] when the broker is away.
    async fn consume(&self, queue: u16) -> Result<Box<dyn CommandConsumer>, PublishError>;
}

/// Commands that came together, and are acknowledged together.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Names it to `acknowledge`; rises with every delivery of a consumer.
    pub tag: u64,
    /// What one publish carried, in its order. Shared, as the twin keeps it until it is acknowledged.
    pub commands: Arc<Vec<Command>>,
    /// How often it has been handed out before. Handovers count too.
    pub redeliveries: u32,
}

/// The queue is no longer this consumer's: drop what you hold of it, somebody else does it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue belongs to another consumer now")]
pub struct OwnershipLost;

/// A single active consumer. Dropping it closes its channel: what was not acknowledged goes back to the front, in order.
#[async_trait]
pub trait CommandConsumer: Send {
    /// The next delivery; `None` when the bus has shut down. At most a bounded number is outstanding (prefetch). Cancel safe.
    async fn receive(&mut self) -> Option<Delivery>;

    /// The next delivery if one is there already.
    fn try_receive(&mut self) -> Option<Delivery>;

    /// Done with this delivery: it never comes again. Deliveries may be acknowledged in any order.
    ///
    /// # Errors
    /// [`OwnershipLost`].
    async fn acknowledge(&mut self, tag: u64) -> Result<(), OwnershipLost>;
}
