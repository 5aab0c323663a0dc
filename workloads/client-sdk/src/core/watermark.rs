//! How far we have read and received: gathered, forward only, sent again when a broken connection may have lost it.

use std::collections::BTreeMap;

use klatch_domain::{Position, RoomId};
use klatch_protocol::{ClientFrame, WatermarkOut};

use super::settings::{WATERMARK_DOUBT_MS, WATERMARK_EVERY_MS};

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    read: Option<Position>,
    delivered: Option<Position>,
    sent_read: Option<Position>,
    sent_delivered: Option<Position>,
    sent_at: u64,
}

impl Mark {
    fn is_due(&self) -> bool {
        self.read > self.sent_read || self.delivered > self.sent_delivered
    }
}

/// Outgoing watermarks, by room.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watermarks {
    rooms: BTreeMap<RoomId, Mark>,
    flush_at: Option<u64>,
}

impl Watermarks {
    /// The user has read up to here.
    pub(crate) fn read(&mut self, room: RoomId, position: Position, now: u64) {
        let mark = self.rooms.entry(room).or_default();
        mark.read = mark.read.max(Some(position));
        self.plan(room, now);
    }

    /// This device holds everything up to here.
    pub(crate) fn delivered(&mut self, room: RoomId, position: Position, now: u64) {
        let mark = self.rooms.entry(room).or_default();
        mark.delivered = mark.delivered.max(Some(position));
        self.plan(room, now);
    }

    fn plan(&mut self, room: RoomId, now: u64) {
        if self.rooms.get(&room).is_some_and(Mark::is_due) {
            self.flush_at.get_or_insert(now.saturating_add(WATERMARK_EVERY_MS));
        }
    }

    /// When the next ones are to be sent.
    pub(crate) fn due(&self) -> Option<u64> {
        self.flush_at
    }

    /// One frame a room, if it is time.
    pub(crate) fn flush(&mut self, now: u64) -> Vec<ClientFrame> {
        if self.flush_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.flush_at = None;
        let due = self.rooms.iter_mut().filter(|(_, mark)| mark.is_due());
        due.map(|(room, mark)| {
            let read = mark.read.filter(|_| mark.read > mark.sent_read);
            let delivered = mark.delivered.filter(|_| mark.delivered > mark.sent_delivered);
            (mark.sent_read, mark.sent_delivered, mark.sent_at) = (mark.read, mark.delivered, now);
            ClientFrame::Watermark(WatermarkOut { room: *room, read, delivered })
        })
        .collect()
    }

    /// The connection broke: what was sent just now may not have arrived. What is surely there is forgotten.
    pub(crate) fn disconnected(&mut self, now: u64) {
        self.rooms.retain(|_, mark| mark.is_due() || mark.sent_at.saturating_add(WATERMARK_DOUBT_MS) > now);
        for mark in self.rooms.values_mut() {
            (mark.sent_read, mark.sent_delivered) = (None, None);
        }
        self.flush_at = (!self.rooms.is_empty()).then_some(now);
    }

    /// Its log has another generation now, or is none of ours any more.
    pub(crate) fn forget(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId::from_bytes([1; 16]);

    #[test]
    fn watermarks_gather_and_never_go_back() {
        let mut marks = Watermarks::default();
        marks.read(ROOM, Position::first(3), 100);
        marks.read(ROOM, Position::first(9), 200);
        marks.read(ROOM, Position::first(5), 300);
        marks.delivered(ROOM, Position::first(9), 300);
        assert!(marks.flush(100 + WATERMARK_EVERY_MS - 1).is_empty());
        let want = WatermarkOut { room: ROOM, read: Some(Position::first(9)), delivered: Some(Position::first(9)) };
        assert_eq!(marks.flush(100 + WATERMARK_EVERY_MS), [ClientFrame::Watermark(want)]);
        marks.read(ROOM, Position::first(8), 5_000);
        assert_eq!(marks.due(), None);
    }

    #[test]
    fn what_was_sent_just_before_a_break_is_sent_again() {
        let mut marks = Watermarks::default();
        marks.read(ROOM, Position::first(3), 0);
        assert_eq!(marks.flush(10_000).len(), 1);
        marks.disconnected(11_000);
        assert_eq!(marks.flush(20_000).len(), 1);
        marks.disconnected(20_000 + WATERMARK_DOUBT_MS);
        assert!(marks.flush(u64::MAX).is_empty());
    }
}
