//! Rooms: known, entered, left; their logs fed and their changes told.

use std::collections::{BTreeMap, BTreeSet};

use klatch_domain::limits::SMALL_ROOM_MEMBERS;
use klatch_domain::{Entry, Generation, Kind, Position, RoomId};
use serde::Deserialize;

use super::inbox::{self, Notice};
use super::input::ListedRoom;
use super::timeline::{News, Put};
use super::{Change, Core, Depth, Timeline};

/// One room this client is in, as far as it knows.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(crate) timeline: Timeline,
    /// The server says we are not in it, the inbox has not said so yet.
    pub(crate) denied: bool,
    /// How many are in it, when the room list said so.
    pub(crate) members: Option<u64>,
}

/// A client without a past reads the room list and its inbox from the start. The inbox decides; the list tells where
/// logs end, and knows rooms older than the inbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstFold {
    pub(crate) listed: BTreeMap<RoomId, ListedRoom>,
    decided: BTreeSet<RoomId>,
}

#[derive(Deserialize)]
struct OfUser {
    user: klatch_domain::UserId,
}

impl Core {
    /// The rooms this client is in.
    pub fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.iter().filter(|(_, room)| !room.denied).map(|(id, _)| *id)
    }

    /// One room's log, if this client is in it.
    #[must_use]
    pub fn timeline(&self, room: RoomId) -> Option<&Timeline> {
        self.rooms.get(&room).filter(|room| !room.denied).map(|room| &room.timeline)
    }

    pub(super) fn timeline_mut(&mut self, room: RoomId) -> Option<&mut Timeline> {
        if self.inbox_room == Some(room) {
            return Some(&mut self.inbox);
        }
        self.rooms.get_mut(&room).filter(|room| !room.denied).map(|room| &mut room.timeline)
    }

    /// Entries of a log we hold, from wherever. Answers whether its end moved.
    pub(super) fn put_entries(&mut self, room: RoomId, entries: Vec<Entry>) -> bool {
        let Some(timeline) = self.timeline_mut(room) else { return false };
        let before = timeline.position();
        let mut news = News::default();
        let mut newer = false;
        for entry in entries {
            newer |= timeline.put(entry, &mut news) == Put::Newer;
        }
        let moved = timeline.position() != before;
        self.publish(room, news);
        if newer {
            self.want_log(room);
        }
        self.check_gap(room);
        moved
    }

    /// Tells what changed in a log.
    pub(super) fn publish(&mut self, room: RoomId, news: News) {
        if !news.appended.is_empty() {
            self.save_soon();
        }
        if self.inbox_room == Some(room) {
            for entry in news.appended {
                self.take_notice(entry);
            }
            return;
        }
        let Some(held) = self.rooms.get(&room) else { return };
        let rows: Vec<Entry> = news.updated.iter().filter_map(|seq| held.timeline.row(*seq)).cloned().collect();
        if !news.older.is_empty() {
            self.tell(Change::Older { room, entries: news.older });
        }
        if !news.appended.is_empty() {
            self.note_delivered(room, &news.appended);
            self.note_members(room, &news.appended);
            self.tell(Change::Appended { room, entries: news.appended });
        }
        for entry in rows {
            self.tell(Change::Updated { room, entry: Box::new(entry) });
        }
    }

    fn note_delivered(&mut self, room: RoomId, appended: &[Entry]) {
        let Some(held) = self.rooms.get(&room) else { return };
        let small = held.members.is_none_or(|members| members <= SMALL_ROOM_MEMBERS as u64);
        let others = appended.iter().any(|entry| Some(entry.sender.user) != self.user);
        if self.settings.delivered && small && others {
            self.watermarks.delivered(room, held.timeline.position(), self.now);
        }
    }

    /// Counts members, and takes the news of our own removal as a hint to read the inbox: the log read again after a
    /// return says so too.
    fn note_members(&mut self, room: RoomId, appended: &[Entry]) {
        for entry in appended {
            let Some(held) = self.rooms.get_mut(&room) else { return };
            match entry.kind {
                Kind::MemberJoined => held.members = held.members.map(|members| members.saturating_add(1)),
                Kind::MemberLeft => {
                    held.members = held.members.map(|members| members.saturating_sub(1));
                    if entry.content.read::<OfUser>().is_ok_and(|left| Some(left.user) == self.user) {
                        self.sync.stranger(self.now);
                    }
                }
                _ => {}
            }
        }
    }

    fn take_notice(&mut self, entry: Entry) {
        match inbox::read(&entry) {
            Notice::Joined(room) => {
                let head = self.first_fold.as_mut().and_then(|fold| {
                    fold.decided.insert(room);
                    fold.listed.get(&room).copied()
                });
                self.enter(room, head);
            }
            Notice::Left(room) => {
                if let Some(fold) = &mut self.first_fold {
                    fold.decided.insert(room);
                }
                self.leave(room);
            }
            Notice::Friend(user, status) => self.tell(Change::Friend { user, status }),
            Notice::Preferences(room) => self.tell(Change::Preferences { room }),
            Notice::DeviceList(user) => self.tell(Change::DeviceList { user }),
            Notice::Other => self.tell(Change::Notice(Box::new(entry))),
        }
    }

    /// The inbox was read to its end for the first time: rooms of which it says nothing are as the list says.
    pub(super) fn end_first_fold(&mut self) {
        let Some(fold) = self.first_fold.take() else { return };
        for (room, listed) in fold.listed {
            if !fold.decided.contains(&room) {
                self.enter(room, Some(listed));
            }
        }
    }

    /// We are in this room.
    pub(super) fn enter(&mut self, room: RoomId, listed: Option<ListedRoom>) {
        if self.inbox_room == Some(room) {
            return;
        }
        if let Some(known) = self.rooms.get(&room) {
            if known.denied {
                self.sync.want(room);
            }
            return;
        }
        let mut timeline = Timeline::new(self.settings.rows_per_room, self.user);
        if self.settings.depth == Depth::FromNow
            && let Some(listed) = listed
        {
            timeline.jump(listed.head, &mut News::default());
        }
        self.rooms.insert(room, Room { timeline, denied: false, members: listed.map(|listed| listed.members) });
        self.sync.want(room);
        self.save_soon();
        self.tell(Change::Joined { room });
    }

    /// We are not any more.
    fn leave(&mut self, room: RoomId) {
        let Some(gone) = self.rooms.remove(&room) else { return };
        self.forget_room(room);
        if !gone.denied {
            self.tell(Change::Left { room });
        }
    }

    /// The server says we are not in it. What was held is dropped; the inbox has the last word.
    pub(super) fn deny(&mut self, room: RoomId) {
        let bound = self.settings.rows_per_room;
        let Some(known) = self.rooms.get_mut(&room) else { return };
        known.timeline = Timeline::new(bound, self.user);
        if !std::mem::replace(&mut known.denied, true) {
            self.tell(Change::Left { room });
        }
        self.forget_room(room);
    }

    /// The server answers for it after all.
    pub(super) fn admit(&mut self, room: RoomId) {
        if let Some(known) = self.rooms.get_mut(&room)
            && std::mem::replace(&mut known.denied, false)
        {
            self.tell(Change::Joined { room });
        }
    }

    fn forget_room(&mut self, room: RoomId) {
        self.sync.forget(room);
        self.gaps.closed(room);
        self.watermarks.forget(room);
        self.watching.forget(room);
        self.save_soon();
    }

    /// The log starts anew in this generation; what was held of the old one is dropped.
    pub(super) fn restart(&mut self, room: RoomId, generation: Generation) {
        let Some(timeline) = self.timeline_mut(room) else { return };
        timeline.restart(generation);
        let position = timeline.position();
        self.watermarks.forget(room);
        self.told_restart(room, position);
    }

    /// Goes on from the end of a log without what lies between.
    pub(super) fn jump(&mut self, room: RoomId, position: Position) {
        let Some(timeline) = self.timeline_mut(room) else { return };
        let mut news = News::default();
        timeline.jump(position, &mut news);
        self.told_restart(room, position);
        self.publish(room, news);
    }

    fn told_restart(&mut self, room: RoomId, position: Position) {
        self.gaps.closed(room);
        self.save_soon();
        if self.inbox_room != Some(room) {
            self.tell(Change::Restarted { room, position });
        }
    }

    /// This log is to be compared with the server's.
    pub(super) fn want_log(&mut self, room: RoomId) {
        if self.inbox_room == Some(room) { self.sync.want_inbox() } else { self.sync.want(room) }
    }

    /// Something came of a room that we do not hold.
    pub(super) fn stranger(&mut self, room: RoomId) {
        if self.rooms.contains_key(&room) {
            self.sync.want(room);
        }
        self.sync.stranger(self.now);
    }

    /// Notes or closes a gap at the end of a log.
    pub(super) fn check_gap(&mut self, room: RoomId) {
        let Some(timeline) = self.timeline_mut(room) else { return };
        if timeline.is_behind() {
            self.gaps.noticed(room, self.now);
        } else {
            self.gaps.closed(room);
        }
    }
}
