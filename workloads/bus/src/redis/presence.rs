//! Presence in Redis.
//!
//! A lease that ends takes its entries along because they name its tenure: readers count an entry only while that tenure
//! holds. A registry that was lost, whole or a piece of it, is noticed by every gateway at its next renewal (its lease or
//! the piece's mark is another), and until every living gateway must have renewed, readers hear that presence is unknown:
//! events go by the lanes meanwhile. A replica that took over without the last writes is noticed too: it holds fewer of a
//! gateway's users than the gateway has set.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use klatch_domain::{Incarnation, Timestamp, UserId};
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::time::Instant;

use super::{
    Options,
    keys::{Keys, Nonce, nonce},
    link::{CallError, Link},
    metrics::{Call, Metrics},
    replies::{self, BadReply, Entry, Leases, Living, Place},
    scripts,
};
use crate::{GatewaysOf, Presence, PresenceStatus, PresenceUnknown, UserPresence};

/// Users of one script: it holds up everything else on its server for a millisecond at most.
const USERS_A_SCRIPT: usize = 256;
/// How long it is remembered when somebody was there last: who was away for longer has simply been away.
const LAST_ACTIVE_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// What a gateway leaves behind goes by itself after this, should nobody clear it away.
const LEFT_BEHIND_FOR: Duration = Duration::from_secs(24 * 3600);
/// Entries of lapsed gateways that one renewal clears away, over all pieces.
const CLEARED_AT_ONCE: usize = 1_024;

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
    read: Call,
}

/// Living gateways as read last.
#[derive(Default)]
struct Known {
    version: Vec<u8>,
    living: Living,
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
}

impl Piece {
    /// Whether what was found is what this gateway has left there.
    fn is_still(&self, found: &Self) -> bool {
        self.mark == found.mark && (self.users.is_none() || self.users == found.users)
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
                let known = Arc::new(Known { version: leases.version.clone(), living });
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
            let (mark, users) = replies::piece(answer)?;
            // Counted under the tenure that was likely; under another one nobody is registered yet.
            Ok(Piece { mark, users: Some(if tenure == likely { users } else { 0 }) })
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
        let keys =
            [self.keys.mark(piece), self.keys.held(piece, gateway, tenure), self.keys.turn(piece, gateway, tenure)];
        let mut call = scripts::MARK.on(&keys);
        call.arg(self.ahead_ms()).arg(&fresh[..]).arg(LEFT_BEHIND_FOR.as_secs());
        call
    }

    /// Clears away some of what a lapsed gateway has left. Nothing depends on it: its entries count no more.
    async fn clear(&self, gateway: Incarnation, tenure: Nonce) {
        if let Err(error) = self.clear_some(gateway, &tenure).await {
            tracing::debug!(%gateway, %error, "cannot clear away what a gateway has left in Redis");
        }
    }

