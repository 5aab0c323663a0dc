//! Where users and rooms are: everything asked together in one round trip.

use std::{collections::HashMap, sync::Arc};

use klatch_domain::{RoomId, UserId};

use super::{Found, RedisPresence, USERS_A_SCRIPT, lost, rooms::ROOMS_A_SCRIPT};
use crate::{
    PresenceUnknown,
    redis::{
        replies::{self, BadReply},
        scripts,
    },
};

impl RedisPresence {
    /// Entries of users and rooms (each named once), and who is alive: one round trip.
    pub(super) async fn read_once(&self, users: Vec<UserId>, rooms: Vec<RoomId>) -> Result<Found, PresenceUnknown> {
        let asked = Arc::clone(&self.known.lock());
        let mut entries = HashMap::with_capacity(users.len());
        let mut calls = vec![self.lease_call("look", None, &asked).0];
        let (mut of_users, mut of_rooms) = (Vec::new(), Vec::new());
        for (piece, users) in self.by_piece(users, |user| self.keys.piece_of(*user)) {
            for chunk in users.chunks(USERS_A_SCRIPT) {
                let mut keys = vec![self.keys.mark(piece)];
                keys.extend(chunk.iter().map(|user| self.keys.user(piece, *user)));
                calls.push(scripts::READ.on(&keys));
                of_users.push(chunk.to_vec());
            }
        }
        for (piece, rooms) in self.by_piece(rooms, |room| self.keys.piece_of_room(*room)) {
            for chunk in rooms.chunks(ROOMS_A_SCRIPT) {
                calls.push(self.holders_call(piece, chunk, &asked));
                of_rooms.push(chunk.to_vec());
            }
        }
        let mut answers = self.run(calls).await?;
        let leases = answers.next().ok_or(BadReply("no leases"))?;
        let (leases, known) = self.take_leases(leases, Arc::clone(&asked))?.ok_or_else(lost)?;
        self.check_believed(leases.age_ms)?;
        let check_piece = |mark: &[u8]| self.check_believed(leases.begun_ms + leases.age_ms - replies::begun_of(mark)?);
        for (users, answer) in of_users.into_iter().zip(&mut answers) {
            let found = replies::entries(answer)?.ok_or_else(lost)?;
            check_piece(&found.mark)?;
            entries.extend(users.into_iter().zip(found.entries));
        }
        let mut holders = HashMap::new();
        for (rooms, answer) in of_rooms.into_iter().zip(answers) {
            let found = replies::holders(answer)?.ok_or_else(lost)?;
            check_piece(&found.mark)?;
            holders.extend(rooms.into_iter().zip(found.holders));
        }
        let changed = !Arc::ptr_eq(&asked, &known);
        Ok(Found { entries, holders, known, changed })
    }
}
