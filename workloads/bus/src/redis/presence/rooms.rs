//! Which gateways hold members of large rooms.
//!
//! A gateway under a new lease may hold any room, until it says that it has named all it holds. So one that has only
//! started, has lost the registry or runs an older version is asked for every room, and nothing has to be complete before
//! it is believed.

use std::{collections::HashMap, sync::Arc};

use klatch_domain::{Incarnation, RoomId, UserId};
use redis::Cmd;

use super::{Changed, Found, Holders, Known, LEFT_BEHIND_FOR, RedisPresence, last_words, lost};
use crate::{
    Presence, PresenceUnknown,
    redis::{replies, replies::BadReply, scripts},
};

/// Rooms of one script.
pub(super) const ROOMS_A_SCRIPT: usize = 256;
/// Entries of gateways that are gone, which may stand in a set beside those of the living without making it look like many.
const GONE: usize = 8;

impl RedisPresence {
    pub(super) async fn hold_now(&self, gateway: Incarnation, rooms: &[(RoomId, bool)]) -> Result<(), PresenceUnknown> {
        let _calling = self.calling.lock().await;
        let held = self.lease_of(gateway)?;
        let asked = Arc::clone(&self.known.lock());
        let (mut pieces, mut calls) = (Vec::new(), Vec::new());
        for (piece, rooms) in self.by_piece(last_words(rooms), |(room, _)| self.keys.piece_of_room(*room)) {
            for chunk in rooms.chunks(ROOMS_A_SCRIPT) {
                let turn = self.take_turn(gateway, piece, Changed::Rooms);
                let mut keys = vec![
                    self.keys.mark(piece),
                    self.keys.rooms(piece, gateway, &held.tenure),
                    self.keys.turn(piece, gateway, &held.tenure),
                ];
                keys.extend(chunk.iter().map(|(room, _)| self.keys.room(piece, *room)));
                let mut call = scripts::HOLD.on(&keys);
                call.arg(gateway.as_bytes()).arg(&held.tenure[..]).arg(turn).arg(LEFT_BEHIND_FOR.as_secs());
                for (room, holds) in chunk {
                    call.arg(room.as_bytes()).arg(u8::from(*holds));
                }
                calls.push(call);
                pieces.push(piece);
            }
        }
        // Last: on one server it sees what was living at, or after, every change.
        calls.push(self.lease_call("look", None, &asked).0);
        let mut answers = self.run(calls).await?;
        let leases = answers.next_back().ok_or(BadReply("no leases"))?;
        let (_, known) = self.take_leases(leases, asked)?.ok_or_else(lost)?;
        let mut counts = HashMap::new();
        for (piece, answer) in pieces.into_iter().zip(answers) {
            *counts.entry(piece).or_insert(0) += replies::more_rooms(answer)?;
        }
        self.count(gateway, &held, Changed::Rooms, &counts);
        known.check_lives(gateway, &held)
    }

    pub(super) async fn keep_now(&self, gateway: Incarnation, keeps: bool) -> Result<(), PresenceUnknown> {
        let _calling = self.calling.lock().await;
        let held = self.lease_of(gateway)?;
        let asked = Arc::clone(&self.known.lock());
        let (mut call, _) = self.lease_call(if keeps { "keep" } else { "unkeep" }, Some(gateway), &asked);
        call.arg(&held.tenure[..]);
        let answer = self.run(vec![call]).await?.next().ok_or(BadReply("no leases"))?;
        let (leases, _) = self.take_leases(answer, asked)?.ok_or_else(lost)?;
        if leases.held { Ok(()) } else { Err(PresenceUnknown(format!("the lease of gateway {gateway} has ended"))) }
    }

    pub(super) fn holders_call(&self, piece: usize, rooms: &[RoomId], known: &Known) -> Cmd {
        let mut keys = vec![self.keys.mark(piece)];
        keys.extend(rooms.iter().map(|room| self.keys.room(piece, *room)));
        let mut call = scripts::HOLDERS.on(&keys);
        // Beyond this a lane is taken whoever they are.
        call.arg(known.living.len() / <dyn Presence>::SINGLE_SHARE + GONE);
        call
    }

    /// As [`read_once`](Self::read_once). The servers of a cluster are read side by side: a gateway may have named a room
    /// after its server was read, and have said that it keeps its rooms before that was. Then the rooms are read again.
    pub(super) async fn read(&self, users: Vec<UserId>, rooms: Vec<RoomId>) -> Result<Found, PresenceUnknown> {
        if self.keys.pieces() == 1 || rooms.is_empty() {
            return self.read_once(users, rooms).await;
        }
        let mut found = self.read_once(users, rooms.clone()).await?;
        if found.changed {
            let again = self.read_once(Vec::new(), rooms).await?;
            found.holders = again.holders;
            if again.changed {
                found.holders.values_mut().for_each(|holders| *holders = Holders::Many);
            }
            found.known = again.known;
        }
        Ok(found)
    }
}

impl Found {
    /// Every gateway that may hold members of a room.
    pub(super) fn add_holders(&self, room: &RoomId, gateways: &mut Vec<Incarnation>) {
        let Known { living, keeping, .. } = &*self.known;
        let Some(Holders::Places(places)) = self.holders.get(room) else { return gateways.extend(living.keys()) };
        let before = gateways.len();
        gateways.extend(places.iter().filter(|one| self.known.counts(one)).map(|(gateway, _)| *gateway));
        if gateways.len() == before {
            return gateways.extend(living.keys());
        }
        let unsaid = living.iter().filter(|(gateway, tenure)| keeping.get(*gateway) != Some(*tenure));
        gateways.extend(unsaid.map(|(gateway, _)| *gateway));
    }
}
