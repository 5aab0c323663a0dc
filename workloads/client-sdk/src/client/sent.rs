//! A message on its way.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use klatch_domain::{MessageId, Ordinal, Position, Refusal, Timestamp};
use tokio::sync::oneshot;

use super::ClientError;

/// Where a message of ours stands in its room's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredAt {
    /// Its position.
    pub position: Position,
    /// Its ordinal.
    pub ordinal: Ordinal,
    /// The server's time of it.
    pub at: Timestamp,
}

/// Resolves when the message is stored, or refused for good. Dropping it changes nothing: the message goes on.
#[derive(Debug)]
pub struct SendHandle {
    pub(crate) message_id: MessageId,
    pub(crate) outcome: oneshot::Receiver<Result<StoredAt, Refusal>>,
}

impl SendHandle {
    /// The message's id.
    #[must_use]
    pub const fn message_id(&self) -> MessageId {
        self.message_id
    }
}

impl Future for SendHandle {
    type Output = Result<StoredAt, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(context).map(|outcome| match outcome {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(refusal)) => Err(ClientError::MessageRefused(refusal)),
            Err(_) => Err(ClientError::Closed),
        })
    }
}
