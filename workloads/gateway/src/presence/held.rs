//! Large rooms that have members here, and which of them presence was told of. No I/O, no clock.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use klatch_domain::{RoomId, UserId};

/// A room counts as held for so long after its last member here was gone, milliseconds: who loads a page anew, or loses a
/// line for a moment, changes nothing in Redis.
const LINGER_MS: u64 = 30_000;

/// One room.
#[derive(Debug, Default)]
struct Held {
    /// Members who are connected here.
    members: usize,
    /// Presence was told that it is held.
    told: bool,
    /// Since when it has no members, milliseconds of the timer.
    empty_since_ms: u64,
    /// Its members here were connected before presence was told: something may have gone past them.
    missed: bool,
}

/// How a member was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Before their `welcome`: they sync after it.
    Arriving,
    /// They have been here for a while.
    Connected,
}

#[derive(Debug, Default)]
pub(crate) struct HeldRooms {
    rooms: HashMap<RoomId, Held, RandomState>,
    of: HashMap<UserId, Vec<RoomId>, RandomState>,
    memberships: usize,
    /// Rooms that presence has to be told of.
    untold: Vec<RoomId>,
}

impl HeldRooms {
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Pairs of users and rooms.
    pub(crate) fn memberships(&self) -> usize {
        self.memberships
    }

