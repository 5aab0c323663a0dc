//! Rooms whose log is known to go on beyond what is held: after a short wait what is missing is asked for.

use std::collections::BTreeMap;

use klatch_domain::RoomId;
use rand::rngs::Xoshiro256PlusPlus;

use super::backoff::Backoff;
use super::input::RequestId;
use super::settings::GAP_WAIT_MS;

#[derive(Debug, Clone)]
struct Gap {
    due: u64,
    asking: Option<RequestId>,
    backoff: Backoff,
}

/// All gaps, by room.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaps {
    rooms: BTreeMap<RoomId, Gap>,
}

impl Gaps {
    /// A room is behind. What is merely late gets a moment.
    pub(crate) fn noticed(&mut self, room: RoomId, now: u64) {
        self.rooms.entry(room).or_insert_with(|| Gap {
            due: now.saturating_add(GAP_WAIT_MS),
            asking: None,
            backoff: Backoff::default(),
        });
    }

    /// It no longer is, or is none of ours any more.
    pub(crate) fn closed(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// Rooms to ask for now, the lowest ids first.
    pub(crate) fn due_rooms(&self, now: u64) -> Vec<RoomId> {
        self.rooms.iter().filter(|(_, gap)| gap.asking.is_none() && gap.due <= now).map(|(room, _)| *room).collect()
    }

    /// When the next room is to be asked for.
    pub(crate) fn due(&self) -> Option<u64> {
        self.rooms.values().filter(|gap| gap.asking.is_none()).map(|gap| gap.due).min()
    }

    /// The room was asked for.
    pub(crate) fn asked(&mut self, room: RoomId, request: RequestId) {
        if let Some(gap) = self.rooms.get_mut(&room) {
            gap.asking = Some(request);
        }
    }

    /// An answer came, or none will. Without progress the next question waits longer and longer.
    pub(crate) fn answered(
        &mut self,
        room: RoomId,
        request: RequestId,
        progress: bool,
        hint: Option<u64>,
        now: u64,
        random: &mut Xoshiro256PlusPlus,
    ) {
        let Some(gap) = self.rooms.get_mut(&room).filter(|gap| gap.asking == Some(request)) else { return };
        gap.asking = None;
        if progress {
            gap.backoff.reset();
            gap.due = now;
        } else {
            gap.due = now.saturating_add(gap.backoff.next_or(hint, random));
        }
    }

    /// The connection is gone: the sync after the next one sees everything.
    pub(crate) fn clear(&mut self) {
        self.rooms.clear();
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_gap_waits_is_asked_once_and_asked_again_when_the_answer_did_not_help() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let room = RoomId::from_bytes([1; 16]);
        let mut gaps = Gaps::default();
        gaps.noticed(room, 1_000);
        gaps.noticed(room, 1_200);
        assert_eq!(gaps.due(), Some(1_000 + GAP_WAIT_MS));
        assert!(gaps.due_rooms(1_000 + GAP_WAIT_MS - 1).is_empty());
        assert_eq!(gaps.due_rooms(1_000 + GAP_WAIT_MS), [room]);
        gaps.asked(room, RequestId(7));
        assert_eq!(gaps.due(), None);
        gaps.answered(room, RequestId(6), true, None, 2_000, &mut random);
        assert_eq!(gaps.due(), None, "an answer to another question");
        gaps.answered(room, RequestId(7), true, None, 2_000, &mut random);
        assert_eq!(gaps.due(), Some(2_000), "there is more");
        gaps.asked(room, RequestId(8));
        gaps.answered(room, RequestId(8), false, Some(9_000), 3_000, &mut random);
        assert_eq!(gaps.due(), Some(12_000));
        gaps.closed(room);
        assert_eq!(gaps.due(), None);
    }
}
