//! Messages on their way: one queue a room, so that a room is fed a gapless prefix in the order it was said.
//!
//! In a queue those sent on this connection come first, those waiting after them. A retryable refusal, a broken
//! connection or a long silence makes sent ones wait again, from the one concerned on; the server knows repeats by id.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use klatch_domain::{Code, Draft, MessageId, Refusal, RoomId, SessionId};
use klatch_protocol::{ClientFrame, Send};
use rand::rngs::Xoshiro256PlusPlus;

use super::backoff::Backoff;
use super::pace::Pace;
use super::settings::{ANSWER_MOST_MS, ANSWER_MS, FAILED_MESSAGES, OUTBOX_MESSAGES};

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) message_id: MessageId,
    pub(crate) draft: Draft,
    /// The session it was first sent by; what another session sends again is stored under the first.
    pub(crate) session: Option<SessionId>,
    order: u64,
    /// When it last left.
    sent_at: u64,
    /// Last sign of life of it: sent, accepted, held.
    stirred: u64,
    /// Refused on this connection, to be tried again: its gateway refuses the room's later ones until this id comes.
    refused_here: bool,
    /// Refused for good before and said again: it travels alone, as a service that remembers the refusal would let what
    /// follows pass at once, before what went ahead.
    alone: bool,
}

impl Item {
    fn new(message_id: MessageId, draft: Draft, session: Option<SessionId>, order: u64) -> Self {
        Self { message_id, draft, session, order, sent_at: 0, stirred: 0, refused_here: false, alone: false }
    }
}

#[derive(Debug, Clone, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// How many at the front were sent on this connection.
    sent: usize,
    hold_until: u64,
    backoff: Backoff,
    silences: u32,
}

impl Queue {
    /// The oldest of those sent should be answered by then; whatever happens to later ones says nothing of it.
    fn answer_by(&self) -> Option<u64> {
        let oldest = self.items.front().filter(|_| self.sent > 0)?;
        Some(oldest.stirred.saturating_add((ANSWER_MS << self.silences.min(4)).min(ANSWER_MOST_MS)))
    }

    /// What may be sent next, as far as the order of the room goes.
    fn next(&self) -> Option<&Item> {
        let next = self.items.get(self.sent)?;
        let last = self.sent.checked_sub(1).and_then(|last| self.items.get(last));
        last.is_none_or(|last| !last.alone && !next.alone).then_some(next)
    }

    fn place(&self, message_id: MessageId) -> Option<usize> {
        self.items.iter().position(|item| item.message_id == message_id)
    }
}

/// A message refused for good.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) room: RoomId,
    pub(crate) item: Item,
    pub(crate) refusal: Refusal,
}

/// What became of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusing {
    /// It will be sent again.
    Again,
    /// It is parked.
    Parked,
    /// Nothing that is still in the outbox.
    Unknown,
    /// The gateway waits for an id that will not come again: only a new connection ends that.
    Stuck,
}

/// Every message that is not in a log yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox {
    rooms: BTreeMap<RoomId, Queue>,
    failed: VecDeque<Failed>,
    orders: u64,
    messages: usize,
    in_flight: usize,
    in_flight_most: usize,
    hold_until: u64,
    pace: Pace,
    /// Rooms in which a refused id will not come again on this connection, as its message is stored or given up, and since
    /// when. A gateway may wait for it all the same.
    awaited: BTreeMap<RoomId, u64>,
}

impl Outbox {
    /// Takes a message; false when there is no room for it, or it is there already.
    pub(crate) fn push(
        &mut self,
        room: RoomId,
        message_id: MessageId,
        draft: Draft,
        session: Option<SessionId>,
    ) -> bool {
        if self.messages >= OUTBOX_MESSAGES || self.rooms.get(&room).is_some_and(|q| q.place(message_id).is_some()) {
            return false;
        }
        self.orders += 1;
        self.messages += 1;
        let item = Item::new(message_id, draft, session, self.orders);
        self.rooms.entry(room).or_default().items.push_back(item);
        true
    }

    /// A new connection with these limits: everything waits to be sent on it.
    pub(crate) fn connected(&mut self, in_flight: u64, per_second: u64) {
        self.in_flight_most = usize::try_from(in_flight).unwrap_or(usize::MAX).max(1);
        self.pace.set(per_second);
        self.hold_until = 0;
    }

