//! Presence in Redis.
//!
//! A lease that ends takes its entries along because they name its tenure: readers count an entry only while that tenure
//! holds. A registry that was lost, whole or a piece of it, is noticed by every gateway at its next renewal (its lease or
//! the piece's mark is another), and until every living gateway must have renewed, readers hear that presence is unknown:
//! events go by the lanes meanwhile. A replica that took over without the last writes is noticed too: it holds fewer of a
//! gateway's users than the gateway has set. What gateways say about large rooms goes the same way (`presence/rooms.rs`).

mod clear;
mod read;
mod rooms;

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use async_trait::async_trait;
use klatch_domain::{Incarnation, RoomId, Timestamp, UserId};
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::time::Instant;

use super::{
    Options,
    keys::{Keys, Nonce, nonce},
    link::{CallError, Link},
    metrics::{Call, Metrics},
    replies::{self, BadReply, Entry, Holders, Leases, Living, Place},
    scripts,
};
use crate::{Addressees, GatewaysOf, Load, Presence, PresenceStatus, PresenceUnknown, UserPresence};

/// Users of one script: it holds up everything else on its server for a millisecond at most.
const USERS_A_SCRIPT: usize = 256;
/// How long it is remembered when somebody was there last: who was away for longer has simply been away.
const LAST_ACTIVE_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// What a gateway leaves behind goes by itself after this, should nobody clear it away.
const LEFT_BEHIND_FOR: Duration = Duration::from_secs(24 * 3600);

pub(super) struct RedisPresence {
    link: Arc<Link>,
    keys: Keys,
    options: Options,
    started: Instant,
    metrics: Metrics,
    calls: Calls,
    /// The gateways of this process; in practice one.
    held: Mutex<HashMap<Incarnation, Held>>,
    known: Mutex<Arc<Known>>,
    /// Held by who changes or counts what a gateway has registered: one after the other.
    calling: tokio::sync::Mutex<()>,
}

struct Calls {
    renew: Call,
    leave: Call,
    set: Call,
    rooms: Call,
    load: Call,
    read: Call,
}

/// Living gateways as read last.
#[derive(Default)]
struct Known {
    version: Vec<u8>,
    living: Living,
    /// Those that say which large rooms they hold.
    keeping: Living,
}

/// What one round trip has found.
struct Found {
    entries: HashMap<UserId, Entry>,
    holders: HashMap<RoomId, Holders>,
    known: Arc<Known>,
    /// The living gateways, or what they say of themselves, are others than were known before.
    changed: bool,
}

/// A lease as its gateway knows it.
#[derive(Clone)]
struct Held {
    tenure: Nonce,
    /// Of the registry of leases.
    begun_ms: i64,
    pieces: Vec<Piece>,
    /// On the clock of this process; never later than the lease's end.
    ends: Duration,
    /// Number of the last `set`.
    turn: u64,
}

/// A piece of the registry as a gateway knows it.
#[derive(Clone)]
struct Piece {
    mark: Vec<u8>,
    /// How many users of the gateway it holds; `None` after a call whose outcome is not known.
    users: Option<i64>,
    /// The same of large rooms.
    rooms: Option<i64>,
}

/// What a call changes.
#[derive(Clone, Copy)]
enum Changed {
    Users,
    Rooms,
}

impl Piece {
    /// Whether what was found is what this gateway has left there.
    fn is_still(&self, found: &Self) -> bool {
        let still = |known: Option<i64>, found| known.is_none() || known == found;
        self.mark == found.mark && still(self.users, found.users) && still(self.rooms, found.rooms)
    }

    fn count_of(&mut self, of: Changed) -> &mut Option<i64> {
        match of {
            Changed::Users => &mut self.users,
            Changed::Rooms => &mut self.rooms,
        }
    }
}

impl Held {
    fn is_still(&self, found: &Self) -> bool {
        self.tenure == found.tenure
            && self.begun_ms == found.begun_ms
            && self.pieces.iter().zip(&found.pieces).all(|(known, found)| known.is_still(found))
    }
}

