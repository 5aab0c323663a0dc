//! The heads of rooms a writer holds in memory: everything the rules ask about a room, so that a command costs no read.

use std::{collections::HashMap, sync::Arc};

use klatch_domain::{Audience, RoomFacts, RoomId, UserId, limits::SMALL_ROOM_MEMBERS};
use lru::LruCache;

/// Members that weigh as much as a room with none: some 500 bytes of facts against 60 bytes a member.
const MEMBERS_A_WEIGHT: usize = 8;

/// A room's facts, and what follows from them often enough to be kept.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) facts: RoomFacts,
    /// The members as events name them; made when first asked for.
    audience: Option<Arc<[UserId]>>,
    /// As counted in `Heads::weight`.
    weight: usize,
}

impl Head {
    pub(crate) fn new(facts: RoomFacts) -> Self {
        Self { facts, audience: None, weight: 0 }
    }

    /// Who may see the room's next event.
    pub(crate) fn audience(&mut self) -> Audience {
        if self.facts.members.len() > SMALL_ROOM_MEMBERS {
            return Audience::Room;
        }
        let members = self.audience.get_or_insert_with(|| self.facts.members.keys().copied().collect());
        Audience::Members(Arc::clone(members))
    }

    /// To be called whenever a member comes or goes.
    pub(crate) fn members_changed(&mut self) {
        self.audience = None;
    }

    fn now_weighs(&self) -> usize {
        1 + self.facts.members.len() / MEMBERS_A_WEIGHT
    }
}

/// Least recently used rooms go first. Bounded by weight, as one group of 100,000 is as large as 12,000 small rooms.
#[derive(Debug)]
pub(crate) struct Heads {
    rooms: LruCache<RoomId, Head>,
    weight: usize,
    limit: usize,
}

impl Heads {
    /// Holds `limit` small rooms.
    pub(crate) fn new(limit: usize) -> Self {
        // Bounded in `trim`; a bound given here would be allocated at once.
        Self { rooms: LruCache::unbounded(), weight: 0, limit }
    }

    pub(crate) fn contains(&self, room: RoomId) -> bool {
        self.rooms.contains(&room)
    }

    pub(crate) fn peek(&self, room: RoomId) -> Option<&RoomFacts> {
        self.rooms.peek(&room).map(|head| &head.facts)
    }

    pub(crate) fn get_mut(&mut self, room: RoomId) -> Option<&mut Head> {
        self.rooms.get_mut(&room)
    }

    /// Keeps what a shard has answered.
    pub(crate) fn keep(&mut self, loaded: HashMap<RoomId, RoomFacts>) {
        for (room, facts) in loaded {
            self.put(room, Head::new(facts));
        }
    }

    pub(crate) fn put(&mut self, room: RoomId, mut head: Head) {
        head.weight = head.now_weighs();
        self.weight += head.weight;
        if let Some(former) = self.rooms.put(room, head) {
            self.weight -= former.weight;
        }
    }

    /// Another view of the room has won, or may have: it is loaded again when next needed.
    pub(crate) fn forget(&mut self, room: RoomId) {
        if let Some(head) = self.rooms.pop(&room) {
            self.weight -= head.weight;
        }
    }

    /// Weighs a room again whose members changed.
    pub(crate) fn weigh(&mut self, room: RoomId) {
        if let Some(head) = self.rooms.peek_mut(&room) {
            let weight = head.now_weighs();
            self.weight = self.weight - head.weight + weight;
            head.weight = weight;
        }
    }

    /// Lets go of the rooms above the bound. Between rounds only: within one, every room of it stays.
    pub(crate) fn trim(&mut self) {
        while self.weight > self.limit {
            let Some((_, head)) = self.rooms.pop_lru() else { break };
            self.weight -= head.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::{Member, Role, RoomKind, Timestamp, Visibility};

    use super::*;

    fn room(members: u8) -> RoomFacts {
        let mut facts = RoomFacts::new(RoomKind::Group, None, Visibility::Private, Timestamp::default());
        for byte in 0..members {
            let member = Member { role: Role::Member, blocking: false, joined_at: Timestamp::default() };
            facts.members.insert(UserId::from_bytes([byte; 16]), member);
        }
        facts
    }

    fn id(byte: u8) -> RoomId {
        RoomId::from_bytes([byte; 16])
    }

    #[test]
    fn the_bound_counts_members_and_the_oldest_go_first() {
        let mut heads = Heads::new(4);
        for byte in 1..=4 {
            heads.put(id(byte), Head::new(room(2)));
        }
        heads.get_mut(id(1));
        heads.put(id(5), Head::new(room(10)));
        heads.trim();
        assert!(heads.contains(id(1)) && heads.contains(id(4)) && heads.contains(id(5)));
        assert!(!heads.contains(id(2)) && !heads.contains(id(3)));

        heads.get_mut(id(1)).unwrap().facts = room(30);
        heads.weigh(id(1));
        heads.trim();
        assert!(heads.contains(id(1)) && !heads.contains(id(4)) && !heads.contains(id(5)));
        heads.forget(id(1));
        assert_eq!(heads.weight, 0);
    }

    #[test]
    fn small_rooms_name_their_members_large_ones_do_not() {
        let mut head = Head::new(room(32));
        let Audience::Members(first) = head.audience() else { panic!("32 members are a small room") };
        assert_eq!(first.len(), 32);
        assert!(matches!(head.audience(), Audience::Members(again) if Arc::ptr_eq(&first, &again)));
        head.facts = room(33);
        head.members_changed();
        assert_eq!(head.audience(), Audience::Room);
    }
}
