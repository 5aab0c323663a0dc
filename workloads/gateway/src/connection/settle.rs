//! The open sends of a connection, seen from outside. A lock held for a few comparisons; no memory while there are none.

use std::{mem::take, sync::atomic::Ordering};

use klatch_domain::{MessageId, RoomId};
use klatch_protocol::close;

use super::{
    Connection,
    sends::{Begun, Held, Sends, TooMany, Was},
};

impl Connection {
    fn with_sends<T>(&self, act: impl FnOnce(&mut Sends) -> T) -> T {
        let mut sends = self.sends.lock();
        let open = sends.get_or_insert_default();
        let answer = act(open);
        if open.is_empty() {
            *sends = None;
        }
        answer
    }

    fn now_seconds(&self) -> u32 {
        (self.instruments.timer.millis() / 1_000) as u32
    }

    fn ask_sends<T>(&self, none: T, ask: impl FnOnce(&Sends) -> T) -> T {
        self.sends.lock().as_deref().map_or(none, ask)
    }

    /// Whether this send may pass now, as far as the order of its room goes. [`Self::begin_send`] has the last word.
    pub(crate) fn admits(&self, room: RoomId, message_id: MessageId) -> bool {
        self.ask_sends(true, |sends| sends.admits(room, message_id, self.now_seconds()))
    }

    /// A send is passed on.
    pub(crate) fn begin_send(&self, room: RoomId, message_id: MessageId) -> Result<Begun, Held> {
        let begun = self.with_sends(|sends| sends.begin(room, message_id, self.now_seconds()))?;
        if !begun.repeat
            && let Some(identity) = self.identity()
        {
            identity.user.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        Ok(begun)
    }

    /// Does something to a send, if any are open.
    fn with_open(&self, act: impl FnOnce(&mut Sends) -> Was) -> Was {
        let mut sends = self.sends.lock();
        let Some(open) = &mut *sends else { return Was::Nothing };
        let was = act(open);
        if open.is_empty() {
            *sends = None;
        }
        was
    }

    /// A send is in the log: it blocks nothing.
    pub(crate) fn store_send(&self, room: RoomId, message_id: MessageId) {
        let was = self.with_open(|sends| sends.store(room, message_id));
        self.settled(usize::from(was == Was::InFlight));
    }

    /// A send is refused for good: it blocks nothing.
    pub(crate) fn settle_send(&self, room: RoomId, message_id: MessageId) {
        let was = self.with_open(|sends| sends.settle(room, message_id));
        self.settled(usize::from(was == Was::InFlight));
    }

    /// An entry of this connection's user was seen in the log: if this connection waited for it to be sent again, it no longer
    /// does. Its client learns of the entry, here or elsewhere, and may never send it again. Answers whether its outcome is
    /// awaited.
    pub(crate) fn see_sent(&self, room: RoomId, message_id: MessageId) -> bool {
        self.with_open(|sends| sends.see(room, message_id)) == Was::InFlight
    }

    /// A send that has just come is refused, and may come again: later ones of its room wait for it. Closes a connection that
    /// has too many such sends.
    pub(crate) fn refuse_send(&self, room: RoomId, message_id: MessageId) {
        match self.with_sends(|sends| sends.refuse(room, message_id, self.now_seconds())) {
            Ok(was) => self.settled(usize::from(was == Was::InFlight)),
            Err(TooMany) => self.close(close::TOO_MANY, "too many sends are to come again"),
        }
    }

    /// A send that was passed on is refused, and may come again: later ones of its room wait for it. Answers whether its client
    /// is to hear so; not if it has heard that the send is settled.
    #[must_use]
    pub(crate) fn fail_send(&self, room: RoomId, message_id: MessageId) -> bool {
        let was = self.with_open(|sends| sends.fail(room, message_id, self.now_seconds()));
        self.settled(usize::from(was == Was::InFlight));
        was != Was::Nothing
    }

    fn settled(&self, count: usize) {
        if let Some(identity) = self.identity() {
            identity.user.in_flight.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// The room waits for some send to come again.
    pub(crate) fn is_blocked(&self, room: RoomId) -> bool {
        self.ask_sends(false, |sends| sends.is_blocked(room))
    }

    pub(crate) fn is_in_flight(&self, room: RoomId, message_id: MessageId) -> bool {
        self.ask_sends(false, |sends| sends.is_in_flight(room, message_id))
    }

    pub(crate) fn has_unsettled(&self) -> bool {
        self.ask_sends(false, |sends| sends.in_flight() > 0)
    }

    /// Sends that have had no outcome since then, in order of sending.
    pub(crate) fn overdue_sends(&self, until_seconds: u32) -> Vec<(RoomId, MessageId)> {
        self.ask_sends(Vec::new(), |sends| sends.overdue(until_seconds))
    }

    /// The connection is over: what it has open is nobody's any more.
    pub(crate) fn forget_sends(&self) {
        let open = take(&mut *self.sends.lock()).map_or(0, |sends| sends.in_flight());
        self.settled(open);
    }
}