impl From<CallError> for PresenceUnknown {
    fn from(error: CallError) -> Self {
        Self(error.to_string())
    }
}

impl From<BadReply> for PresenceUnknown {
    fn from(error: BadReply) -> Self {
        Self(error.to_string())
    }
}

fn lost() -> PresenceUnknown {
    PresenceUnknown("the registry is gone; gateways register again".to_owned())
}

impl RedisPresence {
    pub(super) fn new(link: Arc<Link>, options: &Options, metrics: &Metrics) -> Self {
        let calls = Calls {
            renew: metrics.call("presence_renew"),
            leave: metrics.call("presence_leave"),
            set: metrics.call("presence_set"),
            rooms: metrics.call("presence_rooms"),
            load: metrics.call("presence_load"),
            read: metrics.call("presence_read"),
        };
        Self {
            link,
            keys: Keys::new(&options.prefix, options.mode),
            options: options.clone(),
            started: Instant::now(),
            metrics: metrics.clone(),
            calls,
            held: Mutex::default(),
            known: Mutex::default(),
            calling: tokio::sync::Mutex::default(),
        }
    }

    fn ahead_ms(&self) -> u64 {
        u64::try_from((self.options.ahead)().as_millis()).unwrap_or(u64::MAX)
    }

    /// The clock that leases end by in this process.
    fn now(&self) -> Duration {
        self.started.elapsed() + (self.options.ahead)()
    }

    fn lease_call(&self, act: &str, gateway: Option<Incarnation>, known: &Known) -> (Cmd, Nonce) {
        let fresh = nonce();
        let mut call = scripts::LEASE.on(&self.keys.leases());
        let lease_ms = <dyn Presence>::LEASE_SECONDS * 1_000;
        call.arg(act).arg(self.ahead_ms()).arg(&fresh[..]).arg(&known.version);
        call.arg(gateway.as_ref().map_or(&[][..], |gateway| gateway.as_bytes())).arg(lease_ms);
        (call, fresh)
    }

    /// Takes what a lease call answered. `None`: there is no registry.
    fn take_leases(&self, answer: Value, asked: Arc<Known>) -> Result<Option<(Leases, Arc<Known>)>, BadReply> {
        let Some(mut leases) = replies::leases(answer)? else { return Ok(None) };
        let known = match leases.living.take() {
            None => asked,
            Some(living) => {
                let keeping = leases.keeping.take().unwrap_or_default();
                let known = Arc::new(Known { version: leases.version.clone(), living, keeping });
                *self.known.lock() = Arc::clone(&known);
                known
            }
        };
        self.metrics.live.set(i64::try_from(known.living.len()).unwrap_or(i64::MAX));
        Ok(Some((leases, known)))
    }

    async fn run(&self, calls: Vec<Cmd>) -> Result<std::vec::IntoIter<Value>, PresenceUnknown> {
        Ok(scripts::run(&self.link, calls).await?.into_iter())
    }

