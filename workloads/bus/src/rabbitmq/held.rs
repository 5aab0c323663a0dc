//! What a consumer has handed out and not acknowledged.

use std::collections::VecDeque;

use lapin::{Acker, options::BasicAckOptions};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::intake::Taken;
use crate::OwnershipLost;

/// A consumer's end of an intake. Dropping it closes the channel.
pub(super) struct Held<T> {
    inbox: mpsc::Receiver<Taken<T>>,
    last_tag: u64,
    /// Tags rise.
    outstanding: VecDeque<(u64, Acker)>,
    _leave: DropGuard,
}

impl<T> Held<T> {
    pub(super) fn new(inbox: mpsc::Receiver<Taken<T>>, leave: CancellationToken) -> Self {
        Self { inbox, last_tag: 0, outstanding: VecDeque::new(), _leave: leave.drop_guard() }
    }

    /// The next message: its tag, what it holds, how often it was handed out before. Cancel safe.
    pub(super) async fn receive(&mut self) -> Option<(u64, T, u32)> {
        loop {
            let taken = self.inbox.recv().await?;
            if let Some(message) = self.take(taken) {
                return Some(message);
            }
        }
    }

    /// The same, if it is there already.
    pub(super) fn try_receive(&mut self) -> Option<(u64, T, u32)> {
        loop {
            let taken = self.inbox.try_recv().ok()?;
            if let Some(message) = self.take(taken) {
                return Some(message);
            }
        }
    }

    fn take(&mut self, taken: Taken<T>) -> Option<(u64, T, u32)> {
        match taken {
            Taken::Message(item, redeliveries, acker) => {
                self.last_tag += 1;
                self.outstanding.push_back((self.last_tag, acker));
                Some((self.last_tag, item, redeliveries))
            }
            // Acknowledging any of these is refused from here on: their owner hears that they are no longer its own.
            Taken::Lost => {
                self.outstanding.clear();
                None
            }
        }
    }

    /// What was handed out needs no acknowledgement any more.
    pub(super) fn forget(&mut self) {
        self.outstanding.clear();
    }

    /// Done with a message. That the broker has heard it is not known: the shard's fence and the ids make up for it.
    pub(super) async fn acknowledge(&mut self, tag: u64) -> Result<(), OwnershipLost> {
        let place = self.outstanding.binary_search_by_key(&tag, |(held, _)| *held).map_err(|_| OwnershipLost)?;
        let (_, acker) = self.outstanding.remove(place).ok_or(OwnershipLost)?;
        match acker.ack(BasicAckOptions::default()).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(OwnershipLost),
        }
    }
}
