//! Presence in memory. Leases run out when somebody looks: no timer, no task.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use async_trait::async_trait;
use klatch_domain::{Incarnation, RoomId, Timestamp, UserId};
use lru::LruCache;
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::time::Instant;

use super::{
    MonotonicClock, Options,
    metrics::{BusMetrics, gauge},
};
use crate::{Addressees, GatewaysOf, Load, Presence, PresenceStatus, PresenceUnknown, UserPresence};

pub(super) struct InProcessPresence {
    monotonic: MonotonicClock,
    most_last_active: usize,
    live_gateways: IntGauge,
    connected_users: IntGauge,
    state: Mutex<State>,
}

struct State {
    gateways: HashMap<Incarnation, Gateway>,
    /// Never an empty list. A user is rarely on more than two gateways.
    users: HashMap<UserId, Vec<Incarnation>>,
    /// Large rooms and who holds members of them; never an empty list.
    rooms: HashMap<RoomId, Vec<Incarnation>>,
    last_active: LruCache<UserId, Timestamp>,
    /// No lease runs out before this.
    earliest_end: Option<Instant>,
}

struct Gateway {
    lease_ends: Instant,
    users: HashSet<UserId>,
    rooms: HashSet<RoomId>,
    /// It holds no other rooms than those.
    keeps_rooms: bool,
    /// Connections it says it holds.
    connections: Option<u64>,
}

impl Gateway {
    fn new(lease_ends: Instant) -> Self {
        Self { lease_ends, users: HashSet::new(), rooms: HashSet::new(), keeps_rooms: false, connections: None }
    }
}

impl InProcessPresence {
    pub(super) fn new(options: &Options, metrics: &BusMetrics) -> Self {
        Self {
            monotonic: options.monotonic.clone(),
            most_last_active: options.last_active_users,
            live_gateways: metrics.presence_gateways.clone(),
            connected_users: metrics.presence_users.clone(),
            state: Mutex::new(State {
                gateways: HashMap::new(),
                users: HashMap::new(),
                rooms: HashMap::new(),
                // Bounded in `remember`; a bound given here would be allocated at once.
                last_active: LruCache::unbounded(),
                earliest_end: None,
            }),
        }
    }

    /// Does something to the registry as it stands now, without what has run out.
    fn now<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = (self.monotonic)();
        let mut state = self.state.lock();
        state.end_leases(now);
        let answer = act(&mut state, now);
        self.live_gateways.set(gauge(state.gateways.len()));
        self.connected_users.set(gauge(state.users.len()));
        answer
    }
}

#[async_trait]
impl Presence for InProcessPresence {
    async fn renew(&self, gateway: Incarnation) -> Result<bool, PresenceUnknown> {
        Ok(self.now(|state, now| {
            let lease_ends = now + Duration::from_secs(<dyn Presence>::LEASE_SECONDS);
            let held = state.gateways.contains_key(&gateway);
            let entry = state.gateways.entry(gateway).or_insert_with(|| Gateway::new(lease_ends));
            entry.lease_ends = lease_ends;
            state.earliest_end = Some(state.earliest_end.map_or(lease_ends, |earliest| earliest.min(lease_ends)));
            held
        }))
    }

    async fn leave(&self, gateway: Incarnation) -> Result<(), PresenceUnknown> {
        self.now(|state, _| state.remove(gateway));
        Ok(())
    }

    async fn set(
        &self,
        gateway: Incarnation,
        users: &[(UserId, bool)],
        now: Timestamp,
    ) -> Result<Vec<UserPresence>, PresenceUnknown> {
        self.now(|state, _| state.set(gateway, users, now, self.most_last_active))
    }

    async fn gateways_of(&self, users: &[UserId]) -> Result<GatewaysOf, PresenceUnknown> {
        Ok(self.now(|state, _| state.gateways_of(users, None)))
    }

    async fn gateways_of_each(&self, groups: &[Addressees]) -> Result<Vec<GatewaysOf>, PresenceUnknown> {
        Ok(self.now(|state, _| groups.iter().map(|group| state.gateways_of(&group.users, group.room)).collect()))
    }

    async fn hold_rooms(&self, gateway: Incarnation, rooms: &[(RoomId, bool)]) -> Result<(), PresenceUnknown> {
        self.now(|state, _| rooms.iter().try_for_each(|(room, holds)| state.hold_room(gateway, *room, *holds)))
    }

    async fn keep_rooms(&self, gateway: Incarnation, keeps: bool) -> Result<(), PresenceUnknown> {
        self.now(|state, _| {
            state.leased(gateway)?.keeps_rooms = keeps;
            Ok(())
        })
    }

