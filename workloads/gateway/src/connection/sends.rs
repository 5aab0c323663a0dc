//! The open sends of one connection: those without an outcome, and those that were refused and are to come again. Keeps what
//! every path feeds a room a gapless prefix of what the client sent.
//!
//! # What a room waits for
//!
//! The wire contract: after a retryable refusal the room's later sends are refused until that id comes again. So whatever is
//! refused keeps its place in the order of sending, and what stands behind it is turned away. Three kinds of send hold up what
//! comes behind them:
//!
//! - One that was refused **for itself** (by the writer, the broker, a limit, or as no outcome came) holds until it comes
//!   again, or its entry is seen in the log, or it is refused for good. To the letter, for as long as the connection lives: a
//!   client that gives such an id up comes back on a new connection.
//! - One that was **turned away**, only as the room waited, was refused too, and a client that resends each refused id as it
//!   hears of it may not have heard of this one yet: without a place of its own it would be overtaken by what the client says
//!   next. So the room waits for it as well, but not for ever: its refusal was no fault of its own, and a client that edits its
//!   outbox may drop it and think the room free, as the id that was refused first has come again. After [`GIVEN_UP_SECONDS`]
//!   without a sign of it, it counts as given up; should it come after all, it is a new send. (Nothing that the client sends
//!   shows earlier that it has heard of a refusal: what it sent may answer an older one.)
//! - One that is **displaced**: passed on behind a send that failed meanwhile. The writer refuses it too (what it names as its
//!   predecessor is not stored), or stores it (the predecessor was stored after all); its outcome says which. Its place among
//!   what was passed on is gone: the failed one must not come again behind it.

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use klatch_domain::{MessageId, RoomId};

/// Sends of one connection without an outcome even when limits are lifted: 40 bytes each.
const MOST_IN_FLIGHT: usize = 16_384;
/// All open sends of one connection: as many as may be in flight can fail at once, and as many again be turned away behind
/// them. A client with more has long stopped listening.
const MOST_OPEN: usize = 2 * MOST_IN_FLIGHT;
/// How long a room waits for what was turned away and does not come again, seconds: the longest backoff of the wire contract.
const GIVEN_UP_SECONDS: u32 = 30;
/// Stored sends that are remembered once anything had to come again, the latest: 32 bytes each. Only those matter of which a
/// resend is on its way.
const MOST_STORED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Passed on: the outcome is awaited.
    InFlight,
    /// Passed on behind one that failed: the outcome is awaited, and so is that it comes again.
    Displaced,
    /// Passed on, and seen in the log: the outcome is awaited, but nothing waits for it.
    Seen,
    /// To come again.
    Refused { for_itself: bool },
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    room: RoomId,
    message_id: MessageId,
    /// When it was passed on, or refused last.
    since_seconds: u32,
    state: State,
}

impl Sent {
    fn is_in_flight(&self) -> bool {
        matches!(self.state, State::InFlight | State::Displaced | State::Seen)
    }

    fn was(&self) -> Was {
        if self.is_in_flight() { Was::InFlight } else { Was::Refused }
    }

    /// What comes behind it waits.
    fn holds(&self) -> bool {
        matches!(self.state, State::Displaced | State::Refused { .. })
    }

    fn is_given_up(&self, now_seconds: u32) -> bool {
        self.state == State::Refused { for_itself: false }
            && now_seconds.saturating_sub(self.since_seconds) >= GIVEN_UP_SECONDS
    }
}

/// How a send goes on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// The preceding send of the room whose outcome is awaited.
    pub(crate) after: Option<MessageId>,
    /// Its own outcome was awaited already.
    pub(crate) repeat: bool,
}

/// Why a send does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// An earlier one of its room has to come again first.
    Waits,
    /// As many as may be are open.
    TooMany,
}

/// More open sends than one connection may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// What was awaited of a send that is settled or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Was {
    /// Its outcome.
    InFlight,
    /// That it comes again.
    Refused,
    /// Nothing: it was settled before, or never known here.
    Nothing,
}