    /// Nothing that was sent counts as sent any more.
    pub(crate) fn disconnected(&mut self) {
        self.in_flight = 0;
        self.awaited.clear();
        for queue in self.rooms.values_mut() {
            for item in &mut queue.items {
                item.refused_here = false;
            }
            queue.sent = 0;
            queue.hold_until = 0;
            queue.silences = 0;
        }
    }

    /// What may leave now, the oldest first.
    pub(crate) fn pump(&mut self, now: u64, session: Option<SessionId>) -> Vec<(RoomId, Send)> {
        let mut leaving = Vec::new();
        if self.hold_until > now {
            return leaving;
        }
        let waiting = |queue: &Queue| queue.next().map(|item| std::cmp::Reverse(item.order));
        let open = self.rooms.iter().filter(|(_, queue)| queue.hold_until <= now);
        let mut next: BinaryHeap<_> = open.filter_map(|(room, queue)| Some((waiting(queue)?, *room))).collect();
        while let Some((_, room)) = next.pop() {
            if self.in_flight >= self.in_flight_most || self.pace.ready_at() > now {
                break;
            }
            let Some(queue) = self.rooms.get_mut(&room) else { continue };
            let Some(item) = queue.items.get_mut(queue.sent) else { continue };
            item.session = item.session.or(session);
            (item.sent_at, item.stirred) = (now, now);
            leaving.push((room, Send::from_draft(item.message_id, room, item.draft.clone())));
            queue.sent += 1;
            self.in_flight += 1;
            self.pace.sent(now);
            if let Some(order) = waiting(queue) {
                next.push((order, room));
            }
        }
        leaving
    }

    /// When something may leave, or an answer is overdue.
    pub(crate) fn due(&self) -> Option<u64> {
        let waits = self.rooms.values().filter(|queue| queue.next().is_some());
        let gate = self.hold_until.max(self.pace.ready_at());
        let leave =
            waits.map(|queue| queue.hold_until.max(gate)).min().filter(|_| self.in_flight < self.in_flight_most);
        let answer = self.rooms.values().filter_map(Queue::answer_by).min();
        leave.into_iter().chain(answer).min()
    }

    /// It is in the log. Answers the message the first time.
    pub(crate) fn acknowledge(&mut self, room: RoomId, message_id: MessageId, now: u64) -> Option<Item> {
        let Some(queue) = self.rooms.get_mut(&room) else { return self.unpark(message_id) };
        let Some(place) = queue.place(message_id) else { return self.unpark(message_id) };
        queue.silences = 0;
        queue.backoff.reset();
        let sent = place < queue.sent;
        let item = self.take(room, message_id)?;
        if sent && self.awaited.get(&room).is_some_and(|since| *since < item.sent_at) {
            // A later one has passed.
            self.awaited.remove(&room);
        } else if !sent && item.refused_here {
            self.awaited.insert(room, now);
        }
        Some(item)
    }

    fn unpark(&mut self, message_id: MessageId) -> Option<Item> {
        let place = self.failed.iter().position(|failed| failed.item.message_id == message_id)?;
        self.failed.remove(place).map(|failed| failed.item)
    }

    /// A sign of life for a message that is on its way.
    pub(crate) fn stir(&mut self, message_id: MessageId, now: u64) {
        // Accepted frames come in the order sent, so the first item is nearly always the one.
        for queue in self.rooms.values_mut() {
            if let Some(item) = queue.items.iter_mut().take(queue.sent).find(|item| item.message_id == message_id) {
                item.stirred = now;
                return;
            }
        }
    }

    /// A refusal: a final one parks this message alone, a retryable one holds the room from this message on.
    pub(crate) fn refused(
        &mut self,
        room: RoomId,
        message_id: MessageId,
        refusal: Refusal,
        now: u64,
        random: &mut Xoshiro256PlusPlus,
    ) -> Refusing {
        let found = self.rooms.get_mut(&room).and_then(|queue| Some((queue.place(message_id)?, queue)));
        let Some((place, queue)) = found else {
            if refusal.retryable {
                self.awaited.insert(room, now);
            }
            return Refusing::Unknown;
        };
        if !refusal.retryable {
            return match self.take(room, message_id) {
                Some(item) => {
                    self.park(Failed { room, item, refusal });
                    Refusing::Parked
                }
                None => Refusing::Unknown,
            };
        }
        let Some(item) = queue.items.get_mut(place) else { return Refusing::Unknown };
        item.refused_here = true;
        let sent_since = self.awaited.get(&room).is_some_and(|since| *since < item.sent_at);
        if refusal.code == Code::Busy && place < queue.sent && sent_since {
            return Refusing::Stuck;
        }
        if place < queue.sent {
            self.in_flight -= queue.sent - place;
            queue.sent = place;
        }
        let wait = queue.backoff.next_or(refusal.retry_after_ms, random);
        queue.hold_until = queue.hold_until.max(now.saturating_add(wait));
        if refusal.code == Code::RateLimited {
            // The limit is the user's, not the room's.
            self.hold_until = self.hold_until.max(now.saturating_add(wait));
        }
        Refusing::Again
    }

