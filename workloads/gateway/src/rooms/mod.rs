//! What this gateway knows of rooms: members by version, where the log ends, who watches, and what waits for an answer.
//!
//! The log decides who is a member; this is a projection of it. Every event names the version of the membership it was
//! written under, and nothing is delivered by an older one: the room is looked up first, and its events wait in order.

mod asking;
mod cache;

use std::{collections::HashMap, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use klatch_bus::{QueryError, RoomMembers};
use klatch_domain::{Appended, Audience, Ordinal, Position, RoomId, Seq, UserId};
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::sync::mpsc;

pub(crate) use asking::Waiting;
use asking::{Asking, Budget, Decided};
use cache::Cache;

use crate::{
    connection::{Connection, NotWatched},
    lookups::Ask,
    registry::{Connections, Registry},
};

/// Rooms that are asked about at once: beyond it something is wrong upstream, and a gap is all that can be told.
const ASKED_ROOMS: usize = 4_096;
/// Until a room is asked about again after the question failed many times.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// An entry on its way to those who may see it.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) appended: Arc<Appended>,
    /// The connection that sent it: `stored` tells it as much.
    pub(crate) skip: Option<Arc<Connection>>,
}

/// Who gets entries.
pub(crate) enum Recipients {
    /// Exactly these members.
    Users(Arc<[UserId]>),
    /// Everyone here who is in the room.
    Local(Arc<[Arc<Connection>]>),
}

/// Entries of one room, in order, for the same recipients.
pub(crate) struct Segment {
    pub(crate) recipients: Recipients,
    pub(crate) deliveries: Vec<Delivery>,
}

/// Where a log ends.
pub(crate) type Head = (Position, Ordinal);

/// An answer about a room.
pub(crate) struct Found {
    pub(crate) room: RoomId,
    pub(crate) members: Result<Option<RoomMembers>, QueryError>,
}

/// What an answer sets free.
#[derive(Default)]
pub(crate) struct Resolved {
    /// Entries were missed here: those who are in the room hear where it ends.
    pub(crate) position: Option<(Arc<[Arc<Connection>]>, Head)>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) decided: Vec<Decided>,
    /// Entries that nobody gets now.
    pub(crate) dropped: usize,
}

/// It cannot be asked about now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CannotAsk;

pub(crate) struct Rooms {
    state: Mutex<State>,
    asks: mpsc::Sender<Ask>,
    cached: IntGauge,
}

struct State {
    cache: Cache,
    asking: HashMap<RoomId, Asking, RandomState>,
    budget: Budget,
    /// Members of the newest membership known, whenever a room is known at all.
    watchers: HashMap<RoomId, Vec<Arc<Connection>>, RandomState>,
}

impl Rooms {
    pub(crate) fn new(asks: mpsc::Sender<Ask>, cached: IntGauge) -> Self {
        let state = State {
            cache: Cache::default(),
            asking: HashMap::default(),
            budget: Budget::default(),
            watchers: HashMap::default(),
        };
        Self { state: Mutex::new(state), asks, cached }
    }

    /// Sorts entries of one room by who gets them. What cannot be delivered yet waits here for an answer. Answers how many
    /// could not even wait.
    pub(crate) fn sort_out(
        &self,
        room: RoomId,
        deliveries: Vec<Delivery>,
        registry: &Registry,
    ) -> (Vec<Segment>, usize) {
        let mut state = self.state.lock();
        let (mut segments, mut dropped) = (Vec::new(), 0);
        for delivery in deliveries {
            state.see(room, &delivery.appended);
            match state.recipients(room, &delivery.appended, registry) {
                Some(recipients) => push(&mut segments, recipients, delivery),
                None => dropped += self.postpone(&mut state, room, delivery),
            }
        }
        self.cached.set(state.cache.len() as i64);
        (segments, dropped)
    }

    fn postpone(&self, state: &mut State, room: RoomId, delivery: Delivery) -> usize {
        if self.begin_asking(state, room).is_err() {
            return 1;
        }
        let State { asking, budget, .. } = state;
        asking.get_mut(&room).map_or(1, |asking| asking.postpone(delivery, budget))
    }

    /// Makes sure that the room is asked about. Answers whether it was not before.
    fn begin_asking(&self, state: &mut State, room: RoomId) -> Result<bool, CannotAsk> {
        if state.asking.contains_key(&room) {
            return Ok(false);
        }
        if state.asking.len() >= ASKED_ROOMS {
            return Err(CannotAsk);
        }
        self.send(room, Duration::ZERO)?;
        state.asking.insert(room, Asking::default());
        Ok(true)
    }

    fn send(&self, room: RoomId, delay: Duration) -> Result<(), CannotAsk> {
        self.asks.try_send(Ask::Members { room, delay }).map_err(|_| CannotAsk)
    }

