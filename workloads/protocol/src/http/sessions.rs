//! Sessions: signed-in devices and bot tokens.

use klatch_domain::{SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Me;

/// `POST /v1/sessions`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignIn {
    /// Username.
    pub username: String,
    /// Password.
    #[schema(write_only)]
    pub password: String,
    /// What the owner will know this device by.
    pub device_name: String,
    /// The refresh token comes as a cookie.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cookie: bool,
}

/// Answer of sign-in and refresh.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// The session.
    pub session_id: SessionId,
    /// Who.
    pub user: Me,
    /// JWT for `Authorization: Bearer` and `hello`.
    pub access_token: String,
    /// How long it lives.
    pub expires_in_seconds: u64,
    /// Works once; absent when it comes as a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// `POST /v1/sessions/refresh`; an empty object when the cookie carries the token.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RefreshSession {
    /// From the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// `POST /v1/sessions/exchange`: a bot token for an access token.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ExchangeToken {
    /// The bot token.
    pub bot_token: String,
}

/// `POST /v1/bot-tokens`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateBotToken {
    /// What its owner will know it by: 1 to 100 characters.
    pub name: String,
}

/// Answer of `POST /v1/bot-tokens`. The token is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BotTokenCreated {
    /// The session it stands for: `DELETE /v1/sessions/{id}` revokes it.
    pub session_id: SessionId,
    /// Its name.
    pub name: String,
    /// The secret.
    pub bot_token: String,
}

/// One session of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionOut {
    /// Id.
    pub id: SessionId,
    /// "device" or "bot_token".
    pub kind: String,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last got an access token.
    pub last_used_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// A page of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// Newest first.
    pub sessions: Vec<SessionOut>,
    /// For `after`, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
