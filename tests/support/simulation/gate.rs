//! Gateways: what they promise, and how they may fail within it.
//!
//! They hold to the wire contract and no better: after a retryable refusal a room's later sends of that connection are
//! refused until that very id comes again; pushing is at most once; answers may be lost with whoever had to give them.

use std::collections::BTreeMap;

use klatch_client_sdk::core::Input;
use klatch_domain::{Code, MessageId, Refusal, RoomId, SessionId, UserId};
use klatch_protocol::{Accepted, Busy, ClientFrame, Limits, Refused, Resumed, Send, ServerFrame, Welcome, close};
use rand::RngExt;

use super::ids;
use super::world::{Command, Delivery, Event, World};

/// The pace gateways ping at, milliseconds.
const HEARTBEAT_MS: u64 = 30_000;
/// A command that waits for the one before it is refused after this, milliseconds.
const PATIENCE_MS: u64 = 1_000;
/// A send without an outcome is given up after this, milliseconds.
const OVERDUE_MS: u64 = 60_000;

/// One gateway.
#[derive(Debug, Clone, Default)]
pub(super) struct Gateway {
    /// It takes no connection before this.
    pub(super) down_until: u64,
}

/// One connection as its gateway sees it.
pub(super) struct Connection {
    pub(super) who: usize,
    pub(super) gateway: usize,
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) greeted: bool,
    pub(super) live: bool,
    /// The network carries nothing any more, the gateway does not know yet.
    pub(super) severed: bool,
    closed: bool,
    token_until: u64,
    /// Nothing overtakes anything within one socket.
    down_at: u64,
    up_at: u64,
    /// Refused for the time being: until this id comes, the room takes nothing. Of several the earliest.
    pub(super) blocked: BTreeMap<RoomId, (u64, MessageId)>,
    /// All that were refused for the time being and have not come again, in order.
    pub(super) failed: BTreeMap<RoomId, BTreeMap<u64, MessageId>>,
    /// The order in which sends came, the last time each did.
    numbers: BTreeMap<MessageId, u64>,
    sends: u64,
    /// Published, without an outcome yet, in order.
    pub(super) unsettled: BTreeMap<RoomId, Vec<(MessageId, u64)>>,
    watermarks: BTreeMap<RoomId, klatch_domain::Position>,
}

impl Connection {
    /// A send that did not pass must come again first, and what was sent after it again after it: that counts as sent no
    /// more, nor does what becomes of it.
    pub(super) fn fail(&mut self, room: RoomId, message_id: MessageId) {
        if let Some(unsettled) = self.unsettled.get_mut(&room)
            && let Some(place) = unsettled.iter().position(|(id, _)| *id == message_id)
        {
            unsettled.truncate(place);
        }
        let number = self.turn_away(room, message_id);
        let earliest = self.blocked.entry(room).or_insert((number, message_id));
        *earliest = (*earliest).min((number, message_id));
    }

    /// Remembers that it has to come again.
    fn turn_away(&mut self, room: RoomId, message_id: MessageId) -> u64 {
        let next = self.sends + 1;
        let number = *self.numbers.entry(message_id).or_insert(next);
        self.sends = self.sends.max(number);
        self.failed.entry(room).or_default().insert(number, message_id);
        number
    }

    /// It takes its place behind all that came before.
    fn comes(&mut self, room: RoomId, message_id: MessageId) {
        self.is_back(room, message_id);
        self.sends += 1;
        self.numbers.insert(message_id, self.sends);
    }

    /// It came again, or has no need to.
    pub(super) fn is_back(&mut self, room: RoomId, message_id: MessageId) {
        if let Some(number) = self.numbers.remove(&message_id)
            && let Some(failed) = self.failed.get_mut(&room)
        {
            failed.remove(&number);
        }
    }

    /// Whether it was sent and has no outcome.
    pub(super) fn is_unsettled(&self, room: RoomId, message_id: MessageId) -> bool {
        self.unsettled.get(&room).is_some_and(|sent| sent.iter().any(|(id, _)| *id == message_id))
    }