    /// Whether a user is a member, if that is known now. A no is as old as what is known; before it is told to anyone, ask.
    pub(crate) fn is_member(&self, room: RoomId, user: UserId) -> Option<bool> {
        self.state.lock().cache.is_member(room, user)
    }

    /// Lets a frame wait for an answer that is asked for after it came.
    pub(crate) fn ask(&self, room: RoomId, waiting: Waiting) -> Result<(), CannotAsk> {
        let mut state = self.state.lock();
        let fresh = self.begin_asking(&mut state, room)?;
        let State { asking, budget, .. } = &mut *state;
        asking.get_mut(&room).ok_or(CannotAsk)?.wait(waiting, fresh, budget)
    }

    /// Asks who is in a room, for the sake of what is known of it.
    pub(crate) fn verify(&self, room: RoomId) -> Result<(), CannotAsk> {
        self.begin_asking(&mut self.state.lock(), room).map(drop)
    }

    /// Something of this room was missed: those who are in it are to hear where it ends, unless that is known already.
    pub(crate) fn missed(&self, room: RoomId, head: Head) -> Result<(), CannotAsk> {
        let mut state = self.state.lock();
        if state.cache.head(room).is_some_and(|known| known.0 >= head.0) {
            return Ok(());
        }
        self.begin_asking(&mut state, room)?;
        if let Some(asking) = state.asking.get_mut(&room) {
            asking.miss(head);
        }
        Ok(())
    }

    /// Takes an answer.
    pub(crate) fn resolve(&self, found: Found, registry: &Registry) -> Resolved {
        let Found { room, members } = found;
        let mut state = self.state.lock();
        let Some(mut asking) = state.asking.remove(&room) else { return Resolved::default() };
        let mut resolved = match members {
            Ok(Some(members)) if asking.is_answered_by(members.version) => {
                state.learn(room, members.version, &members.members);
                self.answered(&mut state, room, &mut asking, &members.members, registry)
            }
            Ok(None) => {
                state.forget(room);
                asking.missed = None;
                Resolved {
                    dropped: asking.drop_deliveries(&mut state.budget),
                    decided: asking.decide(|_| false, &mut state.budget),
                    ..Resolved::default()
                }
            }
            // An answer older than an event that is here already counts as none.
            Ok(Some(_)) | Err(_) => {
                let dropped = asking.fail(&mut state.budget);
                Resolved { dropped, decided: asking.give_up(None, &mut state.budget), ..Resolved::default() }
            }
        };
        if asking.goes_on() {
            let delay = asking.next_round(ASK_AGAIN);
            if self.send(room, delay).is_ok() {
                state.asking.insert(room, asking);
            } else {
                // The next event of the room, or the clients' own check, asks again.
                resolved.dropped += asking.drop_deliveries(&mut state.budget);
                resolved.decided.extend(asking.give_up(None, &mut state.budget));
            }
        }
        self.cached.set(state.cache.len() as i64);
        resolved
    }

    fn answered(
        &self,
        state: &mut State,
        room: RoomId,
        asking: &mut Asking,
        members: &Arc<[UserId]>,
        registry: &Registry,
    ) -> Resolved {
        let mut resolved = Resolved::default();
        if let Some(head) = asking.missed.take() {
            state.cache.see(room, head);
            resolved.position = state.cache.local(room, registry).map(|local| (local, head));
        }
        for delivery in asking.take_deliveries(&mut state.budget) {
            state.see(room, &delivery.appended);
            match state.recipients(room, &delivery.appended, registry) {
                Some(recipients) => push(&mut resolved.segments, recipients, delivery),
                None => resolved.dropped += 1,
            }
        }
        resolved.decided = asking.decide(|user| cache::contains(members, user), &mut state.budget);
        resolved
    }

    /// The room is gone.
    pub(crate) fn deleted(&self, room: RoomId) -> Resolved {
        let mut state = self.state.lock();
        state.forget(room);
        self.cached.set(state.cache.len() as i64);
        let Some(mut asking) = state.asking.remove(&room) else { return Resolved::default() };
        let dropped = asking.drop_deliveries(&mut state.budget);
        Resolved { decided: asking.give_up(Some(false), &mut state.budget), dropped, ..Resolved::default() }
    }

    /// Adds a watcher, if they are known to be a member. `None`: ask.
    pub(crate) fn watch(
        &self,
        room: RoomId,
        user: UserId,
        connection: &Arc<Connection>,
    ) -> Option<Result<(), NotWatched>> {
        let mut state = self.state.lock();
        (state.cache.is_member(room, user) == Some(true)).then(|| state.watch(room, connection))
    }

    /// Adds a watcher of whom the answer just taken says that they are a member.
    pub(crate) fn watch_decided(&self, room: RoomId, connection: &Arc<Connection>) -> Result<(), NotWatched> {
        self.state.lock().watch(room, connection)
    }