    pub(crate) fn is_held(&self, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|held| held.members > 0)
    }

    /// These are the user's large rooms, and no others.
    pub(crate) fn learn(&mut self, user: UserId, rooms: Vec<RoomId>, found: Found, now_ms: u64) {
        for room in &rooms {
            self.join(*room, user, found);
        }
        let gone: Vec<_> =
            self.of.get(&user).into_iter().flatten().filter(|room| !rooms.contains(room)).copied().collect();
        for room in gone {
            self.part(room, user, now_ms);
        }
    }

    /// A user who is connected here is in this room.
    pub(crate) fn join(&mut self, room: RoomId, user: UserId, found: Found) {
        let rooms = self.of.entry(user).or_default();
        if rooms.contains(&room) {
            return;
        }
        rooms.push(room);
        self.memberships += 1;
        let held = self.rooms.entry(room).or_default();
        held.members += 1;
        if !held.told {
            held.missed |= found == Found::Connected;
            self.untold.push(room);
        }
    }

    /// A user is in this room no longer, or not connected here any more.
    pub(crate) fn part(&mut self, room: RoomId, user: UserId, now_ms: u64) {
        let Some(rooms) = self.of.get_mut(&user) else { return };
        let Some(place) = rooms.iter().position(|one| *one == room) else { return };
        rooms.swap_remove(place);
        if rooms.is_empty() {
            self.of.remove(&user);
        }
        self.leave(room, now_ms);
    }

    fn leave(&mut self, room: RoomId, now_ms: u64) {
        self.memberships -= 1;
        if let Some(held) = self.rooms.get_mut(&room) {
            held.members -= 1;
            held.empty_since_ms = now_ms;
        }
    }

    /// A user is not connected here any more.
    pub(crate) fn forget(&mut self, user: UserId, now_ms: u64) {
        for room in self.of.remove(&user).unwrap_or_default() {
            self.leave(room, now_ms);
        }
    }

    /// A room is gone for good.
    pub(crate) fn drop_room(&mut self, room: RoomId, now_ms: u64) {
        if !self.is_held(room) {
            return;
        }
        let users: Vec<_> = self.of.iter().filter(|(_, rooms)| rooms.contains(&room)).map(|(user, _)| *user).collect();
        users.into_iter().for_each(|user| self.part(room, user, now_ms));
    }

    pub(crate) fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// What presence has to be told of now.
    pub(crate) fn take_untold(&mut self) -> Vec<RoomId> {
        let mut untold = std::mem::take(&mut self.untold);
        untold.sort_unstable();
        untold.dedup();
        untold.retain(|room| self.rooms.get(room).is_some_and(|held| held.members > 0 && !held.told));
        untold
    }

    /// Presence could not be told of some of these: they are to be told of again, and their members hear what they missed.
    pub(crate) fn not_told(&mut self, rooms: &[RoomId]) {
        for room in rooms {
            if let Some(held) = self.rooms.get_mut(room).filter(|held| !held.told && held.members > 0) {
                held.missed = true;
                self.untold.push(*room);
            }
        }
    }

    /// Presence knows of these. Answers those whose members may have missed something before.
    pub(crate) fn told(&mut self, rooms: &[RoomId]) -> Vec<RoomId> {
        let mut missed = Vec::new();
        for room in rooms {
            if let Some(held) = self.rooms.get_mut(room) {
                held.told = true;
                if std::mem::take(&mut held.missed) {
                    missed.push(*room);
                }
            }
        }
        missed
    }

    /// Presence knows of none: all have to be told again, and something may have gone past all of them.
    pub(crate) fn untell_all(&mut self) {
        for (room, held) in &mut self.rooms {
            held.told = false;
            held.missed |= held.members > 0;
            if held.members > 0 {
                self.untold.push(*room);
            }
        }
        self.rooms.retain(|_, held| held.members > 0);
    }

    /// Rooms without members for long enough. Until [`gave_up`](Self::gave_up) or [`kept`](Self::kept) says what became of
    /// it, whoever joins one makes it a room to be told of.
    pub(crate) fn take_over(&mut self, now_ms: u64) -> Vec<RoomId> {
        let over = |held: &Held| held.members == 0 && now_ms.saturating_sub(held.empty_since_ms) >= LINGER_MS;
        let rooms = self.rooms.iter_mut().filter(|(_, held)| over(held));
        rooms
            .map(|(room, held)| {
                held.told = false;
                *room
            })
            .collect()
    }

    /// Presence knows that these are held no more.
    pub(crate) fn gave_up(&mut self, rooms: &[RoomId]) {
        for room in rooms {
            if self.rooms.get(room).is_some_and(|held| held.members == 0) {
                self.rooms.remove(room);
            }
        }
    }

    /// Presence could not be told: it may still count these as held.
    pub(crate) fn kept(&mut self, rooms: &[RoomId]) {
        for room in rooms {
            if let Some(held) = self.rooms.get_mut(room) {
                held.told = held.members == 0;
            }
        }
    }

    /// Part `part` of `parts` of the rooms presence was told of.
    pub(crate) fn part_of_told(&self, part: usize, parts: usize) -> Vec<RoomId> {
        let told = self.rooms.iter().filter(|(_, held)| held.told && held.members > 0).map(|(room, _)| *room);
        // The last byte of a UUID is random.
        told.filter(|room| usize::from(room.as_bytes()[15]) % parts == part % parts).collect()
    }

    /// Everything is forgotten. Answers what presence counts as held.
    pub(crate) fn clear(&mut self) -> Vec<RoomId> {
        let held = std::mem::take(self);
        held.rooms.into_iter().filter(|(_, held)| held.told).map(|(room, _)| room).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 16])
    }

    fn room(byte: u8) -> RoomId {
        RoomId::from_bytes([byte; 16])
    }

    #[test]
    fn the_first_member_makes_a_room_held_and_the_last_ends_it_after_a_while() {
        let mut held = HeldRooms::default();
        held.learn(user(1), vec![room(1), room(2)], Found::Arriving, 0);
        held.learn(user(2), vec![room(1)], Found::Arriving, 0);
        assert_eq!(held.take_untold(), [room(1), room(2)]);
        assert_eq!(held.told(&[room(1), room(2)]), [], "who arrives syncs after it");
        held.learn(user(3), vec![room(1)], Found::Connected, 0);
        assert_eq!(held.take_untold(), [], "it is held already");
        held.forget(user(1), 1_000);
        held.forget(user(2), 2_000);
        held.forget(user(3), 3_000);
        assert_eq!(held.take_over(1_000 + LINGER_MS), [room(2)]);
        held.gave_up(&[room(2)]);
        // Back within the time: nothing is to be told.
        held.learn(user(1), vec![room(1)], Found::Arriving, 4_000);
        assert_eq!((held.take_untold(), held.take_over(u64::MAX)), (vec![], vec![]));
        assert_eq!((held.len(), held.memberships()), (1, 1));
    }

    #[test]
    fn who_joins_while_a_room_is_given_up_has_it_told_again() {
        let mut held = HeldRooms::default();
        held.join(room(1), user(1), Found::Arriving);
        held.take_untold();
        held.told(&[room(1)]);
        held.part(room(1), user(1), 0);
        assert_eq!(held.take_over(LINGER_MS), [room(1)]);
        held.join(room(1), user(2), Found::Arriving);
        held.gave_up(&[room(1)]);
        assert_eq!(held.take_untold(), [room(1)]);
        // And so it is when giving up has failed: telling twice does no harm.
        held.told(&[room(1)]);
        held.part(room(1), user(2), 0);
        assert_eq!(held.take_over(LINGER_MS), [room(1)]);
        held.join(room(1), user(3), Found::Connected);
        held.kept(&[room(1)]);
        assert_eq!(held.take_untold(), [room(1)]);
        assert_eq!(held.told(&[room(1)]), [room(1)]);
    }

    #[test]
    fn what_could_not_be_told_is_told_again_and_was_missed() {
        let mut held = HeldRooms::default();
        held.learn(user(1), vec![room(1), room(2)], Found::Arriving, 0);
        let untold = held.take_untold();
        held.told(&[room(1)]);
        held.not_told(&untold);
        held.learn(user(1), vec![room(1), room(2)], Found::Connected, 0);
        assert_eq!(held.take_untold(), [room(2)]);
        assert_eq!(held.told(&[room(2)]), [room(2)], "it was let in without");
    }

    #[test]
    fn learning_replaces_what_was_known() {
        let mut held = HeldRooms::default();
        held.learn(user(1), vec![room(1), room(2)], Found::Arriving, 0);
        held.learn(user(1), vec![room(2), room(3)], Found::Connected, 5);
        assert!(!held.is_held(room(1)) && held.is_held(room(2)) && held.is_held(room(3)));
        assert_eq!(held.take_untold(), [room(2), room(3)]);
        assert_eq!(held.told(&[room(2), room(3)]), [room(3)]);
        held.untell_all();
        assert_eq!(held.take_untold(), [room(2), room(3)]);
        assert_eq!(held.told(&[room(2), room(3)]), [room(2), room(3)]);
        let mut given_up = held.clear();
        given_up.sort_unstable();
        assert_eq!(given_up, [room(2), room(3)]);
        assert_eq!((held.len(), held.memberships(), held.has_untold()), (0, 0, false));
    }
}
