//! Answers a test scripts, in place of api's.

#![allow(clippy::unwrap_used, missing_docs, reason = "for tests only")]

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use klatch_bus::{Queries, QueryError, RoomMembers};
use klatch_domain::{Ordinal, Position, RoomId, RoomKind, SessionId, Timestamp, UserId};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::gateway_world::Room;

/// Unknown rooms do not exist; nobody sees anybody; nothing was revoked.
pub struct ScriptedQueries {
    state: Mutex<State>,
    /// While false, no question is answered.
    answering: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    members: HashMap<RoomId, RoomMembers>,
    large: HashSet<RoomId>,
    heads: HashMap<RoomId, (Position, Ordinal)>,
    revoked: Vec<(SessionId, UserId, Timestamp)>,
    visible: HashSet<(UserId, UserId)>,
    failing: bool,
    asked_members: usize,
    asked_rooms: usize,
}

impl Default for ScriptedQueries {
    fn default() -> Self {
        Self { state: Mutex::default(), answering: watch::Sender::new(true) }
    }
}

impl ScriptedQueries {
    /// The room stands as it does now.
    pub fn know(&self, room: &Room) {
        let members =
            RoomMembers { version: room.version, kind: RoomKind::Group, members: Arc::from(room.members.clone()) };
        let mut state = self.state.lock();
        state.members.insert(room.id, members);
        state.heads.insert(room.id, room.head());
        if !room.small {
            state.large.insert(room.id);
        }
    }

    pub fn revoke(&self, session: SessionId, user: UserId, at: Timestamp) {
        self.state.lock().revoked.push((session, user, at));
    }

    pub fn let_see(&self, viewer: UserId, user: UserId) {
        self.state.lock().visible.insert((viewer, user));
    }

    pub fn hide(&self, viewer: UserId, user: UserId) {
        self.state.lock().visible.remove(&(viewer, user));
    }

    /// The room exists no longer.
    pub fn forget(&self, room: RoomId) {
        let mut state = self.state.lock();
        state.members.remove(&room);
        state.heads.remove(&room);
    }

    /// Every question fails from now on, or no longer.
    pub fn fail(&self, failing: bool) {
        self.state.lock().failing = failing;
    }

    /// Questions wait for their answer from now on, or no longer.
    pub fn hold(&self, holding: bool) {
        self.answering.send_replace(!holding);
    }

    /// How often members were asked for.
    pub fn asked_members(&self) -> usize {
        self.state.lock().asked_members
    }

    /// How often it was asked which large rooms users are in.
    pub fn asked_rooms(&self) -> usize {
        self.state.lock().asked_rooms
    }

    async fn answer<T>(&self, query: &'static str, answer: impl FnOnce(&State) -> T) -> Result<T, QueryError> {
        self.answering.subscribe().wait_for(|answering| *answering).await.unwrap();
        let state = self.state.lock();
        if state.failing {
            return Err(QueryError { query, reason: "scripted".to_owned() });
        }
        Ok(answer(&state))
    }
}

#[async_trait]
impl Queries for ScriptedQueries {
    async fn members(&self, room: RoomId) -> Result<Option<RoomMembers>, QueryError> {
        self.state.lock().asked_members += 1;
        self.answer("members", |state| state.members.get(&room).cloned()).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, (Position, Ordinal)>, QueryError> {
        let heads = |state: &State| rooms.iter().filter_map(|room| Some((*room, *state.heads.get(room)?))).collect();
        self.answer("heads", heads).await
    }

    async fn rooms_above(&self, users: &[UserId], _members: u64) -> Result<Vec<(UserId, RoomId)>, QueryError> {
        self.state.lock().asked_rooms += 1;
        let of = |state: &State, user: UserId| {
            let rooms = state
                .large
                .iter()
                .filter(|room| state.members.get(room).is_some_and(|members| members.members.contains(&user)));
            rooms.map(|room| (user, *room)).collect::<Vec<_>>()
        };
        self.answer("rooms_above", |state| users.iter().flat_map(|user| of(state, *user)).collect()).await
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, UserId)>, QueryError> {
        let ended = |state: &State| {
            let ended = state.revoked.iter().filter(|(.., at)| *at >= since);
            ended.map(|(session, user, _)| (*session, *user)).collect()
        };
        self.answer("revoked_since", ended).await
    }

    async fn visible_presence(&self, viewer: UserId, users: &[UserId]) -> Result<Vec<UserId>, QueryError> {
        let seen =
            |state: &State| users.iter().copied().filter(|user| state.visible.contains(&(viewer, *user))).collect();
        self.answer("visible_presence", seen).await
    }
}
