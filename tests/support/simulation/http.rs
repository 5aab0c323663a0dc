//! The API's answers, and the calls that get none.

use klatch_client_sdk::core::{Failure, Input, ListedRoom, Output, Part, RequestId};
use klatch_domain::{Code, Position, RoomId, Seq, UserId};
use klatch_protocol::http::{SyncAnswer, SyncRequest, SyncRoomAnswer};
use rand::RngExt;

use super::model::Log;
use super::world::{Event, World};

/// Rooms a page of the list holds: small, so that there are pages.
const ROOMS_PAGE: usize = 2;
/// A call that nobody answers is given up after this, milliseconds.
const CALL_WAIT_MS: u64 = 40_000;

/// A call on its way.
pub(super) enum Call {
    Token,
    Rooms { request: RequestId, token: u64, after: Option<String> },
    Sync { request: RequestId, token: u64, body: SyncRequest },
    History { request: RequestId, token: u64, room: RoomId, part: Part, limit: usize },
}

impl Call {
    fn failed(&self, failure: Failure) -> Input {
        match self {
            Self::Token => Input::RefreshFailed(failure),
            Self::Rooms { request, .. } | Self::Sync { request, .. } | Self::History { request, .. } => {
                Input::RequestFailed { request: *request, failure }
            }
        }
    }

    fn token(&self) -> Option<u64> {
        match self {
            Self::Token => None,
            Self::Rooms { token, .. } | Self::Sync { token, .. } | Self::History { token, .. } => Some(*token),
        }
    }
}

impl World {
    /// A client calls the API.
    pub(super) fn call(&mut self, who: usize, output: Output) {
        let Some(person) = self.people.get(who) else { return };
        let (life, token) = (person.life, person.token_until);
        let call = match output {
            Output::RefreshToken => Call::Token,
            Output::RequestRooms { request, after } => Call::Rooms { request, token, after },
            Output::RequestSync { request, body } => Call::Sync { request, token, body },
            Output::RequestHistory { request, room, part, limit } => {
                Call::History { request, token, room, part, limit }
            }
            _ => return,
        };
        let latency = self.latency();
        if self.goes_wrong(self.plan.fail_call) {
            self.report.mangled += 1;
            let (wait, hint) = match self.random.random_range(0..3) {
                0 => (CALL_WAIT_MS, None),
                1 => (latency, Some(self.random.random_range(100..=3_000))),
                _ => (latency, None),
            };
            let code = hint.map(|_| Code::Busy);
            let input = Box::new(call.failed(Failure { code, retry_after_ms: hint }));
            return self.after(wait, Event::Answer { who, life, input });
        }
        self.after(latency, Event::Call { who, life, call: Box::new(call) });
    }

    pub(super) fn answer_call(&mut self, who: usize, life: u64, call: Call) -> Result<(), String> {
        let Some(person) = self.people.get(who) else { return Ok(()) };
        let (user, inbox) = (person.user, person.inbox);
        let expired = call.token().is_some_and(|until| until <= self.now);
        let latency = self.latency();
        let input = if expired {
            call.failed(Failure { code: Some(Code::TokenExpired), retry_after_ms: None })
        } else if self.goes_wrong(self.plan.fail_call * 0.3) {
            // Done, but the answer is lost.
            let input = Box::new(call.failed(Failure::default()));
            self.after(CALL_WAIT_MS, Event::Answer { who, life, input });
            return Ok(());
        } else {
            self.answer_to(who, user, inbox, call)
        };
        self.after(latency, Event::Answer { who, life, input: Box::new(input) });
        Ok(())
    }

    fn answer_to(&mut self, who: usize, user: UserId, inbox: RoomId, call: Call) -> Input {
        match call {
            Call::Token => {
                let until = self.now + self.plan.token_ms;
                if let Some(person) = self.people.get_mut(who) {
                    person.token_until = until;
                }
                Input::TokenRefreshed { access_token: until.to_string(), lives_ms: self.plan.token_ms }
            }
            Call::Rooms { request, after, .. } => {
                let after: Option<RoomId> = after.and_then(|after| after.parse().ok());
                let theirs = |(room, log): &(&RoomId, &Log)| {
                    is_room(**room) && log.members.contains(&user) && after.is_none_or(|after| **room > after)
                };
                let listed = |(room, log): (&RoomId, &Log)| ListedRoom {
                    room: *room,
                    head: log.head(),
                    members: log.members.len() as u64,
                };
                let mut rooms: Vec<ListedRoom> = self.model.logs.iter().filter(theirs).map(listed).collect();
                let more = rooms.len() > ROOMS_PAGE;
                rooms.truncate(ROOMS_PAGE);
                let next = rooms.last().filter(|_| more).map(|last| last.room.to_string());
                Input::RoomsAnswer { request, rooms, next }
            }
            Call::Sync { request, body, .. } => {
                let limit = body.limit.unwrap_or(50).min(self.plan.page);
                let rooms = body.rooms.iter().map(|asked| self.sync_log(asked.room, asked.position, limit, user));
                let rooms = rooms.collect();
                let inbox = body.inbox.map(|position| self.sync_log(inbox, position, limit, user));
                Input::SyncAnswer { request, answer: SyncAnswer { rooms, inbox } }
            }
            Call::History { request, room, part, limit, .. } => {
                let log = self.model.log(room);
                if !log.members.contains(&user) {
                    let failure = Failure { code: Some(Code::RoomNotFound), retry_after_ms: None };
                    return Input::RequestFailed { request, failure };
                }
                let limit = limit.min(self.plan.page);
                let (entries, more) = match part {
                    Part::After(seq) => self.model.log(room).after(seq, limit, user),
                    Part::Before(seq) => self.model.log(room).before(seq, limit, user),
                };
                Input::HistoryAnswer { request, entries, more }
            }
        }
    }

    fn sync_log(&mut self, room: RoomId, position: Position, limit: usize, user: UserId) -> SyncRoomAnswer {
        let log = self.model.log(room);
        let mut answer = SyncRoomAnswer {
            room,
            head: None,
            head_ordinal: None,
            entries: None,
            more: None,
            reset: false,
            error: None,
        };
        if !log.members.contains(&user) {
            answer.error = Some(Code::RoomNotFound);
            return answer;
        }
        answer.reset = position.generation.0 != 0 && position.generation != log.generation;
        let after = if answer.reset { Seq::ZERO } else { position.seq };
        let (entries, more) = log.after(after, limit, user);
        answer.head = Some(log.head());
        answer.head_ordinal = Some(log.head_ordinal());
        answer.entries = Some(entries);
        answer.more = Some(more);
        answer
    }
}

/// Not an inbox.
pub(super) fn is_room(room: RoomId) -> bool {
    room.as_bytes()[0] == 2
}