    fn in_flight(&self) -> usize {
        self.unsettled.values().map(Vec::len).sum()
    }
}

impl World {
    pub(super) fn open_socket(&mut self, who: usize) -> Result<(), String> {
        let Some(person) = self.people.get(who) else { return Ok(()) };
        if person.socket.is_some() {
            return Err("a second socket".to_owned());
        }
        let connection = Connection {
            who,
            gateway: self.random.random_range(0..self.gateways.len()),
            user: person.user,
            session: person.session,
            greeted: false,
            live: false,
            severed: false,
            closed: false,
            token_until: 0,
            down_at: 0,
            up_at: 0,
            blocked: BTreeMap::new(),
            failed: BTreeMap::new(),
            numbers: BTreeMap::new(),
            sends: 0,
            unsettled: BTreeMap::new(),
            watermarks: BTreeMap::new(),
        };
        self.connections.push(connection);
        let connection = self.connections.len() - 1;
        if let Some(person) = self.people.get_mut(who) {
            person.socket = Some(connection);
            person.socket_is_open = false;
        }
        let latency = self.latency();
        self.after(latency, Event::Arrive { connection });
        Ok(())
    }

    pub(super) fn arrive(&mut self, connection: usize) -> Result<(), String> {
        let Some(there) = self.connections.get(connection).filter(|there| !there.severed) else { return Ok(()) };
        let down = self.gateways.get(there.gateway).is_some_and(|gateway| gateway.down_until > self.now);
        if down {
            let retry_after_ms = self.random.random_bool(0.3).then_some(1_000);
            self.send_down(connection, Delivery::Closed { code: None, retry_after_ms });
        } else {
            self.send_down(connection, Delivery::Opened);
        }
        Ok(())
    }

    /// Puts something on the way to a client; the socket keeps the order.
    pub(super) fn send_down(&mut self, connection: usize, what: Delivery) {
        let latency = self.latency();
        let at = self.now + latency;
        let Some(there) = self.connections.get_mut(connection).filter(|there| !there.severed) else { return };
        there.down_at = there.down_at.max(at);
        let at = there.down_at;
        self.at(at, Event::ToClient { connection, what });
    }

    pub(super) fn send_frame(&mut self, connection: usize, frame: ServerFrame) {
        self.send_down(connection, Delivery::Frame(Box::new(frame)));
    }

    /// Puts frames on the way to a gateway; the socket keeps the order.
    pub(super) fn send_up(&mut self, connection: usize, frames: Vec<ClientFrame>) {
        let latency = self.latency();
        let at = self.now + latency;
        let Some(there) = self.connections.get_mut(connection).filter(|there| !there.severed) else { return };
        there.up_at = there.up_at.max(at);
        let at = there.up_at;
        self.at(at, Event::FromClient { connection, frames });
    }

    /// Something comes out of a client's socket.
    pub(super) fn deliver(&mut self, connection: usize, what: Delivery) -> Result<(), String> {
        let Some(there) = self.connections.get(connection).filter(|there| !there.severed) else { return Ok(()) };
        let who = there.who;
        let Some(person) = self.people.get_mut(who).filter(|person| person.socket == Some(connection)) else {
            return Ok(());
        };
        match what {
            Delivery::Opened => {
                person.socket_is_open = true;
                self.tell(who, Input::Connected)
            }
            Delivery::Frame(frame) => self.tell(who, Input::Frame(frame)),
            Delivery::Ping => self.tell(who, Input::Heard),
            Delivery::Closed { code, retry_after_ms } => {
                person.socket = None;
                person.socket_is_open = false;
                self.tell(who, Input::Disconnected { code, retry_after_ms })
            }
        }
    }

    /// The gateway closes: what it still knew of this connection is gone.
    pub(super) fn close_with(&mut self, connection: usize, code: Option<u16>) {
        self.send_down(connection, Delivery::Closed { code, retry_after_ms: None });
        if let Some(there) = self.connections.get_mut(connection) {
            there.live = false;
            there.closed = true;
        }
    }