/// In order of sending.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    open: VecDeque<Sent>,
    /// Counts of `open` by state: the usual connection has nothing that holds, and is not searched for it.
    in_flight: usize,
    holding: usize,
    /// Something had to come again, or came twice.
    resends: bool,
    /// Stored since then. A resend of each may be on its way, from a client that did not know: it finds out what became of the
    /// first, and holds nothing, as the client may come to know meanwhile and leave it at that.
    stored: VecDeque<(RoomId, MessageId)>,
}

impl Sends {
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.stored.is_empty()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn is_in_flight(&self, room: RoomId, message_id: MessageId) -> bool {
        self.find(room, message_id).is_some_and(|place| self.open[place].is_in_flight())
    }

    /// The room waits for some send to come again.
    pub(crate) fn is_blocked(&self, room: RoomId) -> bool {
        self.holding > 0 && self.open.iter().any(|sent| sent.room == room && sent.holds())
    }

    /// Sends without an outcome since `until_seconds` or longer, in order of sending.
    pub(crate) fn overdue(&self, until_seconds: u32) -> Vec<(RoomId, MessageId)> {
        let overdue = self.open.iter().filter(|sent| sent.is_in_flight() && sent.since_seconds <= until_seconds);
        overdue.map(|sent| (sent.room, sent.message_id)).collect()
    }

    /// Whether a send may pass: nothing before it in its room holds, or all that does has been given up.
    pub(crate) fn admits(&self, room: RoomId, message_id: MessageId, now_seconds: u32) -> bool {
        self.holding == 0
            || self.stored.contains(&(room, message_id))
            || self.admits_at(room, self.find(room, message_id), now_seconds)
    }

    fn admits_at(&self, room: RoomId, place: Option<usize>, now_seconds: u32) -> bool {
        if place.is_some_and(|place| self.open[place].state == State::Seen) {
            return true;
        }
        let mut before = self.open.range(..place.unwrap_or(self.open.len()));
        before.all(|sent| sent.room != room || !sent.holds() || sent.is_given_up(now_seconds))
    }

    fn find(&self, room: RoomId, message_id: MessageId) -> Option<usize> {
        // Outcomes come in order of sending, so what is looked for stands near the front.
        self.open.iter().position(|sent| sent.message_id == message_id && sent.room == room)
    }

    /// Notes a send that is passed on.
    pub(crate) fn begin(&mut self, room: RoomId, message_id: MessageId, now_seconds: u32) -> Result<Begun, Held> {
        let known = self.find(room, message_id);
        let stored = self.stored.iter().position(|stored| *stored == (room, message_id));
        if self.holding > 0 && stored.is_none() && !self.admits_at(room, known, now_seconds) {
            return Err(Held::Waits);
        }
        let repeat = known.is_some_and(|place| self.open[place].is_in_flight());
        if !repeat && (self.in_flight >= MOST_IN_FLIGHT || (known.is_none() && self.open.len() >= MOST_OPEN)) {
            return Err(Held::TooMany);
        }
        let state =
            if stored.and_then(|stored| self.stored.remove(stored)).is_some() { State::Seen } else { State::InFlight };
        self.resends |= repeat;
        let place = match known {
            Some(place) if matches!(self.open[place].state, State::InFlight | State::Seen) => place,
            _ => {
                let known = known.unwrap_or(self.open.len());
                let place = known - self.give_up_before(room, known, now_seconds);
                self.put(place, Sent { room, message_id, since_seconds: now_seconds, state });
                place
            }
        };
        Ok(Begun { after: self.before(place), repeat })
    }

    /// What the writer is to store first. Nothing for what is in the log already: its order is decided.
    fn before(&self, place: usize) -> Option<MessageId> {
        let Sent { room, state, .. } = self.open[place];
        let mut before = self.open.range(..place).rev().filter(|_| state == State::InFlight);
        before.find(|sent| sent.room == room && sent.state == State::InFlight).map(|sent| sent.message_id)
    }

    /// Puts a send in its place, or a new one behind all others.
    fn put(&mut self, place: usize, sent: Sent) {
        if place < self.open.len() {
            self.uncount(place);
            self.open[place] = sent;
        } else {
            self.open.push_back(sent);
        }
        self.count(place);
    }

