//! The directory: users, sessions, friendships, and projections of what the logs have decided about rooms and members.

use async_trait::async_trait;
use klatch_domain::{
    Command, DisplayName, Email, Preferences, Role, RoomId, RoomKind, RoomName, Seq, SessionId, SlotMap, Timestamp,
    UserId, Username, Visibility,
};

use crate::{Notifiable, StoreError, owed::OwedCommands};

/// A user as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Unique, lower case.
    pub username: Username,
    /// What others see; the username when empty.
    pub display_name: Option<DisplayName>,
    /// Unique when set.
    pub email: Option<Email>,
    /// Address of a picture (comes with files).
    pub avatar: Option<String>,
    /// What the user says of themselves.
    pub status: Option<UserStatus>,
    /// Whether others see this user's read watermarks.
    pub read_receipts: bool,
    /// No notifications until then.
    pub do_not_disturb_until: Option<Timestamp>,
    /// May administer this installation.
    pub is_admin: bool,
    /// May not sign in.
    pub disabled: bool,
    /// When they signed up.
    pub created_at: Timestamp,
}

/// A user's status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserStatus {
    /// At most 100 characters.
    pub text: String,
    /// One emoji.
    pub emoji: String,
    /// Gone from then on.
    pub until: Option<Timestamp>,
}

/// What of a user's own profile changes; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// New name shown.
    pub display_name: Option<DisplayName>,
    /// New address; `Some(None)` removes it.
    pub email: Option<Option<Email>>,
    /// New picture; `Some(None)` removes it.
    pub avatar: Option<Option<String>>,
    /// New status; `Some(None)` removes it.
    pub status: Option<Option<UserStatus>>,
    /// Read receipts on or off.
    pub read_receipts: Option<bool>,
    /// `Some(None)` ends it.
    pub do_not_disturb_until: Option<Option<Timestamp>>,
}

/// Why a user could not be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The username is taken.
    #[error("the username is taken")]
    UsernameTaken,
    /// The e-mail address belongs to another user.
    #[error("the e-mail address belongs to another user")]
    EmailTaken,
    /// As for every call.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Users.
#[async_trait]
pub trait Users: Send + Sync {
    /// A new user with the hash of their password (PHC string). One whose id is there already has its name taken, by itself.
    ///
    /// # Errors
    /// [`UserError`].
    async fn create_user(&self, user: &User, password_hash: &str) -> Result<(), UserError>;
    /// Users of these ids; those not found are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError>;
    /// The user of this name with their password hash: for sign-in.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn credentials(&self, username: &Username) -> Result<Option<(User, String)>, StoreError>;
    /// Users whose username or shown name starts with `query`, case folded, by username after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn search_users(&self, query: &str, after: Option<&Username>, limit: usize) -> Result<Vec<User>, StoreError>;
    /// Changes a profile; answers how it stands then, `None` for an unknown user.
    ///
    /// # Errors
    /// [`UserError`].
    async fn change_profile(&self, user: UserId, change: &ProfileChange) -> Result<Option<User>, UserError>;
    /// New password hash. Answers false for an unknown user.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_password(&self, user: UserId, password_hash: &str) -> Result<bool, StoreError>;
    /// Whether the user may sign in. Answers false for an unknown user.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_disabled(&self, user: UserId, disabled: bool) -> Result<bool, StoreError>;
    /// Whether the user administers the installation. Answers false for an unknown user.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_admin(&self, user: UserId, is_admin: bool) -> Result<bool, StoreError>;
    /// Forgets a user: the row stays under its id, disabled, with a name nobody can sign in by, and everything personal
    /// in it emptied, so that old entries still have an author. Friendships go.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delete_user(&self, user: UserId) -> Result<bool, StoreError>;
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// A signed-in device with refresh tokens.
    Device,
    /// A bot token: long-lived, named, made by its owner.
    BotToken,
}

