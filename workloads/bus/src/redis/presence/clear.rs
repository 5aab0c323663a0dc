//! Clearing away what gateways have left whose leases ended.

use klatch_domain::{Incarnation, RoomId, UserId};

use super::{Changed, LAST_ACTIVE_FOR, LEFT_BEHIND_FOR, RedisPresence, USERS_A_SCRIPT};
use crate::{
    PresenceUnknown,
    redis::{keys::Nonce, replies, scripts},
};

/// Entries of lapsed gateways that one renewal clears away, over all pieces.
const CLEARED_AT_ONCE: usize = 1_024;

impl RedisPresence {
    /// Clears away some of what a lapsed gateway has left. Nothing depends on it: its entries count no more.
    pub(super) async fn clear(&self, gateway: Incarnation, tenure: Nonce) {
        if let Err(error) = self.clear_some(gateway, &tenure).await {
            tracing::debug!(%gateway, %error, "cannot clear away what a gateway has left in Redis");
        }
    }

    async fn clear_some(&self, gateway: Incarnation, tenure: &Nonce) -> Result<(), PresenceUnknown> {
        let at_once = (CLEARED_AT_ONCE / self.keys.pieces()).min(USERS_A_SCRIPT);
        let sets = |piece| {
            let (held, rooms) = (self.keys.held(piece, gateway, tenure), self.keys.rooms(piece, gateway, tenure));
            [(piece, Changed::Users, held), (piece, Changed::Rooms, rooms)]
        };
        let sets: Vec<_> = (0..self.keys.pieces()).flat_map(sets).collect();
        let look = |(_, _, set): &(usize, Changed, Vec<u8>)| {
            let mut call = redis::cmd("SRANDMEMBER");
            call.arg(set).arg(at_once);
            call
        };
        let found = self.link.all(sets.iter().map(look).collect()).await?;
        let mut calls = Vec::new();
        for ((piece, of, set), found) in sets.into_iter().zip(found) {
            let ids = replies::ids(found)?;
            if ids.is_empty() {
                continue;
            }
            let keep = match of {
                Changed::Users => LAST_ACTIVE_FOR,
                Changed::Rooms => LEFT_BEHIND_FOR,
            };
            let mut keys = vec![set];
            keys.extend(ids.iter().map(|id| match of {
                Changed::Users => self.keys.user(piece, UserId::from_bytes(*id)),
                Changed::Rooms => self.keys.room(piece, RoomId::from_bytes(*id)),
            }));
            let mut call = scripts::CLEAR.on(&keys);
            call.arg(gateway.as_bytes()).arg(&tenure[..]).arg(keep.as_secs());
            ids.iter().for_each(|id| {
                call.arg(id);
            });
            calls.push(call);
        }
        if calls.is_empty() {
            let mut lapsed = gateway.as_bytes().to_vec();
            lapsed.extend_from_slice(tenure);
            self.link.one(redis::cmd("LREM").arg(self.keys.lapsed()).arg(0).arg(lapsed)).await?;
        } else {
            self.run(calls).await?;
        }
        Ok(())
    }
}
