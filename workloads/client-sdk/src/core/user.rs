//! What the user does, and what outlives the process.

use std::borrow::Cow;

use klatch_domain::{Code, Draft, MessageId, Position, Refusal, RoomId, Seq, check_draft};

use super::log::Room;
use super::snapshot::{SavedMessage, SavedRefusal, SavedRoom, Snapshot};
use super::timeline::News;
use super::{Change, Core, MessageState, Timeline};

/// A full outbox may have room again after this, milliseconds.
const OUTBOX_FULL_WAIT_MS: u64 = 1_000;

impl Core {
    pub(super) fn say(&mut self, message_id: MessageId, room: RoomId, draft: Draft) {
        let state = match check_draft(&draft) {
            Err(refusal) => MessageState::Refused(refusal),
            Ok(()) if self.outbox.push(room, message_id, draft, None) => {
                self.save_now();
                MessageState::Queued
            }
            Ok(()) => MessageState::Refused(Refusal::retryable(
                Code::Busy,
                "the outbox is full, or has this message already",
                OUTBOX_FULL_WAIT_MS,
            )),
        };
        self.tell(Change::Message { message_id, room, state });
    }

    pub(super) fn retry(&mut self, message_id: MessageId) {
        if let Some(room) = self.outbox.retry(message_id) {
            self.save_now();
            self.tell(Change::Message { message_id, room, state: MessageState::Queued });
        }
    }

    pub(super) fn discard(&mut self, message_id: MessageId) {
        if self.outbox.discard(message_id, self.now) {
            self.save_now();
        }
    }

    pub(super) fn read(&mut self, room: RoomId, seq: Seq) {
        let Some(timeline) = self.timeline(room).filter(|timeline| timeline.generation().0 > 0) else { return };
        let position = Position { generation: timeline.generation(), seq: seq.min(timeline.head()) };
        self.watermarks.read(room, position, self.now);
    }

    /// How many messages are not known to be stored or refused.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.outbox.unsettled().len()
    }

    /// What a later [`Core::new`] needs to go on from here.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let waiting = self.outbox.unsettled().into_iter().map(|(room, item)| SavedMessage {
            message_id: item.message_id,
            room,
            draft: item.draft.clone(),
            session: item.session,
            refused: None,
        });
        let parked = self.outbox.parked().map(|failed| SavedMessage {
            message_id: failed.item.message_id,
            room: failed.room,
            draft: failed.item.draft.clone(),
            session: failed.item.session,
            refused: Some(SavedRefusal { code: failed.refusal.code, detail: failed.refusal.detail.to_string() }),
        });
        let outbox = waiting.chain(parked).collect();
        if self.first_fold.is_some() {
            // Which rooms there are is not known yet: the next life reads list and inbox from the start.
            return Snapshot { user: self.user, inbox: Position::NOTHING, rooms: Vec::new(), outbox };
        }
        let rooms = self.rooms.iter().map(|(room, held)| SavedRoom { room: *room, position: held.timeline.position() });
        Snapshot { user: self.user, inbox: self.inbox.position(), rooms: rooms.collect(), outbox }
    }

    pub(super) fn restore(&mut self, snapshot: Snapshot) {
        let resume = |mut timeline: Timeline, position: Position| {
            if position != Position::NOTHING {
                timeline.jump(position, &mut News::default());
            }
            timeline
        };
        self.inbox = resume(Timeline::new(0, self.user), snapshot.inbox);
        for SavedRoom { room, position } in snapshot.rooms {
            let timeline = resume(Timeline::new(self.settings.rows_per_room, self.user), position);
            self.rooms.insert(room, Room { timeline, denied: false, members: None });
        }
        for SavedMessage { message_id, room, draft, session, refused } in snapshot.outbox {
            match refused {
                None => {
                    self.outbox.push(room, message_id, draft, session);
                }
                Some(SavedRefusal { code, detail }) => {
                    let refusal = Refusal::new(code, Cow::Owned(detail));
                    self.outbox.restore_parked(room, message_id, draft, session, refusal);
                }
            }
        }
    }
}
