//! The unsettled sends of one connection, and which of its rooms wait for a failed one. Keeps what every path feeds a room a
//! gapless prefix of what the client sent.

use std::collections::VecDeque;

use klatch_domain::{MessageId, RoomId};

/// Unsettled sends of one connection even when limits are lifted: 40 bytes each.
const MOST_IN_FLIGHT: usize = 16_384;
/// Rooms of one connection that wait for a failed send: a client with more has long stopped listening.
const MOST_BLOCKED: usize = 1_024;

/// A send that was passed on and is not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) message_id: MessageId,
    pub(crate) room: RoomId,
    /// Its place among the connection's sends.
    number: u32,
    since_seconds: u32,
}

/// Nothing of this room passes until this send comes again.
#[derive(Debug, Clone, Copy)]
struct Blocked {
    room: RoomId,
    message_id: MessageId,
    number: u32,
}

/// How a send goes on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// The preceding unsettled send of the room.
    pub(crate) after: Option<MessageId>,
    /// It was unsettled already.
    pub(crate) repeat: bool,
}

/// More unsettled sends, or waiting rooms, than one connection may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// In order of sending.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    next: u32,
    in_flight: VecDeque<InFlight>,
    blocked: Vec<Blocked>,
}

impl Sends {
    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.blocked.is_empty()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The room waits for another send than this one.
    pub(crate) fn waits_for_another(&self, room: RoomId, message_id: MessageId) -> bool {
        self.blocked.iter().any(|blocked| blocked.room == room && blocked.message_id != message_id)
    }

    pub(crate) fn is_in_flight(&self, room: RoomId, message_id: MessageId) -> bool {
        self.find(room, message_id).is_some()
    }

    fn find(&self, room: RoomId, message_id: MessageId) -> Option<usize> {
        // Outcomes come in order of sending, so what is looked for stands near the front.
        self.in_flight.iter().position(|sent| sent.message_id == message_id && sent.room == room)
    }

    /// Notes a send that is passed on.
    pub(crate) fn begin(&mut self, room: RoomId, message_id: MessageId, now_seconds: u32) -> Result<Begun, TooMany> {
        let known = self.find(room, message_id);
        let before = known.unwrap_or(self.in_flight.len());
        let after = self.in_flight.iter().take(before).rev().find(|sent| sent.room == room).map(|sent| sent.message_id);
        if known.is_none() {
            if self.in_flight.len() >= MOST_IN_FLIGHT {
                return Err(TooMany);
            }
            let number = self.number();
            self.in_flight.push_back(InFlight { message_id, room, number, since_seconds: now_seconds });
        }
        self.unblock(room, message_id);
        Ok(Begun { after, repeat: known.is_some() })
    }

    fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// It is in the log, or refused for good. Answers whether it was unsettled.
    pub(crate) fn settle(&mut self, room: RoomId, message_id: MessageId) -> bool {
        self.unblock(room, message_id);
        self.take(room, message_id).is_some()
    }

    fn take(&mut self, room: RoomId, message_id: MessageId) -> Option<InFlight> {
        let index = self.find(room, message_id)?;
        let taken = self.in_flight.remove(index);
        if self.in_flight.is_empty() {
            self.in_flight = VecDeque::new();
        }
        taken
    }

    /// It was refused, but may come again: until then nothing later of the room passes. Answers whether it was unsettled.
    pub(crate) fn fail(&mut self, room: RoomId, message_id: MessageId) -> Result<bool, TooMany> {
        let taken = self.take(room, message_id);
        let number = match taken {
            Some(sent) => sent.number,
            None => self.number(),
        };
        let failed = Blocked { room, message_id, number };
        if let Some(blocked) = self.blocked.iter_mut().find(|blocked| blocked.room == room) {
            // The earliest failed one comes again first. Numbers wrap around.
            if number.wrapping_sub(blocked.number) > u32::MAX / 2 {
                *blocked = failed;
            }
        } else if self.blocked.len() < MOST_BLOCKED {
            self.blocked.push(failed);
        } else {
            return Err(TooMany);
        }
        Ok(taken.is_some())
    }

