//! Where notifications go from here.

use async_trait::async_trait;
use klatch_domain::{MessageId, Position, RoomId, Timestamp, UserId};

/// One member is to be told of one message. It holds no body: an adapter reads what it may show when it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// Whom.
    pub user: UserId,
    /// In which room.
    pub room: RoomId,
    /// Where the message stands.
    pub position: Position,
    /// The message. With `user` it names this notification: one that comes again, after a crash, replaces the first (an
    /// adapter hands it on as collapse id or topic).
    pub message_id: MessageId,
    /// They are called by it.
    pub mention: bool,
    /// When it was stored.
    pub at: Timestamp,
}

/// A way to a user's devices: FCM, APNs, Web Push.
#[async_trait]
pub trait Push: Send + Sync + 'static {
    /// Takes notifications over. It returns once they are in its own bounded queue or dropped and counted there, and never
    /// waits for a device.
    async fn push(&self, notifications: &[Notification]);
}
