//! Questions to the HTTP API, and what their answers change.

use std::collections::BTreeSet;

use klatch_domain::limits::{HISTORY_PAGE, SYNC_ROOMS};
use klatch_domain::{Code, Entry, Position, RoomId};
use klatch_protocol::http::{SyncAnswer, SyncRequest, SyncRoom, SyncRoomAnswer};

use super::input::{Failure, ListedRoom, RequestId};
use super::settings::GAPS_AT_ONCE;
use super::sync::{List, Question};
use super::timeline::News;
use super::{Core, Depth, Output, Part, Stop};

/// Entries of the page a room met for the first time shows.
const FIRST_PAGE: usize = 50;

/// What a request was for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// The room list, on the connection of this epoch.
    Rooms { epoch: u64 },
    /// These logs, on the connection of this epoch.
    Sync { epoch: u64, rooms: BTreeSet<RoomId>, inbox: bool },
    /// What a log lacks at its end.
    Gap(RoomId),
    /// What the user scrolls back to.
    Older(RoomId),
}

/// How far one answered log brought us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// Its end.
    End,
    /// Further.
    Further,
    /// Nowhere.
    Nowhere,
}

impl Core {
    pub(super) fn pump_sync(&mut self) {
        let inbox_is_new = self.first_fold.is_some();
        match self.sync.question(self.now, inbox_is_new) {
            None => {}
            Some(Question::Rooms(after)) => {
                let request = self.request(Purpose::Rooms { epoch: 0 });
                let asked_in = self.sync.asked(request);
                self.requests.insert(request, Purpose::Rooms { epoch: asked_in });
                self.outputs.push(Output::RequestRooms { request, after });
            }
            Some(Question::Logs { inbox, rooms, limit }) => {
                let purpose = Purpose::Sync { epoch: 0, rooms: rooms.iter().copied().collect(), inbox };
                let request = self.request(purpose);
                let asked_in = self.sync.asked(request);
                if let Some(Purpose::Sync { epoch, .. }) = self.requests.get_mut(&request) {
                    *epoch = asked_in;
                }
                let position =
                    |room: &RoomId| self.rooms.get(room).map_or(Position::NOTHING, |r| r.timeline.position());
                let asked = rooms.iter().map(|room| SyncRoom { room: *room, position: position(room) });
                let body = SyncRequest {
                    rooms: asked.collect(),
                    inbox: inbox.then(|| self.inbox.position()),
                    limit: Some(limit),
                };
                self.outputs.push(Output::RequestSync { request, body });
            }
        }
    }

    pub(super) fn pump_gaps(&mut self) {
        let mut due = self.gaps.due_rooms(self.now);
        due.retain(|room| {
            let by_sync = self.inbox_room == Some(*room) || self.sync.wants(*room);
            if by_sync {
                self.gaps.closed(*room);
                if self.inbox_room == Some(*room) {
                    self.sync.want_inbox();
                }
            }
            !by_sync
        });
        let asking = self.requests.values().filter(|purpose| matches!(purpose, Purpose::Gap(_))).count();
        if asking + due.len() > GAPS_AT_ONCE {
            for room in due.into_iter().take(SYNC_ROOMS) {
                self.gaps.closed(room);
                self.sync.want(room);
            }
            return;
        }
        for room in due {
            let Some(head) = self.timeline(room).map(|timeline| timeline.head()) else {
                self.gaps.closed(room);
                continue;
            };
            let request = self.request(Purpose::Gap(room));
            self.gaps.asked(room, request);
            self.outputs.push(Output::RequestHistory { request, room, part: Part::After(head), limit: HISTORY_PAGE });
        }
    }

    pub(super) fn ask_older(&mut self, room: RoomId, limit: usize) {
        let Some(floor) = self.timeline(room).map(|timeline| timeline.floor()) else { return };
        if floor.0 == 0 || !self.older.insert(room) {
            return;
        }
        let request = self.request(Purpose::Older(room));
        let limit = limit.clamp(1, HISTORY_PAGE);
        self.outputs.push(Output::RequestHistory { request, room, part: Part::Before(floor.next()), limit });
    }

    pub(super) fn rooms_answer(&mut self, request: RequestId, rooms: Vec<ListedRoom>, next: Option<String>) {
        let Some(Purpose::Rooms { epoch }) = self.requests.remove(&request) else { return };
        let current = self.sync.answered(request, epoch);
        if let Some(fold) = &mut self.first_fold {
            fold.listed.extend(rooms.into_iter().map(|listed| (listed.room, listed)));
        }
        if current {
            self.sync.list = next.map_or(List::Read, |next| List::Wanted(Some(next)));
        }
    }