    /// The room waits for a failed send.
    pub(crate) fn is_blocked(&self, room: RoomId) -> bool {
        self.blocked.iter().any(|blocked| blocked.room == room)
    }

    fn unblock(&mut self, room: RoomId, message_id: MessageId) {
        if let Some(index) =
            self.blocked.iter().position(|blocked| blocked.room == room && blocked.message_id == message_id)
        {
            self.blocked.swap_remove(index);
        }
    }

    /// Sends without an outcome since `until_seconds` or longer, in order of sending.
    pub(crate) fn overdue(&self, until_seconds: u32) -> Vec<(RoomId, MessageId)> {
        self.in_flight
            .iter()
            .take_while(|sent| sent.since_seconds <= until_seconds)
            .map(|sent| (sent.room, sent.message_id))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (RoomId, [MessageId; 4]) {
        (RoomId::from_bytes([9; 16]), [1, 2, 3, 4].map(|byte| MessageId::from_bytes([byte; 16])))
    }

    #[test]
    fn each_names_its_unsettled_predecessor_in_the_room() {
        let (room, [one, two, three, other]) = ids();
        let elsewhere = RoomId::from_bytes([8; 16]);
        let mut sends = Sends::default();
        let begin = |sends: &mut Sends, room, id| sends.begin(room, id, 0).unwrap();
        assert_eq!(begin(&mut sends, room, one), Begun { after: None, repeat: false });
        assert_eq!(begin(&mut sends, elsewhere, other), Begun { after: None, repeat: false });
        assert_eq!(begin(&mut sends, room, two), Begun { after: Some(one), repeat: false });
        // A repeat keeps its place.
        assert_eq!(begin(&mut sends, room, one), Begun { after: None, repeat: true });
        assert_eq!(begin(&mut sends, room, two), Begun { after: Some(one), repeat: true });
        assert!(sends.settle(room, one));
        assert!(!sends.settle(room, one));
        assert_eq!(begin(&mut sends, room, three), Begun { after: Some(two), repeat: false });
    }

    #[test]
    fn a_failed_send_blocks_its_room_until_it_comes_again() {
        let (room, [one, two, three, _]) = ids();
        let elsewhere = RoomId::from_bytes([8; 16]);
        let mut sends = Sends::default();
        for id in [one, two] {
            sends.begin(room, id, 0).unwrap();
        }
        // Outcomes may come in the wrong order: the earliest is what the room waits for.
        assert_eq!(sends.fail(room, two), Ok(true));
        assert_eq!(sends.fail(room, one), Ok(true));
        assert_eq!(sends.fail(room, three), Ok(false));
        assert!(sends.waits_for_another(room, two));
        assert!(!sends.waits_for_another(elsewhere, two));
        assert!(!sends.waits_for_another(room, one));
        sends.begin(room, one, 0).unwrap();
        assert!(!sends.waits_for_another(room, two));
    }

    #[test]
    fn a_send_that_was_stored_after_all_blocks_nothing() {
        let (room, [one, two, ..]) = ids();
        let mut sends = Sends::default();
        sends.begin(room, one, 0).unwrap();
        sends.fail(room, one).unwrap();
        assert!(sends.is_blocked(room));
        assert!(!sends.settle(room, one));
        assert!(!sends.waits_for_another(room, two));
        assert!(sends.is_empty());
    }

    #[test]
    fn what_one_connection_may_leave_open_is_bounded() {
        let mut sends = Sends::default();
        let id = |number: usize| MessageId::from_bytes((number as u128).to_be_bytes());
        let room = |number: usize| RoomId::from_bytes((number as u128).to_be_bytes());
        for number in 0..MOST_BLOCKED {
            sends.fail(room(number), id(number)).unwrap();
        }
        assert_eq!(sends.fail(room(MOST_BLOCKED), id(0)), Err(TooMany));
        for number in 0..MOST_IN_FLIGHT {
            sends.begin(room(0), id(number), number as u32).unwrap();
        }
        assert_eq!(sends.begin(room(0), id(MOST_IN_FLIGHT), 0), Err(TooMany));
        assert_eq!(sends.overdue(9).len(), 10);
    }
}