    async fn renew_now(&self, gateway: Incarnation) -> Result<bool, PresenceUnknown> {
        let _calling = self.calling.lock().await;
        let asked_at = self.now();
        let asked = Arc::clone(&self.known.lock());
        let before = self.held.lock().get(&gateway).cloned();
        let (lease, fresh) = self.lease_call("renew", Some(gateway), &asked);
        let likely = before.as_ref().map_or(fresh, |held| held.tenure);
        let mut calls = vec![lease];
        calls.extend((0..self.keys.pieces()).map(|piece| self.mark_call(piece, gateway, &likely, &fresh)));
        let mut answers = self.run(calls).await?;
        let leases = answers.next().ok_or(BadReply("no leases"))?;
        let (leases, _) = self.take_leases(leases, asked)?.ok_or_else(lost)?;
        let tenure = leases.tenure.ok_or(BadReply("a lease without a tenure"))?;
        let piece = |answer| {
            let (mark, users, rooms) = replies::piece(answer)?;
            // Counted under the tenure that was likely; under another one nothing is registered yet.
            let (users, rooms) = if tenure == likely { (users, rooms) } else { (0, 0) };
            Ok(Piece { mark, users: Some(users), rooms: Some(rooms) })
        };
        let pieces = answers.map(piece).collect::<Result<Vec<_>, BadReply>>()?;
        let ends = asked_at + Duration::from_secs(<dyn Presence>::LEASE_SECONDS);
        let turn = before.as_ref().filter(|held| held.tenure == tenure).map_or(0, |held| held.turn);
        let found = Held { tenure, begun_ms: leases.begun_ms, pieces, ends, turn };
        let still = leases.held && before.as_ref().is_some_and(|held| held.is_still(&found));
        if !still && before.is_some() {
            self.metrics.registry_lost.inc();
        }
        self.held.lock().insert(gateway, found);
        if let Some((lapsed, tenure)) = leases.lapsed {
            self.clear(lapsed, tenure).await;
        }
        Ok(still)
    }

    fn mark_call(&self, piece: usize, gateway: Incarnation, tenure: &Nonce, fresh: &Nonce) -> Cmd {
        let keys = [
            self.keys.mark(piece),
            self.keys.held(piece, gateway, tenure),
            self.keys.turn(piece, gateway, tenure),
            self.keys.rooms(piece, gateway, tenure),
        ];
        let mut call = scripts::MARK.on(&keys);
        call.arg(self.ahead_ms()).arg(&fresh[..]).arg(LEFT_BEHIND_FOR.as_secs());
        call
    }

    async fn leave_now(&self, gateway: Incarnation) -> Result<(), PresenceUnknown> {
        self.held.lock().remove(&gateway);
        let asked = Arc::clone(&self.known.lock());
        let (lease, _) = self.lease_call("leave", Some(gateway), &asked);
        let answer = self.run(vec![lease]).await?.next().ok_or(BadReply("no leases"))?;
        self.take_leases(answer, asked)?;
        Ok(())
    }

    async fn share_now(&self, gateway: Incarnation, connections: u64) -> Result<Load, PresenceUnknown> {
        self.lease_of(gateway)?;
        let mut call = scripts::LOAD.on(&self.keys.loads());
        call.arg(gateway.as_bytes()).arg(connections);
        let answer = self.run(vec![call]).await?.next().ok_or(BadReply("no load"))?;
        replies::load(answer)?.ok_or_else(|| PresenceUnknown(format!("the lease of gateway {gateway} has ended")))
    }

    /// A gateway's lease, if it has not ended.
    fn lease_of(&self, gateway: Incarnation) -> Result<Held, PresenceUnknown> {
        let (now, held) = (self.now(), self.held.lock());
        let held = held.get(&gateway).filter(|held| held.ends > now).cloned();
        held.ok_or_else(|| PresenceUnknown(format!("gateway {gateway} holds no lease")))
    }

    /// Takes the next turn, to change this piece. Until the outcome is known, nobody knows how much of that it holds.
    fn take_turn(&self, gateway: Incarnation, piece: usize, of: Changed) -> u64 {
        let mut held = self.held.lock();
        let Some(held) = held.get_mut(&gateway) else { return 0 };
        held.turn += 1;
        if let Some(piece) = held.pieces.get_mut(piece) {
            *piece.count_of(of) = None;
        }
        held.turn
    }

    /// The outcome is known: so many more, or fewer.
    fn count(&self, gateway: Incarnation, before: &Held, of: Changed, changes: &HashMap<usize, i64>) {
        let mut held = self.held.lock();
        let Some(held) = held.get_mut(&gateway).filter(|held| held.tenure == before.tenure) else { return };
        for (piece, change) in changes {
            let counted = before.pieces.get(*piece).cloned().and_then(|mut piece| *piece.count_of(of));
            if let Some(piece) = held.pieces.get_mut(*piece) {
                *piece.count_of(of) = counted.map(|counted| counted + change);
            }
        }
    }