/// A session as stored. Secrets stand here only as SHA-256 hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// Device or bot token.
    pub kind: SessionKind,
    /// What its owner calls it.
    pub name: String,
    /// Hash of the newest refresh token, or of the bot token.
    pub secret_hash: [u8; 32],
    /// Rises with every refresh: a refresh token names the number it was made for, so an older one shows its reuse.
    pub secret_number: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last got an access token.
    pub last_used_at: Timestamp,
    /// Not valid from then on.
    pub expires_at: Option<Timestamp>,
    /// Ended.
    pub revoked_at: Option<Timestamp>,
}

/// Sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// A new session.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn create_session(&self, session: &Session) -> Result<(), StoreError>;
    /// One session, ended or not.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// The user's sessions that are not revoked, newest first, after (older than) `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn sessions_of(
        &self,
        user: UserId,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError>;
    /// Replaces the secret if it still has number `from` and the session is not revoked (compare and set); the new one
    /// has number `from + 1`. Answers whether it did: false means somebody else was first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn rotate_secret(
        &self,
        id: SessionId,
        from: u64,
        secret_hash: [u8; 32],
        used_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Notes that a bot token was used.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn touch_session(&self, id: SessionId, used_at: Timestamp) -> Result<(), StoreError>;
    /// Ends sessions: those of `ids` that belong to `user`, or all of the user but `except`. Answers which were ended now.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn revoke_sessions(
        &self,
        user: UserId,
        which: Revoke<'_>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;
    /// Sessions ended at or after this time, for whoever may have missed the news.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, UserId)>, StoreError>;
}

/// Which sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoke<'a> {
    /// These.
    Only(&'a [SessionId]),
    /// All of the user.
    All,
    /// All of the user but this one.
    AllExcept(SessionId),
}

/// How two users stand, seen from one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FriendStatus {
    /// I asked.
    Requested,
    /// They asked.
    Incoming,
    /// Friends.
    Accepted,
    /// I blocked them. (That they blocked me never shows as a status.)
    Blocked,
}

/// One line of a friend list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Friendship {
    /// The other.
    pub user: UserId,
    /// How we stand.
    pub status: FriendStatus,
    /// Since when.
    pub since: Timestamp,
}

/// What a change of a friendship came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FriendChange {
    /// As it was.
    Unchanged(Option<FriendStatus>),
    /// The status of the actor from now on; `None`: nothing between them.
    Changed(Option<FriendStatus>),
    /// One has blocked the other: nothing was changed.
    Blocked,
}

/// What befriending owes the logs, by what it comes to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Befriending<'a> {
    /// The actor has asked.
    pub requested: &'a [Command],
    /// The actor has accepted.
    pub accepted: &'a [Command],
}

/// Friendships and blocks.
#[async_trait]
pub trait Friendships: Send + Sync {
    /// Asks, or accepts when asked. Two who ask at the same time become friends. A change keeps the commands of what it
    /// came to.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn befriend(
        &self,
        actor: UserId,
        other: UserId,
        at: Timestamp,
        owes: Befriending<'_>,
    ) -> Result<FriendChange, StoreError>;
    /// Ends a friendship, takes back or refuses a request. A change keeps `owes`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn unfriend(&self, actor: UserId, other: UserId, owes: &[Command]) -> Result<FriendChange, StoreError>;
    /// Blocks (and ends any friendship) or unblocks. A change keeps `owes`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_block(
        &self,
        actor: UserId,
        other: UserId,
        on: bool,
        at: Timestamp,
        owes: &[Command],
    ) -> Result<FriendChange, StoreError>;
    /// The actor's friends, requests and blocks, by the other's id after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn friendships(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Friendship>, StoreError>;
    /// Which of `others` have blocked `user`, or are blocked by them: (by, blocked) pairs.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn blocks_between(&self, user: UserId, others: &[UserId]) -> Result<Vec<(UserId, UserId)>, StoreError>;
    /// Which of `others` are friends of `user` or share a room with them, and have no block between: whose presence shows.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError>;
}