    async fn share_load(&self, gateway: Incarnation, connections: u64) -> Result<Load, PresenceUnknown> {
        self.now(|state, _| {
            state.leased(gateway)?.connections = Some(connections);
            let said: Vec<_> = state.gateways.values().filter_map(|held| held.connections).collect();
            Ok(Load { gateways: said.len() as u64, connections: said.iter().sum() })
        })
    }

    async fn statuses(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PresenceUnknown> {
        Ok(self.now(|state, _| users.iter().map(|user| state.presence_of(*user)).collect()))
    }
}

impl State {
    fn end_leases(&mut self, now: Instant) {
        if self.earliest_end.is_none_or(|earliest| now < earliest) {
            return;
        }
        let ended: Vec<_> =
            self.gateways.iter().filter(|(_, held)| held.lease_ends <= now).map(|(gateway, _)| *gateway).collect();
        for gateway in ended {
            self.remove(gateway);
        }
        self.earliest_end = self.gateways.values().map(|held| held.lease_ends).min();
    }

    fn remove(&mut self, gateway: Incarnation) {
        let Some(removed) = self.gateways.remove(&gateway) else { return };
        for user in removed.users {
            take_out(&mut self.users, user, gateway);
        }
        for room in removed.rooms {
            take_out(&mut self.rooms, room, gateway);
        }
    }

    fn leased(&mut self, gateway: Incarnation) -> Result<&mut Gateway, PresenceUnknown> {
        self.gateways.get_mut(&gateway).ok_or_else(|| PresenceUnknown(format!("gateway {gateway} holds no lease")))
    }

    fn gateways_of(&self, users: &[UserId], room: Option<RoomId>) -> GatewaysOf {
        let live = self.gateways.len();
        let mut gateways = match room.map(|room| self.rooms.get(&room)) {
            None => Vec::new(),
            Some(None) => self.gateways.keys().copied().collect(),
            Some(Some(holders)) => {
                let unsaid = self.gateways.iter().filter(|(_, held)| !held.keeps_rooms).map(|(gateway, _)| *gateway);
                let mut all: Vec<_> = holders.iter().copied().chain(unsaid).collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        };
        for user in users {
            if gateways.len() == live {
                break;
            }
            for gateway in self.users.get(user).into_iter().flatten() {
                if !gateways.contains(gateway) {
                    gateways.push(*gateway);
                }
            }
        }
        GatewaysOf { gateways, live }
    }

    fn hold_room(&mut self, gateway: Incarnation, room: RoomId, holds: bool) -> Result<(), PresenceUnknown> {
        let held = self.leased(gateway)?;
        if !holds && held.rooms.remove(&room) {
            take_out(&mut self.rooms, room, gateway);
        } else if holds && held.rooms.insert(room) {
            self.rooms.entry(room).or_default().push(gateway);
        }
        Ok(())
    }

    fn set(
        &mut self,
        gateway: Incarnation,
        users: &[(UserId, bool)],
        now: Timestamp,
        most_last_active: usize,
    ) -> Result<Vec<UserPresence>, PresenceUnknown> {
        self.leased(gateway)?;
        // How each stood before: someone named twice has changed only if they stand differently after all of it.
        let mut before = HashMap::with_capacity(users.len());
        let mut order = Vec::with_capacity(users.len());
        for (user, connected) in users {
            before.entry(*user).or_insert_with(|| {
                order.push(*user);
                self.users.contains_key(user)
            });
            if self.set_one(gateway, *user, *connected) {
                self.remember(*user, now, most_last_active);
            }
        }
        order.retain(|user| before.get(user) != Some(&self.users.contains_key(user)));
        Ok(order.into_iter().map(|user| self.presence_of(user)).collect())
    }

    /// Whether that changed anything.
    fn set_one(&mut self, gateway: Incarnation, user: UserId, connected: bool) -> bool {
        let Some(held) = self.gateways.get_mut(&gateway) else { return false };
        let changed = if connected { held.users.insert(user) } else { held.users.remove(&user) };
        if changed && connected {
            self.users.entry(user).or_default().push(gateway);
        } else if changed {
            take_out(&mut self.users, user, gateway);
        }
        changed
    }

    fn remember(&mut self, user: UserId, now: Timestamp, most: usize) {
        self.last_active.put(user, now);
        if self.last_active.len() > most {
            self.last_active.pop_lru();
        }
    }

    fn presence_of(&self, user: UserId) -> UserPresence {
        if self.users.contains_key(&user) {
            return UserPresence { user, status: PresenceStatus::Online, last_active: None };
        }
        UserPresence { user, status: PresenceStatus::Offline, last_active: self.last_active.peek(&user).copied() }
    }
}

fn take_out<K: Eq + Hash>(all: &mut HashMap<K, Vec<Incarnation>>, key: K, gateway: Incarnation) {
    if let Some(gateways) = all.get_mut(&key) {
        gateways.retain(|one| *one != gateway);
        if gateways.is_empty() {
            all.remove(&key);
        }
    }
}