    pub(super) fn sync_answer(&mut self, request: RequestId, answer: SyncAnswer) {
        let Some(Purpose::Sync { epoch, rooms, inbox }) = self.requests.remove(&request) else { return };
        let current = self.sync.answered(request, epoch);
        let mut progress = false;
        if let (true, Some(log), Some(inbox_room)) = (inbox, answer.inbox, self.inbox_room) {
            let reached = self.take_log(inbox_room, log);
            progress |= reached != Reached::Nowhere;
            if reached == Reached::End && current {
                self.sync.inbox_settled();
                self.end_first_fold();
            }
        }
        for log in answer.rooms {
            let room = log.room;
            if !rooms.contains(&room) || self.inbox_room == Some(room) {
                continue;
            }
            let reached = self.take_log(room, log);
            progress |= reached != Reached::Nowhere;
            if reached == Reached::End && current {
                self.sync.settled(room);
                self.check_gap(room);
            }
        }
        if current && !progress {
            self.sync.failed(request, None, self.now, &mut self.random);
        }
    }

    /// One log of a sync answer.
    fn take_log(&mut self, room: RoomId, log: SyncRoomAnswer) -> Reached {
        if let Some(code) = log.error {
            if matches!(code, Code::RoomNotFound | Code::NotAMember) {
                self.deny(room);
                return Reached::End;
            }
            return Reached::Nowhere;
        }
        let Some(head) = log.head else { return Reached::Nowhere };
        let entries = log.entries.unwrap_or_default();
        let more = log.more.unwrap_or(false);
        for entry in &entries {
            self.acknowledge_entry(room, entry);
        }
        self.admit(room);
        let Some(timeline) = self.timeline_mut(room) else { return Reached::End };
        let held = timeline.generation();
        if head.generation < held {
            return Reached::Nowhere;
        }
        let is_new = held.0 == 0;
        if !is_new && head.generation > held {
            self.restart(room, head.generation);
        }
        let Some(timeline) = self.timeline_mut(room) else { return Reached::End };
        let first_meeting = is_new || head.generation > held;
        let far = head.seq.0.saturating_sub(timeline.head().0) > self.settings.rows_per_room as u64;
        if more && self.settings.depth == Depth::FromNow && self.inbox_room != Some(room) && (first_meeting || far) {
            self.jump(room, head);
            self.ask_older(room, FIRST_PAGE);
            return Reached::End;
        }
        let mut news = News::default();
        let Some(timeline) = self.timeline_mut(room) else { return Reached::End };
        timeline.adopt(head.generation, &mut news);
        timeline.note_head(head.seq);
        self.publish(room, news);
        let moved = self.put_entries(room, entries);
        match (more, moved || first_meeting) {
            (false, _) => Reached::End,
            (true, true) => Reached::Further,
            (true, false) => Reached::Nowhere,
        }
    }

    pub(super) fn history_answer(&mut self, request: RequestId, entries: Vec<Entry>) {
        let (room, is_gap) = match self.requests.remove(&request) {
            Some(Purpose::Gap(room)) => (room, true),
            Some(Purpose::Older(room)) => (room, false),
            _ => return,
        };
        for entry in &entries {
            self.acknowledge_entry(room, entry);
        }
        if is_gap {
            let moved = self.put_entries(room, entries);
            return self.gaps.answered(room, request, moved, None, self.now, &mut self.random);
        }
        self.older.remove(&room);
        let Some(timeline) = self.timeline_mut(room) else { return };
        let mut news = News::default();
        timeline.prepend(entries, &mut news);
        self.publish(room, news);
    }

    pub(super) fn request_failed(&mut self, request: RequestId, failure: Failure) {
        let Some(purpose) = self.requests.remove(&request) else { return };
        let hint = failure.retry_after_ms;
        let gone = matches!(failure.code, Some(Code::RoomNotFound | Code::NotAMember));
        match purpose {
            Purpose::Rooms { .. } | Purpose::Sync { .. } => {
                self.sync.failed(request, hint, self.now, &mut self.random);
            }
            Purpose::Gap(room) if gone => self.deny(room),
            Purpose::Gap(room) => {
                self.gaps.answered(room, request, false, hint, self.now, &mut self.random);
            }
            Purpose::Older(room) => {
                self.older.remove(&room);
            }
        }
        match failure.code {
            Some(Code::TokenExpired | Code::Unauthenticated) => self.session.rejected(),
            Some(Code::SessionRevoked) => self.stop(Stop::SignedOut),
            _ => {}
        }
    }
}