/// The directory's copy of a room: what lists and searches need. The log decides; this follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomProjection {
    /// Id.
    pub id: RoomId,
    /// Direct or group (inboxes have no projection).
    pub kind: RoomKind,
    /// Groups.
    pub name: Option<RoomName>,
    /// Groups.
    pub visibility: Visibility,
    /// Seq of the entry this was taken from: an older one never replaces a newer one.
    pub version: Seq,
    /// When it was made.
    pub created_at: Timestamp,
    /// Closed.
    pub deleted: bool,
}

/// A member's projection as it changes: role, or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberProjection {
    /// In which room.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// `None`: no member any more.
    pub role: Option<Role>,
    /// When they joined.
    pub joined_at: Timestamp,
    /// Seq of the entry that decided it.
    pub version: Seq,
}

/// A room in one user's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOfUser {
    /// The room.
    pub room: RoomProjection,
    /// The user's role.
    pub role: Role,
    /// How many are in it.
    pub member_count: u64,
    /// Direct rooms: the other one.
    pub peer: Option<UserId>,
    /// The user's own settings.
    pub preferences: Preferences,
}

/// Rooms and members as projected from the logs, and users' own settings of rooms.
#[async_trait]
pub trait RoomProjections: Send + Sync {
    /// Takes over what the logs have decided, where it is newer. One transaction; repeating changes nothing. A deleted
    /// room loses its members.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn project(&self, rooms: &[RoomProjection], members: &[MemberProjection]) -> Result<(), StoreError>;
    /// The user's rooms by id after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn rooms_of(&self, user: UserId, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomOfUser>, StoreError>;
    /// Those of `rooms` that the user is in.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn rooms_of_among(&self, user: UserId, rooms: &[RoomId]) -> Result<Vec<RoomOfUser>, StoreError>;
    /// The rooms of each of these users that have more than so many members: pairs, in no order.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn rooms_above(&self, users: &[UserId], members: u64) -> Result<Vec<(UserId, RoomId)>, StoreError>;
    /// One room, deleted or not.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn room(&self, room: RoomId) -> Result<Option<RoomProjection>, StoreError>;
    /// Members by user id after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn members_of(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<MemberProjection>, StoreError>;
    /// Public groups whose name starts with `query`, case folded, by (name, id) after `after`, with their member counts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn public_rooms(
        &self,
        query: &str,
        after: Option<(&str, RoomId)>,
        limit: usize,
    ) -> Result<Vec<(RoomProjection, u64)>, StoreError>;
    /// The user's own settings of a room they are in, with the commands they owe. Answers false when they are not in it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_preferences(
        &self,
        user: UserId,
        room: RoomId,
        preferences: Preferences,
        owes: &[Command],
    ) -> Result<bool, StoreError>;
}

/// Answers to requests that carried an `Idempotency-Key`, kept for a short time.
#[async_trait]
pub trait Replies: Send + Sync {
    /// The answer kept under this key, if it is younger than `since`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn reply(&self, key: &str, since: Timestamp) -> Result<Option<Vec<u8>>, StoreError>;
    /// Keeps an answer, unless one is there that is younger than `since`; older ones than that are dropped on the way.
    /// Answers what stands there now.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn keep_reply(
        &self,
        key: &str,
        answer: &[u8],
        at: Timestamp,
        since: Timestamp,
    ) -> Result<Vec<u8>, StoreError>;
}

/// The slot map as the directory keeps it.
#[async_trait]
pub trait SlotMaps: Send + Sync {
    /// The newest slot map; `None` before the first start.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn slot_map(&self) -> Result<Option<SlotMap>, StoreError>;
    /// Stores the first slot map; one that is there stays. Answers what stands there now.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn init_slot_map(&self, map: &SlotMap) -> Result<SlotMap, StoreError>;
}

/// The whole directory.
pub trait Directory:
    Users + Sessions + Friendships + RoomProjections + Notifiable + Replies + OwedCommands + SlotMaps + 'static
{
}
impl<T: Users + Sessions + Friendships + RoomProjections + Notifiable + Replies + OwedCommands + SlotMaps + 'static>
    Directory for T
{
}
