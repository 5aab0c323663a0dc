//! A directory that fails when told to: before it does a call, or after it has done it, as a lost connection would.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use klatch_domain::{Command, Preferences, RoomId, SessionId, SlotMap, Timestamp, UserId, Username};
use klatch_store::{
    MemberToNotify, Notifiable, StoreError,
    directory::{
        Befriending, Directory, FriendChange, Friendship, Friendships, MemberProjection, ProfileChange, Replies,
        Revoke, RoomOfUser, RoomProjection, RoomProjections, Session, Sessions, SlotMaps, User, UserError, Users,
    },
    owed::{Owed, OwedCommands},
};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was done.
    Before,
    /// It was done, and nobody heard of it.
    After,
    /// The caller's code panics.
    Panic,
    /// No answer comes.
    Silence,
}

/// A directory in front of the real one.
pub(crate) struct FaultyDirectory {
    inner: Arc<dyn Directory>,
    faults: Mutex<HashMap<&'static str, Vec<Fault>>>,
    gates: Mutex<HashMap<&'static str, Arc<Gate>>>,
}

/// Where one call waits until it may go on.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) reached: Notify,
    pub(crate) open: Notify,
}

impl FaultyDirectory {
    pub(crate) fn new(inner: Arc<dyn Directory>) -> Self {
        Self { inner, faults: Mutex::default(), gates: Mutex::default() }
    }

    /// The next call of this method fails.
    pub(crate) fn fail(&self, method: &'static str, fault: Fault) {
        self.faults.lock().entry(method).or_default().push(fault);
    }

    /// The next call of this method waits.
    pub(crate) fn hold(&self, method: &'static str) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.gates.lock().insert(method, Arc::clone(&gate));
        gate
    }

    async fn pass(&self, method: &'static str) {
        let gate = self.gates.lock().remove(method);
        if let Some(gate) = gate {
            gate.reached.notify_one();
            gate.open.notified().await;
        }
    }

    fn take(&self, method: &'static str) -> Option<Fault> {
        self.faults.lock().get_mut(method).and_then(Vec::pop)
    }
}

fn lost(step: &'static str) -> StoreError {
    StoreError::Unknown { step, source_text: "told to fail".to_owned() }
}

macro_rules! delegate {
    ($trait:ident { $(fn $name:ident($($argument:ident: $type:ty),*) -> Result<$ok:ty, $error:ty>;)* }) => {
        #[async_trait]
        impl $trait for FaultyDirectory {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$ok, $error> {
                self.pass(stringify!($name)).await;
                let fault = self.take(stringify!($name));
                assert!(fault != Some(Fault::Panic), "told to panic");
                if fault == Some(Fault::Silence) {
                    std::future::pending::<()>().await;
                }
                if fault == Some(Fault::Before) {
                    return Err(lost(stringify!($name)).into());
                }
                let done = self.inner.$name($($argument),*).await;
                if fault == Some(Fault::After) { Err(lost(stringify!($name)).into()) } else { done }
            })*
        }
    };
}

delegate!(Users {
    fn create_user(user: &User, password_hash: &str) -> Result<(), UserError>;
    fn users(ids: &[UserId]) -> Result<Vec<User>, StoreError>;
    fn credentials(username: &Username) -> Result<Option<(User, String)>, StoreError>;
    fn search_users(query: &str, after: Option<&Username>, limit: usize) -> Result<Vec<User>, StoreError>;
    fn change_profile(user: UserId, change: &ProfileChange) -> Result<Option<User>, UserError>;
    fn set_password(user: UserId, password_hash: &str) -> Result<bool, StoreError>;
    fn set_disabled(user: UserId, disabled: bool) -> Result<bool, StoreError>;
    fn set_admin(user: UserId, is_admin: bool) -> Result<bool, StoreError>;
    fn delete_user(user: UserId) -> Result<bool, StoreError>;
});

delegate!(Sessions {
    fn create_session(session: &Session) -> Result<(), StoreError>;
    fn session(id: SessionId) -> Result<Option<Session>, StoreError>;
    fn sessions_of(user: UserId, after: Option<SessionId>, limit: usize) -> Result<Vec<Session>, StoreError>;
    fn rotate_secret(
        id: SessionId, from: u64, secret_hash: [u8; 32], used_at: Timestamp, expires_at: Timestamp
    ) -> Result<bool, StoreError>;
    fn touch_session(id: SessionId, used_at: Timestamp) -> Result<(), StoreError>;
    fn revoke_sessions(user: UserId, which: Revoke<'_>, at: Timestamp) -> Result<Vec<SessionId>, StoreError>;
    fn revoked_since(since: Timestamp) -> Result<Vec<(SessionId, UserId)>, StoreError>;
});

delegate!(Friendships {
    fn befriend(
        actor: UserId, other: UserId, at: Timestamp, owes: Befriending<'_>
    ) -> Result<FriendChange, StoreError>;
    fn unfriend(actor: UserId, other: UserId, owes: &[Command]) -> Result<FriendChange, StoreError>;
    fn set_block(
        actor: UserId, other: UserId, on: bool, at: Timestamp, owes: &[Command]
    ) -> Result<FriendChange, StoreError>;
    fn friendships(user: UserId, after: Option<UserId>, limit: usize) -> Result<Vec<Friendship>, StoreError>;
    fn blocks_between(user: UserId, others: &[UserId]) -> Result<Vec<(UserId, UserId)>, StoreError>;
    fn acquainted(user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError>;
});

delegate!(RoomProjections {
    fn project(rooms: &[RoomProjection], members: &[MemberProjection]) -> Result<(), StoreError>;
    fn rooms_of(user: UserId, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomOfUser>, StoreError>;
    fn rooms_of_among(user: UserId, rooms: &[RoomId]) -> Result<Vec<RoomOfUser>, StoreError>;
    fn rooms_above(users: &[UserId], members: u64) -> Result<Vec<(UserId, RoomId)>, StoreError>;
    fn room(room: RoomId) -> Result<Option<RoomProjection>, StoreError>;
    fn members_of(room: RoomId, after: Option<UserId>, limit: usize) -> Result<Vec<MemberProjection>, StoreError>;
    fn public_rooms(
        query: &str, after: Option<(&str, RoomId)>, limit: usize
    ) -> Result<Vec<(RoomProjection, u64)>, StoreError>;
    fn set_preferences(
        user: UserId, room: RoomId, preferences: Preferences, owes: &[Command]
    ) -> Result<bool, StoreError>;
});

delegate!(Notifiable {
    fn members_to_notify(
        room: RoomId, after: Option<UserId>, limit: usize
    ) -> Result<Vec<MemberToNotify>, StoreError>;
});

delegate!(Replies {
    fn reply(key: &str, since: Timestamp) -> Result<Option<Vec<u8>>, StoreError>;
    fn keep_reply(key: &str, answer: &[u8], at: Timestamp, since: Timestamp) -> Result<Vec<u8>, StoreError>;
});

delegate!(OwedCommands {
    fn owed(room: Option<RoomId>, after: u64, limit: usize) -> Result<Vec<Owed>, StoreError>;
    fn settle_owed(places: &[u64]) -> Result<(), StoreError>;
});

delegate!(SlotMaps {
    fn slot_map() -> Result<Option<SlotMap>, StoreError>;
    fn init_slot_map(map: &SlotMap) -> Result<SlotMap, StoreError>;
});
