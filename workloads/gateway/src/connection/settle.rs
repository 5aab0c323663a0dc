//! The unsettled sends of a connection, seen from outside. A lock held for a few comparisons; no memory while there are none.

use std::{mem::take, sync::atomic::Ordering};

use klatch_domain::{MessageId, RoomId};
use klatch_protocol::close;

use super::{
    Connection,
    sends::{Begun, Sends, TooMany},
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

    fn ask_sends<T>(&self, none: T, ask: impl FnOnce(&Sends) -> T) -> T {
        self.sends.lock().as_deref().map_or(none, ask)
    }

    /// A send is passed on.
    pub(crate) fn begin_send(&self, room: RoomId, message_id: MessageId, now_seconds: u32) -> Result<Begun, TooMany> {
        let begun = self.with_sends(|sends| sends.begin(room, message_id, now_seconds))?;
        if !begun.repeat
            && let Some(identity) = self.identity()
        {
            identity.user.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        Ok(begun)
    }

    /// A send is in the log, or refused for good: it blocks nothing.
    pub(crate) fn settle_send(&self, room: RoomId, message_id: MessageId) {
        let mut sends = self.sends.lock();
        let Some(open) = &mut *sends else { return };
        let settled = open.settle(room, message_id);
        if open.is_empty() {
            *sends = None;
        }
        drop(sends);
        self.settled(usize::from(settled));
    }

    /// A send was refused, and may come again: later ones of its room wait for it. Closes a connection that has too many such
    /// rooms.
    pub(crate) fn fail_send(&self, room: RoomId, message_id: MessageId) {
        match self.with_sends(|sends| sends.fail(room, message_id)) {
            Ok(settled) => self.settled(usize::from(settled)),
            Err(TooMany) => self.close(close::TOO_MANY, "too many rooms wait for a send to come again"),
        }
    }

    fn settled(&self, count: usize) {
        if let Some(identity) = self.identity() {
            identity.user.in_flight.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// Later sends of this room wait for another one than this.
    pub(crate) fn waits_for_another(&self, room: RoomId, message_id: MessageId) -> bool {
        self.ask_sends(false, |sends| sends.waits_for_another(room, message_id))
    }

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