    async fn set_now(
        &self,
        gateway: Incarnation,
        users: &[(UserId, bool)],
        now: Timestamp,
    ) -> Result<Vec<UserPresence>, PresenceUnknown> {
        let _calling = self.calling.lock().await;
        let held = self.lease_of(gateway)?;
        let asked = Arc::clone(&self.known.lock());
        let (mut asked_of, mut calls) = (Vec::new(), Vec::new());
        for (piece, users) in self.by_piece(last_words(users), |(user, _)| self.keys.piece_of(*user)) {
            for chunk in users.chunks(USERS_A_SCRIPT) {
                let turn = self.take_turn(gateway, piece, Changed::Users);
                calls.push(self.set_call(piece, gateway, (&held.tenure, turn), chunk, now));
                asked_of.push((piece, chunk.to_vec()));
            }
        }
        // Last: on one server it sees what was living at, or after, every change.
        calls.push(self.lease_call("look", None, &asked).0);
        let mut answers = self.run(calls).await?;
        let leases = answers.next_back().ok_or(BadReply("no leases"))?;
        let (_, known) = self.take_leases(leases, asked)?.ok_or_else(lost)?;
        let (mut changed, mut counts) = (HashMap::new(), HashMap::new());
        for ((piece, users), answer) in asked_of.into_iter().zip(answers) {
            for ((user, connected), (was, others)) in users.into_iter().zip(replies::changes(answer)?) {
                *counts.entry(piece).or_insert(0) += i64::from(connected) - i64::from(was);
                if was != connected && !others.iter().any(|one| known.counts(one)) {
                    changed.insert(user, presence_of(user, connected, Some(now)));
                }
            }
        }
        self.count(gateway, &held, Changed::Users, &counts);
        known.check_lives(gateway, &held)?;
        // In the order named.
        Ok(users.iter().filter_map(|(user, _)| changed.remove(user)).collect())
    }

    fn set_call(
        &self,
        piece: usize,
        gateway: Incarnation,
        (tenure, turn): (&Nonce, u64),
        users: &[(UserId, bool)],
        now: Timestamp,
    ) -> Cmd {
        let mut keys =
            vec![self.keys.mark(piece), self.keys.held(piece, gateway, tenure), self.keys.turn(piece, gateway, tenure)];
        keys.extend(users.iter().map(|(user, _)| self.keys.user(piece, *user)));
        let mut call = scripts::SET.on(&keys);
        call.arg(gateway.as_bytes()).arg(&tenure[..]).arg(turn).arg(now.as_millis());
        call.arg(LAST_ACTIVE_FOR.as_secs()).arg(LEFT_BEHIND_FOR.as_secs());
        for (user, connected) in users {
            call.arg(user.as_bytes()).arg(u8::from(*connected));
        }
        call
    }

    fn by_piece<T>(&self, all: Vec<T>, piece_of: impl Fn(&T) -> usize) -> impl Iterator<Item = (usize, Vec<T>)> {
        let mut pieces: Vec<Vec<T>> = (0..self.keys.pieces()).map(|_| Vec::new()).collect();
        for one in all {
            pieces[piece_of(&one)].push(one);
        }
        pieces.into_iter().enumerate().filter(|(_, of_piece)| !of_piece.is_empty())
    }

    /// What was begun a moment ago cannot know everybody yet.
    fn check_believed(&self, age_ms: i64) -> Result<(), PresenceUnknown> {
        if u128::try_from(age_ms).unwrap_or(0) >= self.options.doubt.as_millis() {
            Ok(())
        } else {
            Err(PresenceUnknown("the registry was begun anew a moment ago".to_owned()))
        }
    }
}

impl Known {
    fn counts(&self, (gateway, tenure): &Place) -> bool {
        self.living.get(gateway) == Some(tenure)
    }