    /// The client has closed, or is gone.
    pub(super) fn close(&mut self, connection: usize) -> Result<(), String> {
        if let Some(there) = self.connections.get_mut(connection) {
            there.live = false;
            there.closed = true;
        }
        Ok(())
    }

    pub(super) fn ping(&mut self, connection: usize) -> Result<(), String> {
        let Some(there) = self.connections.get(connection).filter(|there| there.live) else { return Ok(()) };
        if there.token_until <= self.now {
            self.close_with(connection, Some(close::TOKEN_EXPIRED));
            return Ok(());
        }
        self.give_up_overdue(connection);
        self.send_down(connection, Delivery::Ping);
        self.after(HEARTBEAT_MS, Event::Ping { connection });
        Ok(())
    }

    /// Sends that nobody answered are refused for the time being, the earliest of a room first.
    fn give_up_overdue(&mut self, connection: usize) {
        let Some(there) = self.connections.get(connection) else { return };
        let overdue = |sent: &Vec<(MessageId, u64)>| {
            sent.first().filter(|(_, since)| since.saturating_add(OVERDUE_MS) <= self.now).map(|(id, _)| *id)
        };
        let given_up: Vec<(RoomId, MessageId)> =
            there.unsettled.iter().filter_map(|(room, sent)| Some((*room, overdue(sent)?))).collect();
        for (room, message_id) in given_up {
            let refusal = Refusal::retryable(Code::Busy, "nobody answered", 100);
            self.give_outcome(connection, room, message_id, Err(refusal));
        }
    }

