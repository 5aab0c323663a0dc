//! Who is connected to this gateway.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;
use klatch_domain::{ConnectionId, SessionId, UserId};
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::{connection::Connection, limits::Cell};

/// A list of connections that is rarely longer than this.
pub(crate) type Connections = SmallVec<[Arc<Connection>; 8]>;

/// A user with connections here (or whose limits are not at rest yet).
pub(crate) struct User {
    pub(crate) id: UserId,
    /// Of sends.
    pub(crate) sends: Cell,
    /// Sent too much elsewhere: no send passes before this, microseconds of the timer.
    pub(crate) held_until: AtomicU64,
    /// Unsettled sends of all connections here.
    pub(crate) in_flight: AtomicUsize,
    /// Presence knows that this gateway has connections of them.
    pub(crate) registered: AtomicBool,
    connections: Mutex<SmallVec<[Arc<Connection>; 1]>>,
}

impl User {
    fn new(id: UserId) -> Self {
        Self {
            id,
            sends: Cell::default(),
            held_until: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            registered: AtomicBool::new(false),
            connections: Mutex::default(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.connections.lock().is_empty()
    }

    pub(crate) fn connections(&self) -> Connections {
        self.connections.lock().iter().cloned().collect()
    }
}

/// The user has as many connections here as one may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyConnections;

/// Connections by place, users by id.
#[derive(Default)]
pub(crate) struct Registry {
    places: RwLock<Places>,
    users: RwLock<HashMap<UserId, Arc<User>, RandomState>>,
    /// Changes whenever a user gains or loses a connection: what was derived from the registry before is stale.
    stamp: AtomicU64,
}

#[derive(Default)]
struct Places {
    taken: Vec<Option<Arc<Connection>>>,
    free: Vec<u32>,
}

/// A connection's id holds its place in the last four bytes, so that outcomes find it without another map.
fn id_at(place: u32) -> ConnectionId {
    let mut bytes = *Uuid::new_v4().as_bytes();
    bytes[12..].copy_from_slice(&place.to_be_bytes());
    ConnectionId::from_bytes(bytes)
}

fn place_of(id: ConnectionId) -> usize {
    let bytes = id.as_bytes();
    u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize
}

impl Registry {
    /// Gives a new connection its id and place.
    pub(crate) fn seat(&self, make: impl FnOnce(ConnectionId, u32) -> Connection) -> Arc<Connection> {
        let mut places = self.places.write();
        // Places are bounded by the setting `max_connections`.
        let place = places.free.pop().unwrap_or(places.taken.len() as u32);
        let connection = Arc::new(make(id_at(place), place));
        match places.taken.get_mut(place as usize) {
            Some(seat) => *seat = Some(Arc::clone(&connection)),
            None => places.taken.push(Some(Arc::clone(&connection))),
        }
        connection
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        let places = self.places.read();
        places.taken.get(place_of(id))?.as_ref().filter(|connection| connection.id == id).cloned()
    }

    /// The connections in part `part` of `parts` of all places.
    pub(crate) fn part(&self, part: usize, parts: usize) -> Vec<Arc<Connection>> {
        let places = self.places.read();
        places.taken.iter().skip(part).step_by(parts.max(1)).flatten().cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        self.part(0, 1)
    }

    /// A connection becomes one of this user's.
    pub(crate) fn join(
        &self,
        user: UserId,
        connection: &Arc<Connection>,
        most: usize,
    ) -> Result<Arc<User>, TooManyConnections> {
        let mut users = self.users.write();
        let user = users.entry(user).or_insert_with(|| Arc::new(User::new(user)));
        let mut connections = user.connections.lock();
        if connections.len() >= most {
            return Err(TooManyConnections);
        }
        connections.push(Arc::clone(connection));
        self.stamp.fetch_add(1, Ordering::AcqRel);
        drop(connections);
        Ok(Arc::clone(user))
    }

    /// A connection is over. Answers its user when it was their last.
    pub(crate) fn leave(&self, connection: &Arc<Connection>) -> Option<Arc<User>> {
        let mut places = self.places.write();
        if let Some(seat) = places.taken.get_mut(connection.index as usize)
            && seat.take_if(|seated| Arc::ptr_eq(seated, connection)).is_some()
        {
            places.free.push(connection.index);
        }
        drop(places);
        let user = &connection.identity()?.user;
        let mut connections = user.connections.lock();
        connections.retain(|one| !Arc::ptr_eq(one, connection));
        self.stamp.fetch_add(1, Ordering::AcqRel);
        connections.is_empty().then(|| Arc::clone(user))
    }

    /// Forgets users who have no connections, are not registered, and whose limits are at rest.
    pub(crate) fn forget(&self, users: &[Arc<User>], now_micros: u64) -> Vec<Arc<User>> {
        let mut known = self.users.write();
        let mut kept = Vec::new();
        for user in users {
            if user.is_connected() || user.registered.load(Ordering::Acquire) {
                continue;
            }
            if user.sends.at_rest(now_micros) && user.held_until.load(Ordering::Relaxed) <= now_micros {
                // They may have come again meanwhile, and be another one here.
                if known.get(&user.id).is_some_and(|one| Arc::ptr_eq(one, user)) {
                    known.remove(&user.id);
                }
            } else {
                kept.push(Arc::clone(user));
            }
        }
        kept
    }

    pub(crate) fn user(&self, user: UserId) -> Option<Arc<User>> {
        self.users.read().get(&user).cloned()
    }

    pub(crate) fn users(&self) -> Vec<Arc<User>> {
        self.users.read().values().cloned().collect()
    }

    pub(crate) fn user_count(&self) -> usize {
        self.users.read().len()
    }

    /// Appends the connections of a user.
    pub(crate) fn connections_of(&self, user: UserId, out: &mut Connections) {
        if let Some(user) = self.users.read().get(&user) {
            out.extend(user.connections.lock().iter().cloned());
        }
    }

    pub(crate) fn connections_of_session(&self, user: UserId, session: SessionId) -> Connections {
        let mut connections = Connections::new();
        self.connections_of(user, &mut connections);
        connections.retain(|connection| connection.is_of(session));
        connections
    }

    pub(crate) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::Acquire)
    }

    /// The connections here of so many users, in order of their ids.
    pub(crate) fn connections_among(&self, members: &[UserId]) -> Arc<[Arc<Connection>]> {
        let users = self.users.read();
        let mut found = Vec::new();
        let mut take = |user: &Arc<User>| found.extend(user.connections.lock().iter().cloned());
        if members.len() <= users.len() {
            members.iter().filter_map(|member| users.get(member)).for_each(&mut take);
        } else {
            users.values().filter(|user| members.binary_search(&user.id).is_ok()).for_each(&mut take);
        }
        found.into()
    }
}