    /// `busy`: nothing more leaves for this room, or at all, for so long.
    pub(crate) fn hold(&mut self, room: Option<RoomId>, until: u64, now: u64) {
        match room {
            None => self.hold_until = self.hold_until.max(until),
            Some(room) => {
                if let Some(queue) = self.rooms.get_mut(&room) {
                    queue.hold_until = queue.hold_until.max(until);
                    if let Some(oldest) = queue.items.front_mut() {
                        oldest.stirred = now;
                    }
                }
            }
        }
    }

    /// Sent ones that nobody answered for long wait to be sent again.
    pub(crate) fn check_silence(&mut self, now: u64) {
        for queue in self.rooms.values_mut() {
            if queue.answer_by().is_some_and(|by| by <= now) {
                self.in_flight -= queue.sent;
                queue.sent = 0;
                queue.silences += 1;
            }
        }
    }

    /// A parked message goes to the end of its room's queue.
    pub(crate) fn retry(&mut self, message_id: MessageId) -> Option<RoomId> {
        let place = self.failed.iter().position(|failed| failed.item.message_id == message_id)?;
        let Failed { room, item, .. } = self.failed.remove(place)?;
        let pushed = self.push(room, item.message_id, item.draft, item.session);
        if let Some(item) = self.rooms.get_mut(&room).and_then(|queue| queue.items.back_mut()).filter(|_| pushed) {
            item.alone = true;
        }
        pushed.then_some(room)
    }

    /// The user gives a message up. Answers whether it was there.
    pub(crate) fn discard(&mut self, message_id: MessageId, now: u64) -> bool {
        if self.unpark(message_id).is_some() {
            return true;
        }
        let found = self.rooms.iter().find_map(|(room, queue)| Some((*room, queue.place(message_id)? < queue.sent)));
        let Some((room, sent)) = found else { return false };
        let item = self.take(room, message_id);
        if sent || item.is_some_and(|item| item.refused_here) {
            self.awaited.insert(room, now);
        }
        true
    }

    pub(crate) fn park(&mut self, failed: Failed) {
        self.failed.push_back(failed);
        if self.failed.len() > FAILED_MESSAGES {
            self.failed.pop_front();
        }
    }

    fn take(&mut self, room: RoomId, message_id: MessageId) -> Option<Item> {
        let queue = self.rooms.get_mut(&room)?;
        let place = queue.place(message_id)?;
        let item = queue.items.remove(place)?;
        self.messages -= 1;
        if place < queue.sent {
            queue.sent -= 1;
            self.in_flight -= 1;
        }
        if queue.items.is_empty() {
            self.rooms.remove(&room);
        }
        Some(item)
    }

    /// Whether a message of this room might be ours.
    pub(crate) fn has(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room) || !self.failed.is_empty()
    }

    /// How many wait or are on their way.
    pub(crate) fn len(&self) -> usize {
        self.messages
    }

    /// All that wait or are on their way, in the order said.
    pub(crate) fn unsettled(&self) -> Vec<(RoomId, &Item)> {
        let mut all: Vec<(RoomId, &Item)> = Vec::with_capacity(self.messages);
        for (room, queue) in &self.rooms {
            all.extend(queue.items.iter().map(|item| (*room, item)));
        }
        all.sort_by_key(|(_, item)| item.order);
        all
    }

    /// All that were refused for good.
    pub(crate) fn parked(&self) -> impl Iterator<Item = &Failed> {
        self.failed.iter()
    }

    /// Parks a message again that a snapshot knows as refused.
    pub(crate) fn restore_parked(
        &mut self,
        room: RoomId,
        message_id: MessageId,
        draft: Draft,
        session: Option<SessionId>,
        refusal: Refusal,
    ) {
        self.park(Failed { room, item: Item::new(message_id, draft, session, 0), refusal });
    }
}

/// The frames that carry these messages.
pub(crate) fn frames(leaving: Vec<(RoomId, Send)>) -> Vec<ClientFrame> {
    leaving.into_iter().map(|(_, send)| ClientFrame::Send(send)).collect()
}