    async fn clear_some(&self, gateway: Incarnation, tenure: &Nonce) -> Result<(), PresenceUnknown> {
        let pieces = self.keys.pieces();
        let look = |piece| {
            let mut call = redis::cmd("SRANDMEMBER");
            call.arg(self.keys.held(piece, gateway, tenure)).arg((CLEARED_AT_ONCE / pieces).min(USERS_A_SCRIPT));
            call
        };
        let mut calls = Vec::new();
        for (piece, found) in self.link.all((0..pieces).map(look).collect()).await?.into_iter().enumerate() {
            let users = replies::users(found)?;
            if users.is_empty() {
                continue;
            }
            let mut keys = vec![self.keys.held(piece, gateway, tenure)];
            keys.extend(users.iter().map(|user| self.keys.user(piece, *user)));
            let mut call = scripts::CLEAR.on(&keys);
            call.arg(gateway.as_bytes()).arg(&tenure[..]).arg(LAST_ACTIVE_FOR.as_secs());
            users.iter().for_each(|user| {
                call.arg(user.as_bytes());
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

    async fn leave_now(&self, gateway: Incarnation) -> Result<(), PresenceUnknown> {
        self.held.lock().remove(&gateway);
        let asked = Arc::clone(&self.known.lock());
        let (lease, _) = self.lease_call("leave", Some(gateway), &asked);
        let answer = self.run(vec![lease]).await?.next().ok_or(BadReply("no leases"))?;
        self.take_leases(answer, asked)?;
        Ok(())
    }

    /// A gateway's lease, if it has not ended.
    fn lease_of(&self, gateway: Incarnation) -> Result<Held, PresenceUnknown> {
        let (now, held) = (self.now(), self.held.lock());
        let held = held.get(&gateway).filter(|held| held.ends > now).cloned();
        held.ok_or_else(|| PresenceUnknown(format!("gateway {gateway} holds no lease")))
    }

    /// Takes the next turn, to change this piece. Until the outcome is known, nobody knows how many users it holds.
    fn take_turn(&self, gateway: Incarnation, piece: usize) -> u64 {
        let mut held = self.held.lock();
        let Some(held) = held.get_mut(&gateway) else { return 0 };
        held.turn += 1;
        if let Some(piece) = held.pieces.get_mut(piece) {
            piece.users = None;
        }
        held.turn
    }

    /// The outcome is known: so many more users, or fewer.
    fn count(&self, gateway: Incarnation, before: &Held, changes: &HashMap<usize, i64>) {
        let mut held = self.held.lock();
        let Some(held) = held.get_mut(&gateway).filter(|held| held.tenure == before.tenure) else { return };
        for (piece, change) in changes {
            let users = before.pieces.get(*piece).and_then(|piece| piece.users).map(|users| users + change);
            if let Some(piece) = held.pieces.get_mut(*piece) {
                piece.users = users;
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
        for (piece, users) in self.by_piece(last_words(users), |(user, _)| *user) {
            for chunk in users.chunks(USERS_A_SCRIPT) {
                let turn = self.take_turn(gateway, piece);
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
        self.count(gateway, &held, &counts);
        if known.living.get(&gateway) != Some(&held.tenure) {
            return Err(PresenceUnknown(format!("the lease of gateway {gateway} has ended")));
        }
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

    fn by_piece<T>(&self, all: Vec<T>, user: impl Fn(&T) -> UserId) -> impl Iterator<Item = (usize, Vec<T>)> {
        let mut pieces: Vec<Vec<T>> = (0..self.keys.pieces()).map(|_| Vec::new()).collect();
        for one in all {
            pieces[self.keys.piece_of(user(&one))].push(one);
        }
        pieces.into_iter().enumerate().filter(|(_, of_piece)| !of_piece.is_empty())
    }

    /// Entries of users (each named once), and who is alive: one round trip.
    async fn read(&self, users: Vec<UserId>) -> Result<(HashMap<UserId, Entry>, Arc<Known>), PresenceUnknown> {
        let asked = Arc::clone(&self.known.lock());
        let mut entries = HashMap::with_capacity(users.len());
        let mut calls = vec![self.lease_call("look", None, &asked).0];
        let mut groups = Vec::new();
        for (piece, users) in self.by_piece(users, |user| *user) {
            for chunk in users.chunks(USERS_A_SCRIPT) {
                let mut keys = vec![self.keys.mark(piece)];
                keys.extend(chunk.iter().map(|user| self.keys.user(piece, *user)));
                calls.push(scripts::READ.on(&keys));
                groups.push(chunk.to_vec());
            }
        }
        let mut answers = self.run(calls).await?;
        let leases = answers.next().ok_or(BadReply("no leases"))?;
        let (leases, known) = self.take_leases(leases, asked)?.ok_or_else(lost)?;
        self.check_believed(leases.age_ms)?;
        for (users, answer) in groups.into_iter().zip(answers) {
            let found = replies::entries(answer)?.ok_or_else(lost)?;
            self.check_believed(leases.begun_ms + leases.age_ms - replies::begun_of(&found.mark)?)?;
            entries.extend(users.into_iter().zip(found.entries));
        }
        Ok((entries, known))
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
}

/// Each user once, with the last word about them.
fn last_words(users: &[(UserId, bool)]) -> Vec<(UserId, bool)> {
    let last: HashMap<_, _> = users.iter().copied().collect();
    last.into_iter().collect()
}

fn presence_of(user: UserId, online: bool, last_active: Option<Timestamp>) -> UserPresence {
    if online {
        UserPresence { user, status: PresenceStatus::Online, last_active: None }
    } else {
        UserPresence { user, status: PresenceStatus::Offline, last_active }
    }
}

fn distinct<'a>(users: impl Iterator<Item = &'a UserId>) -> Vec<UserId> {
    let mut users: Vec<_> = users.copied().collect();
    users.sort_unstable();
    users.dedup();
    users
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
        let mut answers = self.gateways_of_each(&[users.into()]).await?;
        answers.pop().ok_or_else(|| BadReply("no group").into())
    }

    async fn gateways_of_each(&self, groups: &[Arc<[UserId]>]) -> Result<Vec<GatewaysOf>, PresenceUnknown> {
        let users = distinct(groups.iter().flat_map(|group| group.iter()));
        let (entries, known) = self.calls.read.watch(self.read(users)).await?;
        let gateways_of = |group: &Arc<[UserId]>| {
            let found = group.iter().filter_map(|user| entries.get(user)).flat_map(|entry| &entry.gateways);
            let mut gateways: Vec<_> = found.filter(|one| known.counts(one)).map(|(gateway, _)| *gateway).collect();
            gateways.sort_unstable();
            gateways.dedup();
            GatewaysOf { gateways, live: known.living.len() }
        };
        Ok(groups.iter().map(gateways_of).collect())
    }

    async fn statuses(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PresenceUnknown> {
        let (entries, known) = self.calls.read.watch(self.read(distinct(users.iter()))).await?;
        let status = |user: &UserId| {
            let entry = entries.get(user);
            let online = entry.is_some_and(|entry| entry.gateways.iter().any(|one| known.counts(one)));
            presence_of(*user, online, entry.and_then(|entry| entry.last_active))
        };
        Ok(users.iter().map(status).collect())
    }
}
