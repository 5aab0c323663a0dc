//! What is still to be asked of the server after a connection was made, and what is compared every few minutes.

use std::collections::BTreeSet;

use klatch_domain::RoomId;
use klatch_domain::limits::{HISTORY_PAGE, SYNC_ROOMS};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::backoff::Backoff;
use super::input::RequestId;
use super::settings::{CHECK_EVERY_MS, STRANGER_EVERY_MS, SYNC_ENTRIES, SYNC_ENTRIES_PER_ROOM};

/// The room list, which a client without a past reads once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum List {
    /// From this page on it is still to be read.
    Wanted(Option<String>),
    /// Read, or not needed.
    Read,
}

/// The next question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// A page of the room list.
    Rooms(Option<String>),
    /// `POST /v1/sync`
    Logs {
        /// The inbox among them.
        inbox: bool,
        /// At most as many as one call takes.
        rooms: Vec<RoomId>,
        /// Entries a room.
        limit: usize,
    },
}

/// One question at a time; what is wanted is remembered until it was answered to the end.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    pub(crate) list: List,
    inbox: bool,
    rooms: BTreeSet<RoomId>,
    /// Rises with every connection: an answer to a question of an older one proves nothing about this one.
    epoch: u64,
    asking: Option<RequestId>,
    retry_at: u64,
    backoff: Backoff,
    check_at: u64,
    stranger_at: u64,
    caught_up: bool,
}

impl Sync {
    pub(crate) fn new(list: List) -> Self {
        Self {
            list,
            inbox: true,
            rooms: BTreeSet::new(),
            epoch: 0,
            asking: None,
            retry_at: 0,
            backoff: Backoff::default(),
            check_at: 0,
            stranger_at: 0,
            caught_up: false,
        }
    }

    /// A connection was made. `complete`: the server promises that nothing was missed since the last one.
    pub(crate) fn connected(
        &mut self,
        rooms: impl Iterator<Item = RoomId>,
        complete: bool,
        now: u64,
        random: &mut Xoshiro256PlusPlus,
    ) {
        self.epoch += 1;
        self.asking = None;
        self.retry_at = now;
        self.backoff.reset();
        self.caught_up = false;
        if !complete {
            self.want_all(rooms);
        }
        self.plan_check(now, random);
    }

    /// Everything is to be compared.
    pub(crate) fn want_all(&mut self, rooms: impl Iterator<Item = RoomId>) {
        self.inbox = true;
        self.rooms.extend(rooms);
    }

    /// This room is to be compared.
    pub(crate) fn want(&mut self, room: RoomId) {
        self.rooms.insert(room);
    }

    /// The inbox is to be compared.
    pub(crate) fn want_inbox(&mut self) {
        self.inbox = true;
    }

    /// Something came of a room nobody invited us to: the invitation was lost, or is on its way.
    pub(crate) fn stranger(&mut self, now: u64) {
        if self.stranger_at <= now {
            self.stranger_at = now.saturating_add(STRANGER_EVERY_MS);
            self.inbox = true;
        }
    }

    /// The room is none of ours any more.
    pub(crate) fn forget(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// Whether this room is about to be compared anyway.
    pub(crate) fn wants(&self, room: RoomId) -> bool {
        self.rooms.contains(&room)
    }

    /// Whether the regular comparison is due; plans the next.
    pub(crate) fn check_is_due(&mut self, now: u64, random: &mut Xoshiro256PlusPlus) -> bool {
        let due = self.check_at <= now;
        if due {
            self.plan_check(now, random);
        }
        due
    }

    fn plan_check(&mut self, now: u64, random: &mut Xoshiro256PlusPlus) {
        // Clients that came together do not check together.
        self.check_at = now + CHECK_EVERY_MS - random.random_range(0..=CHECK_EVERY_MS / 5);
    }

    /// The next question, if it is time. Membership comes first: the inbox is read to its end before `inbox_is_new`
    /// rooms are asked for.
    pub(crate) fn question(&self, now: u64, inbox_is_new: bool) -> Option<Question> {
        if self.asking.is_some() || self.retry_at > now {
            return None;
        }
        if let List::Wanted(after) = &self.list {
            return Some(Question::Rooms(after.clone()));
        }
        if !self.inbox && self.rooms.is_empty() {
            return None;
        }
        let rooms = if self.inbox && inbox_is_new {
            Vec::new()
        } else {
            self.rooms.iter().copied().take(SYNC_ROOMS).collect::<Vec<_>>()
        };
        let limit = (SYNC_ENTRIES / rooms.len().max(1)).clamp(SYNC_ENTRIES_PER_ROOM, HISTORY_PAGE);
        Some(Question::Logs { inbox: self.inbox, rooms, limit })
    }

    /// It was put.
    pub(crate) fn asked(&mut self, request: RequestId) -> u64 {
        self.asking = Some(request);
        self.epoch
    }

    /// An answer came to the question of this epoch. Answers whether it settles what it was about.
    pub(crate) fn answered(&mut self, request: RequestId, epoch: u64) -> bool {
        if self.asking == Some(request) {
            self.asking = None;
            self.backoff.reset();
        }
        epoch == self.epoch
    }

    /// No answer came, or one that did not help: wait.
    pub(crate) fn failed(&mut self, request: RequestId, hint: Option<u64>, now: u64, random: &mut Xoshiro256PlusPlus) {
        if self.asking == Some(request) {
            self.asking = None;
        }
        if self.asking.is_none() {
            self.retry_at = now.saturating_add(self.backoff.next_or(hint, random));
        }
    }

    /// A room's log was read to its end.
    pub(crate) fn settled(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// The inbox was read to its end.
    pub(crate) fn inbox_settled(&mut self) {
        self.inbox = false;
    }

    /// Whether this was the moment in which everything missed has arrived.
    pub(crate) fn has_just_caught_up(&mut self) -> bool {
        let all = !self.inbox && self.rooms.is_empty() && self.asking.is_none() && self.list == List::Read;
        let first = all && !self.caught_up;
        self.caught_up |= all;
        first
    }

    /// Whether everything missed before this connection has arrived.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// When the next question or comparison is due.
    pub(crate) fn due(&self) -> u64 {
        let pending = self.asking.is_none() && (self.inbox || !self.rooms.is_empty() || self.list != List::Read);
        if pending { self.retry_at.min(self.check_at) } else { self.check_at }
    }
}
