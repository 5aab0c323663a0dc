//! Watermarks on their way to message-service: coalesced, lossy, never through ingest.

use async_trait::async_trait;
use klatch_domain::{Position, RoomId, SessionId, UserId};

/// A member's report of how far they have come. Merged with greatest, so repeats and reordering do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatermarkMove {
    /// In which room.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// From which session.
    pub session: SessionId,
    /// Read up to here.
    pub read: Option<Position>,
    /// Received up to here.
    pub delivered: Option<Position>,
}

/// The queue of watermark reports.
#[async_trait]
pub trait Watermarks: Send + Sync + 'static {
    /// Hands a batch over; what does not fit is dropped and counted (a client reports again when it comes back).
    async fn publish(&self, batch: Vec<WatermarkMove>);

    /// Becomes one of the competing consumers.
    async fn consume(&self) -> Box<dyn WatermarkConsumer>;
}

/// A consumer's end.
#[async_trait]
pub trait WatermarkConsumer: Send {
    /// Everything that waits, bounded; `None` when the bus has shut down. Cancel safe.
    async fn receive(&mut self) -> Option<Vec<WatermarkMove>>;
}
