//! Members of rooms by version, the rooms used last.

use std::sync::Arc;

use foldhash::fast::RandomState;
use klatch_domain::{RoomId, Seq, UserId, limits::SMALL_ROOM_MEMBERS};
use lru::LruCache;

use super::Head;
use crate::{connection::Connection, registry::Registry};

/// Rooms that are known at once: some 200 bytes each beside their members.
const ROOMS: usize = 20_000;
/// Members that are known at once, over all rooms: 16 bytes each, 64 MB. One room of the largest size always fits.
const MEMBERS: usize = 4_000_000;

struct Room {
    /// Of the members held; [`Seq::ZERO`] when none are.
    version: Seq,
    /// The newest version heard of.
    heard: Seq,
    members: Arc<[UserId]>,
    /// Where the log ends, as far as it was seen here.
    head: Option<Head>,
    local: Option<Local>,
}

/// The members' connections here, as of a stamp of the registry.
struct Local {
    stamp: u64,
    connections: Arc<[Arc<Connection>]>,
}

pub(super) struct Cache {
    rooms: LruCache<RoomId, Room, RandomState>,
    members: usize,
}

impl Default for Cache {
    fn default() -> Self {
        // Bounded in `learn`; a bound given here would be allocated at once.
        Self { rooms: LruCache::unbounded_with_hasher(RandomState::default()), members: 0 }
    }
}

/// Large lists are in order of their ids; small ones need not be.
pub(super) fn contains(members: &[UserId], user: UserId) -> bool {
    if members.len() <= SMALL_ROOM_MEMBERS { members.contains(&user) } else { members.binary_search(&user).is_ok() }
}

impl Cache {
    pub(super) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.iter().map(|(room, _)| *room)
    }

    /// Takes a membership, unless a newer one is known. Answers whether it is news.
    pub(super) fn learn(&mut self, room: RoomId, version: Seq, members: &Arc<[UserId]>) -> bool {
        if let Some(known) = self.rooms.get_mut(&room) {
            if known.version >= version {
                return false;
            }
            self.members -= known.members.len();
            known.version = version;
            known.heard = known.heard.max(version);
            known.members = Arc::clone(members);
            known.local = None;
        } else {
            let known = Room { version, heard: version, members: Arc::clone(members), head: None, local: None };
            self.rooms.put(room, known);
        }
        self.members += members.len();
        while self.rooms.len() > 1 && (self.rooms.len() > ROOMS || self.members > MEMBERS) {
            if let Some((_, dropped)) = self.rooms.pop_lru() {
                self.members -= dropped.members.len();
            }
        }
        true
    }

    /// There is a newer membership than what is known.
    pub(super) fn outdate(&mut self, room: RoomId, version: Seq) {
        if let Some(known) = self.rooms.peek_mut(&room) {
            known.heard = known.heard.max(version);
        }
    }

    pub(super) fn see(&mut self, room: RoomId, head: Head) {
        if let Some(known) = self.rooms.get_mut(&room) {
            known.head = Some(known.head.map_or(head, |seen| if seen.0 < head.0 { head } else { seen }));
        }
    }

    pub(super) fn head(&self, room: RoomId) -> Option<Head> {
        self.rooms.peek(&room)?.head
    }

    /// The members known are those of this version or of a newer one.
    pub(super) fn reaches(&mut self, room: RoomId, version: Seq) -> bool {
        self.rooms.get(&room).is_some_and(|known| known.version >= version)
    }

    /// `None` when the members are not known, or a newer membership was heard of.
    pub(super) fn is_member(&self, room: RoomId, user: UserId) -> Option<bool> {
        let known = self.rooms.peek(&room)?;
        (known.version >= known.heard).then(|| contains(&known.members, user))
    }

    /// The members' connections here.
    pub(super) fn local(&mut self, room: RoomId, registry: &Registry) -> Option<Arc<[Arc<Connection>]>> {
        let known = self.rooms.get_mut(&room)?;
        let stamp = registry.stamp();
        if let Some(local) = &known.local
            && local.stamp == stamp
        {
            return Some(Arc::clone(&local.connections));
        }
        let connections = registry.connections_among(&known.members);
        known.local = Some(Local { stamp, connections: Arc::clone(&connections) });
        Some(connections)
    }

    pub(super) fn forget(&mut self, room: RoomId) {
        if let Some(known) = self.rooms.pop(&room) {
            self.members -= known.members.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 16])
    }

    #[test]
    fn an_older_membership_never_replaces_a_newer_one() {
        let (mut cache, room) = (Cache::default(), RoomId::from_bytes([7; 16]));
        assert_eq!(cache.is_member(room, user(1)), None);
        assert!(cache.learn(room, Seq(5), &Arc::from([user(1)])));
        assert!(!cache.learn(room, Seq(4), &Arc::from([user(2)])));
        assert_eq!(cache.is_member(room, user(1)), Some(true));
        assert_eq!(cache.is_member(room, user(2)), Some(false));
        cache.outdate(room, Seq(6));
        assert_eq!(cache.is_member(room, user(1)), None);
        assert!(!cache.reaches(room, Seq(6)));
        assert!(cache.learn(room, Seq(6), &Arc::from([user(2)])));
        assert_eq!(cache.is_member(room, user(1)), Some(false));
    }

    #[test]
    fn the_rooms_used_last_are_kept() {
        let mut cache = Cache::default();
        let room = |number: usize| RoomId::from_bytes((number as u128).to_be_bytes());
        let members: Arc<[UserId]> = Arc::from([user(1), user(2)]);
        for number in 0..=ROOMS {
            cache.learn(room(number), Seq(1), &members);
            cache.see(room(0), (klatch_domain::Position::first(1), klatch_domain::Ordinal(1)));
        }
        assert_eq!((cache.len(), cache.members), (ROOMS, 2 * ROOMS));
        assert_eq!(cache.is_member(room(0), user(1)), Some(true));
        assert_eq!(cache.is_member(room(1), user(1)), None);
        let many: Arc<[UserId]> =
            (0..MEMBERS).map(|number| UserId::from_bytes((number as u128).to_be_bytes())).collect();
        cache.learn(room(ROOMS), Seq(2), &many);
        assert_eq!((cache.len(), cache.members), (1, MEMBERS));
    }
}
