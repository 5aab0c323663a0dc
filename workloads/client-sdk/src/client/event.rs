//! What a client hears of, by as many listeners as it likes.

use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::core::Change;

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// This.
    Changed(Change),
    /// So many changes were not heard, as this listener was too slow: look at the timelines again.
    Missed(u64),
    /// The state file could not be written; until it can, a crash may forget messages not sent yet.
    NotSaved(String),
}

/// A listener. It hears what happens from its making on.
pub struct Events {
    receiver: Receiver<Event>,
}

impl Events {
    pub(crate) const fn new(receiver: Receiver<Event>) -> Self {
        Self { receiver }
    }

    /// The next event; none when the client is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl futures_util::Stream<Item = Event> {
        futures_util::stream::unfold(self, |mut events| async move { Some((events.next().await?, events)) })
    }
}