    /// No longer watches.
    pub(crate) fn unwatch(&self, room: RoomId, connection: &Arc<Connection>) {
        let mut state = self.state.lock();
        state.prune(room, |watcher| watcher.id != connection.id);
        let State { asking, budget, .. } = &mut *state;
        if let Some(asking) = asking.get_mut(&room) {
            asking.unwatch(connection, budget);
        }
    }

    /// The connection is over; its own list is empty already.
    pub(crate) fn drop_watcher(&self, room: RoomId, connection: &Arc<Connection>) {
        let mut state = self.state.lock();
        if let Some(watchers) = state.watchers.get_mut(&room) {
            watchers.retain(|watcher| !Arc::ptr_eq(watcher, connection));
            if watchers.is_empty() {
                state.watchers.remove(&room);
            }
        }
    }

    /// Who watches, if the signal's sender is known to be a member. `None`: ask.
    pub(crate) fn watchers_for(&self, room: RoomId, sender: UserId) -> Option<Connections> {
        let state = self.state.lock();
        if state.cache.is_member(room, sender) != Some(true) {
            return None;
        }
        Some(state.watchers.get(&room).into_iter().flatten().cloned().collect())
    }

    pub(crate) fn has_watchers(&self, room: RoomId) -> bool {
        self.state.lock().watchers.contains_key(&room)
    }

    /// Everyone here who is in the room, by the newest membership known.
    pub(crate) fn local(&self, room: RoomId, registry: &Registry) -> Option<Arc<[Arc<Connection>]>> {
        self.state.lock().cache.local(room, registry)
    }

    /// Rooms that live here: known, or watched. At most so many, the most recent first.
    pub(crate) fn active(&self, most: usize) -> Vec<RoomId> {
        let state = self.state.lock();
        let watched = state.watchers.keys().copied();
        let known = state.cache.rooms().filter(|room| !state.watchers.contains_key(room));
        watched.chain(known).take(most).collect()
    }
}

impl State {
    fn watch(&mut self, room: RoomId, connection: &Arc<Connection>) -> Result<(), NotWatched> {
        if connection.watching.lock().add_room(room)? {
            self.watchers.entry(room).or_default().push(Arc::clone(connection));
        }
        Ok(())
    }

    fn see(&mut self, room: RoomId, appended: &Appended) {
        let Appended { entry, members_version, audience, removed, .. } = appended;
        if let Audience::Members(members) = audience {
            self.learn(room, *members_version, members);
        }
        if let Some(removed) = removed {
            self.cache.outdate(room, *members_version);
            self.prune(room, |watcher| watcher.identity().is_some_and(|identity| identity.user.id != *removed));
        }
        self.cache.see(room, (entry.position, entry.ordinal));
    }

    /// Who gets this entry; `None` while that is not known, or earlier entries still wait for it.
    fn recipients(&mut self, room: RoomId, appended: &Appended, registry: &Registry) -> Option<Recipients> {
        if self.asking.get(&room).is_some_and(Asking::has_deliveries) {
            return None;
        }
        match &appended.audience {
            Audience::Members(members) => Some(Recipients::Users(Arc::clone(members))),
            Audience::Room => {
                if !self.cache.reaches(room, appended.members_version) {
                    return None;
                }
                self.cache.local(room, registry).map(Recipients::Local)
            }
        }
    }

    fn learn(&mut self, room: RoomId, version: Seq, members: &Arc<[UserId]>) {
        if self.cache.learn(room, version, members) {
            self.prune(room, |watcher| {
                watcher.identity().is_some_and(|identity| cache::contains(members, identity.user.id))
            });
        }
    }

    fn prune(&mut self, room: RoomId, keep: impl Fn(&Connection) -> bool) {
        let Some(watchers) = self.watchers.get_mut(&room) else { return };
        watchers.retain(|watcher| {
            let keep = keep(watcher);
            if !keep {
                watcher.watching.lock().remove_room(room);
            }
            keep
        });
        if watchers.is_empty() {
            self.watchers.remove(&room);
        }
    }

    fn forget(&mut self, room: RoomId) {
        self.cache.forget(room);
        self.prune(room, |_| false);
    }
}

fn push(segments: &mut Vec<Segment>, recipients: Recipients, delivery: Delivery) {
    let same = |last: &Segment| match (&last.recipients, &recipients) {
        (Recipients::Users(last), Recipients::Users(next)) => Arc::ptr_eq(last, next) || last == next,
        (Recipients::Local(last), Recipients::Local(next)) => Arc::ptr_eq(last, next),
        _ => false,
    };
    match segments.last_mut() {
        Some(last) if same(last) => last.deliveries.push(delivery),
        _ => segments.push(Segment { recipients, deliveries: vec![delivery] }),
    }
}