    /// Forgets what was given up before this place. Answers how many that were.
    fn give_up_before(&mut self, room: RoomId, place: usize, now_seconds: u32) -> usize {
        if self.holding == 0 {
            return 0;
        }
        let given_up = |sent: &Sent| sent.room == room && sent.is_given_up(now_seconds);
        let places: Vec<_> = (0..place).filter(|place| given_up(&self.open[*place])).collect();
        places.iter().rev().for_each(|place| self.remove(*place));
        places.len()
    }

    fn change(&mut self, place: usize, state: State) {
        self.uncount(place);
        self.open[place].state = state;
        self.count(place);
    }

    fn count(&mut self, place: usize) {
        self.in_flight += usize::from(self.open[place].is_in_flight());
        self.holding += usize::from(self.open[place].holds());
    }

    fn uncount(&mut self, place: usize) {
        self.in_flight -= usize::from(self.open[place].is_in_flight());
        self.holding -= usize::from(self.open[place].holds());
    }

    fn remove(&mut self, place: usize) {
        self.uncount(place);
        self.open.remove(place);
        if self.open.is_empty() {
            self.open = VecDeque::new();
        }
    }

    fn note_stored(&mut self, room: RoomId, message_id: MessageId) {
        if self.stored.len() >= MOST_STORED {
            self.stored.pop_front();
        }
        self.stored.push_back((room, message_id));
    }

    /// Refuses a send that has just come, a new one or not: it is to come again.
    pub(crate) fn refuse(&mut self, room: RoomId, message_id: MessageId, now_seconds: u32) -> Result<Was, TooMany> {
        let known = self.find(room, message_id);
        let for_itself = self.admits_at(room, known, now_seconds);
        match known {
            Some(place) => Ok(self.fail_at(place, for_itself, now_seconds)),
            None if self.stored.contains(&(room, message_id)) => Ok(Was::Nothing),
            None if self.open.len() >= MOST_OPEN => Err(TooMany),
            None => {
                let state = State::Refused { for_itself };
                self.resends = true;
                self.put(self.open.len(), Sent { room, message_id, since_seconds: now_seconds, state });
                Ok(Was::Nothing)
            }
        }
    }

    /// A send that was passed on is refused, or nobody knows what became of it: it is to come again. [`Was::Nothing`]: it was
    /// settled before. Its client has heard so and will not send it again, so nothing waits for that, and nothing is to be said.
    pub(crate) fn fail(&mut self, room: RoomId, message_id: MessageId, now_seconds: u32) -> Was {
        let Some(place) = self.find(room, message_id) else { return Was::Nothing };
        match self.open[place].state {
            // An earlier try of what was turned away since.
            State::Refused { .. } => Was::Refused,
            state => self.fail_at(place, state != State::Displaced, now_seconds),
        }
    }

    fn fail_at(&mut self, place: usize, for_itself: bool, now_seconds: u32) -> Was {
        let Sent { room, message_id, state, .. } = self.open[place];
        let was = self.open[place].was();
        if state == State::Seen {
            // It has its place in the log already.
            self.remove(place);
            self.note_stored(room, message_id);
            return was;
        }
        if state == State::InFlight {
            for later in place + 1..self.open.len() {
                if self.open[later].room == room && self.open[later].state == State::InFlight {
                    self.change(later, State::Displaced);
                }
            }
        }
        self.resends = true;
        self.open[place].since_seconds = now_seconds;
        self.change(place, State::Refused { for_itself });
        was
    }

    /// It is refused for good: nothing waits for it.
    pub(crate) fn settle(&mut self, room: RoomId, message_id: MessageId) -> Was {
        let Some(place) = self.find(room, message_id) else { return Was::Nothing };
        let was = self.open[place].was();
        self.remove(place);
        was
    }

    /// It is in the log, and its outcome says so.
    pub(crate) fn store(&mut self, room: RoomId, message_id: MessageId) -> Was {
        let was = self.settle(room, message_id);
        if was != Was::Nothing && self.resends {
            self.note_stored(room, message_id);
        }
        was
    }

    /// Its entry was seen in the log: nothing waits for it. If its outcome is awaited, it still is.
    pub(crate) fn see(&mut self, room: RoomId, message_id: MessageId) -> Was {
        match self.find(room, message_id) {
            Some(place) if self.open[place].is_in_flight() => {
                self.change(place, State::Seen);
                Was::InFlight
            }
            _ => self.store(room, message_id),
        }
    }
}
