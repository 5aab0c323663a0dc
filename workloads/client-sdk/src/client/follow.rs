//! One room's log, entry by entry, without a hole, whatever the connection does meanwhile.

use std::collections::VecDeque;

use klatch_domain::limits::HISTORY_PAGE;
use klatch_domain::{Entry, RoomId, Seq};

use super::event::{Event, Events};
use super::{Client, ClientError, Status};
use crate::core::{Change, Connection, Part, Stop};

/// Reads a log from a seq on and waits at its end.
pub struct Follow {
    client: Client,
    room: RoomId,
    last: Seq,
    events: Events,
    ready: VecDeque<Entry>,
}

impl Follow {
    pub(crate) const fn new(client: Client, room: RoomId, last: Seq, events: Events) -> Self {
        Self { client, room, last, events, ready: VecDeque::new() }
    }

    /// The next entry, as it stands when it is read; dense by seq. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError::Stopped`] or [`ClientError::Closed`] when nothing more will come, `room_not_found` as
    /// [`ClientError::MessageRefused`] when we are no longer in the room.
    pub async fn next(&mut self) -> Result<Entry, ClientError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                self.last = entry.position.seq;
                return Ok(entry);
            }
            self.ready = self.read().await?.into();
            if self.ready.is_empty() {
                self.wait().await?;
            }
        }
    }

    /// What comes after the last entry given: from here if it is held, from the server if it is not.
    async fn read(&mut self) -> Result<Vec<Entry>, ClientError> {
        match self.client.timeline_after(self.room, self.last, HISTORY_PAGE).await? {
            Some(view) if self.last >= view.floor => Ok(view.entries),
            Some(view) => {
                let page = self.client.history(self.room, Some(Part::After(self.last)), Some(HISTORY_PAGE)).await?;
                if page.entries.is_empty() {
                    // The log begins above what we were asked to start from.
                    self.last = self.last.max(view.floor);
                }
                Ok(page.entries)
            }
            None if matches!(self.client.status(), Status::Ready) => Err(self.gone()),
            None => Ok(Vec::new()),
        }
    }

    async fn wait(&mut self) -> Result<(), ClientError> {
        loop {
            match self.events.next().await {
                None => return Err(ClientError::Closed),
                Some(Event::Missed(_)) => return Ok(()),
                Some(Event::NotSaved(_)) => {}
                Some(Event::Changed(change)) => match change {
                    Change::Appended { room, .. } | Change::Joined { room } if room == self.room => return Ok(()),
                    Change::Restarted { room, position } if room == self.room => {
                        // A restore may have taken entries back that were given already.
                        self.last = self.last.min(position.seq);
                        return Ok(());
                    }
                    Change::Left { room } if room == self.room => return Err(self.gone()),
                    Change::Connection(Connection::Stopped(Stop::Asked)) => return Err(ClientError::Closed),
                    Change::Connection(Connection::Stopped(reason)) => return Err(ClientError::Stopped(reason)),
                    Change::CaughtUp => return Ok(()),
                    _ => {}
                },
            }
        }
    }

    fn gone(&self) -> ClientError {
        ClientError::MessageRefused(klatch_domain::Refusal::room_not_found())
    }
}
