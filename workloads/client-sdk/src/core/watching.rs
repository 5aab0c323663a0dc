//! What the user looks at; a new connection is told again.

use std::collections::{BTreeMap, BTreeSet};

use klatch_domain::{RoomId, UserId};
use klatch_protocol::{ClientFrame, SignalOut, Watch};

use super::settings::{TYPING_EVERY_MS, WATCHED_ROOMS, WATCHED_USERS};

#[derive(Debug, Clone, Default)]
pub(crate) struct Watching {
    rooms: BTreeSet<RoomId>,
    presence: BTreeSet<UserId>,
    typing: BTreeMap<RoomId, u64>,
}

impl Watching {
    /// Adds; answers what is new. Beyond the bounds nothing is added.
    pub(crate) fn add(&mut self, watch: Watch) -> Option<ClientFrame> {
        let rooms = watch.rooms.into_iter().filter(|room| self.rooms.len() < WATCHED_ROOMS && self.rooms.insert(*room));
        let rooms: Vec<RoomId> = rooms.collect();
        let presence = watch
            .presence
            .into_iter()
            .filter(|user| self.presence.len() < WATCHED_USERS && self.presence.insert(*user));
        let presence: Vec<UserId> = presence.collect();
        (!rooms.is_empty() || !presence.is_empty()).then_some(ClientFrame::Watch(Watch { rooms, presence }))
    }

    /// Removes; answers what was there.
    pub(crate) fn remove(&mut self, watch: Watch) -> Option<ClientFrame> {
        let rooms: Vec<RoomId> = watch.rooms.into_iter().filter(|room| self.rooms.remove(room)).collect();
        let presence: Vec<UserId> = watch.presence.into_iter().filter(|user| self.presence.remove(user)).collect();
        (!rooms.is_empty() || !presence.is_empty()).then_some(ClientFrame::Unwatch(Watch { rooms, presence }))
    }

    /// The room is none of ours any more.
    pub(crate) fn forget(&mut self, room: RoomId) {
        self.rooms.remove(&room);
        self.typing.remove(&room);
    }

    /// Everything, for a new connection.
    pub(crate) fn all(&self) -> Option<ClientFrame> {
        let watch =
            Watch { rooms: self.rooms.iter().copied().collect(), presence: self.presence.iter().copied().collect() };
        (watch != Watch::default()).then_some(ClientFrame::Watch(watch))
    }

    /// Whether this signal goes out: a key a thumb presses is not a frame.
    pub(crate) fn may_signal(&mut self, signal: &SignalOut, now: u64) -> bool {
        if &*signal.kind != "typing" {
            return true;
        }
        self.typing.retain(|_, at| at.saturating_add(TYPING_EVERY_MS) > now);
        let quiet = !self.typing.contains_key(&signal.room);
        if quiet {
            self.typing.insert(signal.room, now);
        }
        quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_connection_is_told_what_is_still_watched_and_typing_is_thinned() {
        let [one, two] = [1, 2].map(|byte| RoomId::from_bytes([byte; 16]));
        let rooms = |rooms: &[RoomId]| Watch { rooms: rooms.to_vec(), presence: Vec::new() };
        let mut watching = Watching::default();
        assert_eq!(watching.all(), None);
        assert_eq!(watching.add(rooms(&[one, two])), Some(ClientFrame::Watch(rooms(&[one, two]))));
        assert_eq!(watching.add(rooms(&[one])), None);
        assert_eq!(watching.remove(rooms(&[one])), Some(ClientFrame::Unwatch(rooms(&[one]))));
        assert_eq!(watching.all(), Some(ClientFrame::Watch(rooms(&[two]))));

        let typing = SignalOut { room: two, kind: "typing".into(), payload: None, ttl_ms: None };
        assert!(watching.may_signal(&typing, 0));
        assert!(!watching.may_signal(&typing, TYPING_EVERY_MS - 1));
        assert!(watching.may_signal(&typing, TYPING_EVERY_MS));
    }
}