    pub(super) fn receive(&mut self, connection: usize, frames: Vec<ClientFrame>) -> Result<(), String> {
        for frame in frames {
            let Some(there) = self.connections.get(connection).filter(|there| !there.closed) else { return Ok(()) };
            match frame {
                ClientFrame::Hello(hello) if !there.greeted => self.greet(connection, &hello.token),
                _ if !there.greeted => return Err("a frame before hello".to_owned()),
                ClientFrame::Hello(_) => return Err("hello twice".to_owned()),
                _ if !there.live => return Err("a frame before welcome".to_owned()),
                ClientFrame::Refresh(refresh) => {
                    let until = token_until(&refresh.token);
                    if let Some(there) = self.connections.get_mut(connection) {
                        there.token_until = there.token_until.max(until);
                    }
                }
                ClientFrame::Send(send) => self.take_send(connection, send),
                ClientFrame::Watermark(mark) => self.take_watermark(connection, &mark)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn greet(&mut self, connection: usize, token: &str) {
        let until = token_until(token);
        if until <= self.now {
            return self.close_with(connection, Some(close::TOKEN_EXPIRED));
        }
        let Some(there) = self.connections.get_mut(connection) else { return };
        (there.greeted, there.live, there.token_until) = (true, true, until);
        let who = there.who;
        self.report.connections += 1;
        let Some(person) = self.people.get(who) else { return };
        let welcome = Welcome {
            connection: ids::connection(connection as u64),
            session: person.session,
            user: person.user,
            inbox: person.inbox,
            server_time: self.service_time(),
            heartbeat_ms: HEARTBEAT_MS,
            limits: Limits {
                frame_bytes: 65_536,
                content_bytes: 32_768,
                in_flight: self.plan.in_flight,
                sends_per_second: self.plan.sends_per_second,
            },
            resumed: Resumed::None,
        };
        self.send_frame(connection, ServerFrame::Welcome(welcome));
        self.after(HEARTBEAT_MS, Event::Ping { connection });
    }

    fn take_watermark(&mut self, connection: usize, mark: &klatch_protocol::WatermarkOut) -> Result<(), String> {
        let head = self.model.log(mark.room).head();
        let Some(there) = self.connections.get_mut(connection) else { return Ok(()) };
        // Who was away, or whose log was replaced, may start reading anew; the service takes the greatest.
        let Some(read) = mark.read.filter(|_| !self.unsteady.contains(&mark.room)) else { return Ok(()) };
        let before = there.watermarks.entry(mark.room).or_default();
        if read < *before || (read.generation == head.generation && read > head) {
            return Err(format!("read moved from {before:?} to {read:?}, the head is {head:?}"));
        }
        *before = read;
        Ok(())
    }

    fn take_send(&mut self, connection: usize, send: Send) {
        let (room, message_id) = (send.room, send.message_id);
        let (refuse, unknown) = (self.goes_wrong(self.plan.refuse), self.goes_wrong(self.plan.unknown));
        let wait = self.random.random_range(20..=2_000);
        let in_flight_most = usize::try_from(self.plan.in_flight * 2).unwrap_or(usize::MAX);
        self.note(|world| {
            let there =
                world.connections.get(connection).map(|there| (&there.blocked, &there.failed, &there.unsettled));
            format!("gateway <- {message_id:?} of connection {connection}, which waits for {there:?}")
        });
        let Some(there) = self.connections.get_mut(connection) else { return };
        if there.blocked.get(&room).is_some_and(|(_, awaited)| *awaited != message_id) {
            there.comes(room, message_id);
            there.turn_away(room, message_id);
            let refusal = Refusal::retryable(Code::Busy, "an earlier message comes first", wait);
            return self.refuse(connection, room, message_id, refusal);
        }
        there.blocked.remove(&room);
        let is_new = !there.is_unsettled(room, message_id);
        if is_new {
            there.comes(room, message_id);
        }
        if (is_new && there.in_flight() >= in_flight_most) || refuse {
            there.fail(room, message_id);
            let refusal = Refusal::retryable(Code::RateLimited, "too many at once", wait);
            return self.refuse(connection, room, message_id, refusal);
        }
        let unsettled = there.unsettled.entry(room).or_default();
        let after = unsettled.iter().map(|(id, _)| *id).take_while(|id| *id != message_id).last();
        if is_new && !unknown {
            unsettled.push((message_id, self.now));
        }
        let sender = klatch_domain::Sender { user: there.user, session: there.session };
        self.note(|_| {
            format!("gateway <- {message_id:?} of connection {connection}, after {after:?}, unknown {unknown}")
        });
        let published = !unknown || self.random.random_bool(0.5);
        if published {
            let held_back = if self.goes_wrong(self.plan.overtake) { self.random.random_range(0..=3_000) } else { 0 };
            let wait = self.random.random_range(1..=20) + held_back;
            let patience = self.now + wait + PATIENCE_MS;
            let draft = send.into_draft();
            let command = Command { connection, room, message_id, sender, draft, after, patience };
            self.after(wait, Event::Ingest(Box::new(command)));
        }
        if unknown {
            if let Some(there) = self.connections.get_mut(connection) {
                there.fail(room, message_id);
            }
            let refusal = Refusal::retryable(Code::Busy, "the broker did not say", wait);
            return self.refuse(connection, room, message_id, refusal);
        }
        if self.random.random_bool(0.5) {
            self.send_frame(connection, ServerFrame::Accepted(Accepted { message_id }));
        }
        if self.goes_wrong(0.01) {
            let room = self.random.random_bool(0.5).then_some(room);
            self.send_frame(connection, ServerFrame::Busy(Busy { room, retry_after_ms: wait }));
        }
    }

    pub(super) fn refuse(&mut self, connection: usize, room: RoomId, message_id: MessageId, mut refusal: Refusal) {
        if self.random.random_bool(0.2) {
            refusal.retry_after_ms = None;
        }
        self.send_frame(connection, ServerFrame::Refused(Refused::new(message_id, room, refusal)));
    }
}

/// Tokens of this world say until when they are good.
fn token_until(token: &str) -> u64 {
    token.parse().unwrap_or(0)
}
