//! Frames of the server, one by one.

use klatch_domain::{Code, Entry, Refusal, RoomId};
use klatch_protocol::{MessageFrame, PositionFrame, Refused, Reset, ServerFrame, StoredFrame};

use super::outbox::{Item, Refusing};
use super::{Change, Core, MessageState};

/// Close code of a client that comes back (RFC 6455 section 7.4.1).
const NORMAL: u16 = 1000;

impl Core {
    pub(super) fn take_frame(&mut self, frame: ServerFrame) {
        self.heartbeat.heard(self.now);
        if let ServerFrame::Welcome(welcome) = &frame {
            return self.welcomed(welcome);
        }
        if !self.is_online() {
            if let ServerFrame::Error(problem) = frame {
                self.tell(Change::Problem(problem));
            }
            return;
        }
        match frame {
            ServerFrame::Welcome(_) | ServerFrame::Pong(_) => {}
            ServerFrame::Accepted(accepted) => self.outbox.stir(accepted.message_id, self.now),
            ServerFrame::Stored(stored) => self.take_stored(&stored),
            ServerFrame::Refused(refused) => self.take_refused(refused),
            ServerFrame::Message(message) => self.take_message(message),
            ServerFrame::Position(position) => self.take_position(&position),
            ServerFrame::Reset(reset) => self.take_reset(&reset),
            ServerFrame::Watermark(mark) => self.tell(Change::Watermark(mark)),
            ServerFrame::Signal(signal) => self.tell(Change::Signal(signal)),
            ServerFrame::Presence(presence) => self.tell(Change::Presence(presence)),
            ServerFrame::Busy(busy) => {
                self.outbox.hold(busy.room, self.now.saturating_add(busy.retry_after_ms), self.now);
            }
            ServerFrame::Reconnect(hint) => self.take_reconnect(&hint),
            ServerFrame::Error(problem) => self.tell(Change::Problem(problem)),
        }
    }

    fn take_message(&mut self, message: MessageFrame) {
        self.acknowledge_entry(message.room, &message.entry);
        if self.timeline_mut(message.room).is_some() {
            self.put_entries(message.room, vec![message.entry]);
        } else {
            self.stranger(message.room);
        }
    }

    fn take_position(&mut self, frame: &PositionFrame) {
        let Some(timeline) = self.timeline_mut(frame.room) else { return self.stranger(frame.room) };
        match frame.head.generation.cmp(&timeline.generation()) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                timeline.note_head(frame.head.seq);
                self.check_gap(frame.room);
            }
            std::cmp::Ordering::Greater => self.want_log(frame.room),
        }
    }

    fn take_reset(&mut self, frame: &Reset) {
        let Some(timeline) = self.timeline_mut(frame.room) else { return self.stranger(frame.room) };
        if frame.generation > timeline.generation() {
            self.restart(frame.room, frame.generation);
            self.want_log(frame.room);
        }
    }

    fn take_stored(&mut self, frame: &StoredFrame) {
        let Some(item) = self.outbox.acknowledge(frame.room, frame.message_id, self.now) else { return };
        self.message_stored(frame.room, &item, frame);
        let entry = self.entry_of(item, frame);
        let Some(timeline) = self.timeline_mut(frame.room) else { return };
        if let Some(entry) = entry {
            self.put_entries(frame.room, vec![entry]);
        } else if timeline.generation() == frame.position.generation {
            timeline.note_head(frame.position.seq);
            self.check_gap(frame.room);
        }
    }

    fn message_stored(&mut self, room: RoomId, item: &Item, frame: &StoredFrame) {
        let StoredFrame { position, ordinal, at, .. } = *frame;
        let state = MessageState::Stored { position, ordinal, at };
        self.tell(Change::Message { message_id: item.message_id, room, state });
        self.save_soon();
    }

    /// The row the log has, as `stored` may be all this connection hears of it. Not known when another session of ours
    /// may have sent it first: that one stands in the row.
    fn entry_of(&self, item: Item, stored: &StoredFrame) -> Option<Entry> {
        let (user, session) = (self.user?, self.session_id?);
        if item.session != Some(session) {
            return None;
        }
        // No log has a place 0.
        stored.position.seq.0.checked_sub(1)?;
        let sender = klatch_domain::Sender { user, session };
        Some(Entry::of(&item.draft, stored.position, stored.ordinal, stored.message_id, sender, stored.at))
    }

    fn take_refused(&mut self, frame: Refused) {
        let Refused { message_id, room, code, detail, retryable, retry_after_ms } = frame;
        let refusal = Refusal { code, detail, retryable, retry_after_ms };
        let state = match self.outbox.refused(room, message_id, refusal.clone(), self.now, &mut self.random) {
            Refusing::Again => MessageState::Queued,
            Refusing::Parked => MessageState::Refused(refusal),
            Refusing::Stuck => return self.break_off(NORMAL),
            Refusing::Unknown => return,
        };
        self.save_soon();
        self.tell(Change::Message { message_id, room, state });
        if matches!(code, Code::RoomNotFound | Code::NotAMember) {
            // The inbox knows whether we are still in it.
            self.stranger(room);
        }
    }

    /// An entry whose id waits in the outbox is its acknowledgement, wherever it comes from.
    pub(super) fn acknowledge_entry(&mut self, room: RoomId, entry: &Entry) {
        if Some(entry.sender.user) != self.user || !self.outbox.has(room) {
            return;
        }
        let Some(item) = self.outbox.acknowledge(room, entry.message_id, self.now) else { return };
        let stored = StoredFrame {
            message_id: entry.message_id,
            room,
            position: entry.position,
            ordinal: entry.ordinal,
            at: entry.at,
        };
        self.message_stored(room, &item, &stored);
    }
}
