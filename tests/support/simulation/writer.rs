//! The writer behind the gateways, and what it has to say: outcomes, entries, positions.

use std::collections::BTreeSet;

use klatch_domain::{Code, Entry, MessageId, Refusal, RoomId, UserId};
use klatch_protocol::{MessageFrame, PositionFrame, Reset, ServerFrame, StoredFrame};
use rand::RngExt;

use super::gate::Connection;
use super::model::Appended;
use super::world::{Command, Event, World};

/// A command that waits for the one before it is looked at again this often, milliseconds.
const LOOK_AGAIN_MS: u64 = 50;

impl World {
    /// The writer decides.
    pub(super) fn ingest(&mut self, command: Command) -> Result<(), String> {
        let Command { connection, room, message_id, .. } = command;
        self.note(|_| format!("writer <- {message_id:?} of connection {connection}, after {:?}", command.after));
        let settled =
            |world: &mut Self, id| world.model.log(room).find(id).is_some() || world.dead.contains(&(connection, id));
        if let Some(before) = command.after
            && !settled(self, before)
        {
            if self.now < command.patience {
                self.after(LOOK_AGAIN_MS, Event::Ingest(Box::new(command)));
                return Ok(());
            }
            let refusal = Refusal::retryable(Code::Busy, "the message before it did not come", 100);
            self.outcome(connection, room, message_id, Err(refusal));
            return Ok(());
        }
        let at = self.service_time();
        match self.model.log(room).append(command.sender, message_id, command.draft, at) {
            Ok(Appended::New(entry)) => {
                self.fan_out(room, &entry, Some(connection));
                self.outcome(connection, room, message_id, Ok(entry));
            }
            Ok(Appended::Repeat(entry)) => self.outcome(connection, room, message_id, Ok(entry)),
            Err(refusal) => {
                self.dead.insert((connection, message_id));
                self.outcome(connection, room, message_id, Err(refusal));
            }
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        connection: usize,
        room: RoomId,
        message_id: MessageId,
        outcome: Result<Box<Entry>, Refusal>,
    ) {
        if self.goes_wrong(self.plan.lose_outcome) {
            self.report.mangled += 1;
        } else {
            self.give_outcome(connection, room, message_id, outcome);
        }
    }

    pub(super) fn give_outcome(
        &mut self,
        connection: usize,
        room: RoomId,
        message_id: MessageId,
        outcome: Result<Box<Entry>, Refusal>,
    ) {
        let Some(there) = self.connections.get_mut(connection).filter(|there| there.live) else { return };
        let retryable = outcome.as_ref().is_err_and(|refusal| refusal.retryable);
        let counts = there.is_unsettled(room, message_id);
        if let Some(unsettled) = there.unsettled.get_mut(&room).filter(|_| !retryable) {
            unsettled.retain(|(id, _)| *id != message_id);
        }
        let awaited = there.blocked.get(&room).is_some_and(|(_, awaited)| *awaited == message_id);
        if awaited && !retryable && (outcome.is_err() || !self.plan.strict) {
            there.is_back(room, message_id);
            there.blocked.remove(&room);
            if let Some((number, next)) = there.failed.get(&room).and_then(|failed| failed.first_key_value()) {
                there.blocked.insert(room, (*number, *next));
            }
        }
        match outcome {
            Ok(row) => self.send_frame(
                connection,
                ServerFrame::Stored(StoredFrame {
                    message_id,
                    room,
                    position: row.position,
                    ordinal: row.ordinal,
                    at: row.at,
                }),
            ),
            Err(refusal) => {
                if refusal.retryable && counts {
                    there.fail(room, message_id);
                }
                self.refuse(connection, room, message_id, refusal);
            }
        }
    }

    /// Everyone who may see an entry gets it, mostly.
    pub(super) fn fan_out(&mut self, room: RoomId, entry: &Entry, sender: Option<usize>) {
        let members: BTreeSet<UserId> = self.model.log(room).members.clone();
        let sees = |there: &Connection| there.live && members.contains(&there.user);
        let targets: Vec<usize> =
            self.connections.iter().enumerate().filter(|(_, there)| sees(there)).map(|(at, _)| at).collect();
        for connection in targets {
            if sender == Some(connection) && self.random.random_bool(0.5) {
                continue;
            }
            if self.goes_wrong(self.plan.drop) {
                self.report.mangled += 1;
                if self.random.random_bool(self.plan.noticed) {
                    let wait = self.random.random_range(0..=3_000);
                    self.after(wait, Event::Position { connection, room });
                }
                continue;
            }
            let copies = if self.goes_wrong(self.plan.double) { 2 } else { 1 };
            self.report.mangled += copies - 1;
            for _ in 0..copies {
                let held_back =
                    if self.goes_wrong(0.5) { self.random.random_range(0..=self.plan.reorder_ms) } else { 0 };
                let wait = self.random.random_range(0..=5) + held_back;
                let entry = Box::new(entry.clone());
                self.after(wait, Event::FanOut { connection, room, entry });
            }
        }
    }

    /// The last filter: who is no member any more gets nothing.
    fn may_see(&mut self, connection: usize, room: RoomId) -> bool {
        let Some(there) = self.connections.get(connection).filter(|there| there.live) else { return false };
        let user = there.user;
        self.model.log(room).members.contains(&user)
    }

    pub(super) fn push_entry(&mut self, connection: usize, room: RoomId, entry: &Entry) -> Result<(), String> {
        if self.may_see(connection, room) {
            let members_version = klatch_domain::Seq(0);
            let frame = MessageFrame { room, entry: entry.clone(), members_version };
            self.send_frame(connection, ServerFrame::Message(frame));
        }
        Ok(())
    }

    pub(super) fn push_position(&mut self, connection: usize, room: RoomId) -> Result<(), String> {
        if self.may_see(connection, room) {
            let log = self.model.log(room);
            let frame = PositionFrame { room, head: log.head(), head_ordinal: log.head_ordinal() };
            self.send_frame(connection, ServerFrame::Position(frame));
        }
        Ok(())
    }

    pub(super) fn push_reset(&mut self, connection: usize, room: RoomId) -> Result<(), String> {
        if self.may_see(connection, room) {
            let generation = self.model.log(room).generation;
            self.send_frame(connection, ServerFrame::Reset(Reset { room, generation }));
        }
        Ok(())
    }
}
