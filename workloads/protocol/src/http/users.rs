//! Users, friends, blocks.

use klatch_domain::{Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// `POST /v1/users`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignUp {
    /// 1 to 50 of a-z 0-9 . _ -
    pub username: String,
    /// At least 8 characters.
    #[schema(write_only)]
    pub password: String,
    /// 1 to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// At most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// What others see of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// Id.
    pub id: UserId,
    /// What they sign in with.
    pub username: String,
    /// What to call them.
    pub display_name: String,
    /// Address of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// What they say of themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusLine>,
}

/// A user's status line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusLine {
    /// At most 100 characters.
    #[serde(default)]
    pub text: String,
    /// One emoji.
    #[serde(default)]
    pub emoji: String,
    /// Gone from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// One's own profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// What others see too.
    #[serde(flatten)]
    pub profile: Profile,
    /// For sign-in matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether others see how far one has read.
    pub read_receipts: bool,
    /// No notifications until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub do_not_disturb_until: Option<Timestamp>,
}

/// `PATCH /v1/users/me`: what is left out stays; null removes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeProfile {
    /// New name shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// New address.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub email: Option<Option<String>>,
    /// New picture.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Option<String>>,
    /// New status.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub status: Option<Option<StatusLine>>,
    /// Read receipts on or off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_receipts: Option<bool>,
    /// No notifications until then.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub do_not_disturb_until: Option<Option<Timestamp>>,
}

/// Tells a field that is null from one that is left out.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// `PUT /v1/users/me/password`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangePassword {
    /// The one in use.
    #[schema(write_only)]
    pub old: String,
    /// The one from now on.
    #[schema(write_only)]
    pub new: String,
}

/// `{user}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserAnswer {
    /// The user.
    pub user: Me,
}

/// A page of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Users {
    /// By username.
    pub users: Vec<Profile>,
    /// For `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/users`: either `query`, or `ids`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct UsersQuery {
    /// Start of a username or shown name.
    pub query: Option<String>,
    /// Ids, separated by commas; at most 100.
    pub ids: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// At most 200.
    pub limit: Option<usize>,
}

/// How two users stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FriendStatus {
    /// I asked.
    Requested,
    /// They asked.
    Incoming,
    /// Friends.
    Accepted,
    /// I blocked them.
    Blocked,
}

/// One line of the friend list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Friend {
    /// The other.
    pub user: Profile,
    /// How we stand.
    pub status: FriendStatus,
    /// Since when.
    pub since: Timestamp,
}

/// A page of friends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Friends {
    /// By the other's id.
    pub friends: Vec<Friend>,
    /// For `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