    fn check_lives(&self, gateway: Incarnation, held: &Held) -> Result<(), PresenceUnknown> {
        if self.living.get(&gateway) == Some(&held.tenure) {
            Ok(())
        } else {
            Err(PresenceUnknown(format!("the lease of gateway {gateway} has ended")))
        }
    }
}

/// Each once, with the last word about it.
fn last_words<T: Copy + Eq + Hash>(all: &[(T, bool)]) -> Vec<(T, bool)> {
    let last: HashMap<_, _> = all.iter().copied().collect();
    last.into_iter().collect()
}

fn presence_of(user: UserId, online: bool, last_active: Option<Timestamp>) -> UserPresence {
    if online {
        UserPresence { user, status: PresenceStatus::Online, last_active: None }
    } else {
        UserPresence { user, status: PresenceStatus::Offline, last_active }
    }
}

fn distinct<'a, T: Copy + Ord + 'a>(all: impl Iterator<Item = &'a T>) -> Vec<T> {
    let mut all: Vec<_> = all.copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[async_trait]
impl Presence for RedisPresence {
    async fn renew(&self, gateway: Incarnation) -> Result<bool, PresenceUnknown> {
        self.calls.renew.watch(self.renew_now(gateway)).await
    }

    async fn leave(&self, gateway: Incarnation) -> Result<(), PresenceUnknown> {
        self.calls.leave.watch(self.leave_now(gateway)).await
    }

    async fn set(
        &self,
        gateway: Incarnation,
        users: &[(UserId, bool)],
        now: Timestamp,
    ) -> Result<Vec<UserPresence>, PresenceUnknown> {
        self.calls.set.watch(self.set_now(gateway, users, now)).await
    }

    async fn gateways_of(&self, users: &[UserId]) -> Result<GatewaysOf, PresenceUnknown> {
        let mut answers = self.gateways_of_each(&[Addressees { users: users.into(), room: None }]).await?;
        answers.pop().ok_or_else(|| BadReply("no group").into())
    }

    async fn gateways_of_each(&self, groups: &[Addressees]) -> Result<Vec<GatewaysOf>, PresenceUnknown> {
        let users = distinct(groups.iter().flat_map(|group| group.users.iter()));
        let rooms = distinct(groups.iter().filter_map(|group| group.room.as_ref()));
        let found = self.calls.read.watch(self.read(users, rooms)).await?;
        let gateways_of = |group: &Addressees| {
            let of_users = group.users.iter().filter_map(|user| found.entries.get(user));
            let of_users = of_users.flat_map(|entry| &entry.gateways).filter(|one| found.known.counts(one));
            let mut gateways: Vec<_> = of_users.map(|(gateway, _)| *gateway).collect();
            if let Some(room) = &group.room {
                found.add_holders(room, &mut gateways);
            }
            gateways.sort_unstable();
            gateways.dedup();
            GatewaysOf { gateways, live: found.known.living.len() }
        };
        Ok(groups.iter().map(gateways_of).collect())
    }

    async fn hold_rooms(&self, gateway: Incarnation, rooms: &[(RoomId, bool)]) -> Result<(), PresenceUnknown> {
        self.calls.rooms.watch(self.hold_now(gateway, rooms)).await
    }

    async fn keep_rooms(&self, gateway: Incarnation, keeps: bool) -> Result<(), PresenceUnknown> {
        self.calls.rooms.watch(self.keep_now(gateway, keeps)).await
    }

    async fn share_load(&self, gateway: Incarnation, connections: u64) -> Result<Load, PresenceUnknown> {
        self.calls.load.watch(self.share_now(gateway, connections)).await
    }

    async fn statuses(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PresenceUnknown> {
        let Found { entries, known, .. } = self.calls.read.watch(self.read(distinct(users.iter()), Vec::new())).await?;
        let status = |user: &UserId| {
            let entry = entries.get(user);
            let online = entry.is_some_and(|entry| entry.gateways.iter().any(|one| known.counts(one)));
            presence_of(*user, online, entry.and_then(|entry| entry.last_active))
        };
        Ok(users.iter().map(status).collect())
    }
}
