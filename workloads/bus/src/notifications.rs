//! Notify commands: from message-service to notification-service, one for each stored message that may concern somebody.

use async_trait::async_trait;
use klatch_domain::{Audience, Kind, Mentions, MessageId, Ordinal, Position, RoomId, Sender, Timestamp};

use crate::OwnershipLost;

/// A message was stored: decide whom to notify. It carries no body: who notifies reads what it shows from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyCommand {
    /// In which room.
    pub room: RoomId,
    /// Where the message stands.
    pub position: Position,
    /// Its ordinal; compared with a member's read position it says whether they have seen it.
    pub ordinal: Ordinal,
    /// The message.
    pub message_id: MessageId,
    /// Who wrote it, from which session.
    pub sender: Sender,
    /// What it is.
    pub kind: Kind,
    /// Whom it calls.
    pub mentions: Option<Mentions>,
    /// It notifies nobody.
    pub silent: bool,
    /// Whom it may reach: exactly these members, or those of the room.
    pub audience: Audience,
    /// The server's time of the message.
    pub at: Timestamp,
}

/// The queue of notify commands. Of a command that was confirmed at least one consumer hears, and perhaps more than once.
#[async_trait]
pub trait Notifications: Send + Sync + 'static {
    /// Hands a batch over and waits for the confirm, a bounded time. What a full queue or an absent broker does not take is
    /// skipped and counted: a notification that is late helps nobody, and ingest must go on. Not cancel safe: a dropped call
    /// may still publish.
    async fn publish(&self, batch: Vec<NotifyCommand>);

    /// Becomes one of the competing consumers. While there is no broker the consumer waits for one.
    async fn consume(&self) -> Box<dyn NotificationConsumer>;
}

/// Notify commands that came together, and are acknowledged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyDelivery {
    /// Names it to `acknowledge`; rises with every delivery of a consumer.
    pub tag: u64,
    /// What one publish carried, in its order.
    pub commands: Vec<NotifyCommand>,
    /// How often it has been handed out before.
    pub redeliveries: u32,
}

/// A consumer's end. Dropping it closes its channel: what was not acknowledged goes to another.
#[async_trait]
pub trait NotificationConsumer: Send {
    /// The next delivery; `None` when the bus has shut down. At most a bounded number is outstanding. Cancel safe.
    async fn receive(&mut self) -> Option<NotifyDelivery>;

    /// Done with this delivery: it never comes again.
    ///
    /// # Errors
    /// [`OwnershipLost`]: somebody else does it again.
    async fn acknowledge(&mut self, tag: u64) -> Result<(), OwnershipLost>;
}
