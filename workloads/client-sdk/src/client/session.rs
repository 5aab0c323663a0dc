//! Who we are to the server: a session that is kept, a bot token, or an access token somebody else made.

use std::{fmt, io, sync::Arc, time::Duration};

use klatch_domain::{SessionId, Timestamp};
use klatch_protocol::http::{ExchangeToken, Me, RefreshSession, SignIn, SignedIn};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ClientError;
use super::http::Http;

/// A kept access token with less than this left is not used but replaced.
const WORTH_USING: Duration = Duration::from_secs(60);

/// A signed-in device, as it is kept between runs. It holds secrets: keep it where only its owner reads.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The server's address.
    pub server: String,
    /// The session's id: `DELETE /v1/sessions/{id}` ends it.
    pub session_id: SessionId,
    /// Who.
    pub user: Me,
    /// Works once.
    pub refresh_token: String,
    /// Goes with the refresh token: asked twice with the same key, the server answers the same, so a reply lost to a
    /// crash can be had again (for 60 s, wire contract).
    pub refresh_key: Uuid,
    /// Lives some minutes.
    pub access_token: String,
    /// Until then, by this machine's clock.
    pub access_expires_at: Timestamp,
}

impl fmt::Debug for Session {
    /// Without its secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("server", &self.server)
            .field("session_id", &self.session_id)
            .field("user", &self.user.profile.username)
            .finish_non_exhaustive()
    }
}

/// What a client signs in with.
#[derive(Clone)]
pub enum Credentials {
    /// A new session of a person's device.
    Password {
        /// Username.
        username: String,
        /// Password.
        password: String,
        /// What the owner will know this device by.
        device_name: String,
    },
    /// A session kept from before.
    Session(Box<Session>),
    /// A bot's long-lived token.
    BotToken(String),
    /// An access token somebody else made; it is not renewed.
    AccessToken {
        /// The token.
        token: String,
        /// How long it lives.
        lives: Duration,
    },
}

/// Keeps a session; called with every new refresh token before the server hears of anything done with it. An error makes
/// the client go on with the old one.
pub type KeepSession = Arc<dyn Fn(&Session) -> io::Result<()> + Send + Sync>;

/// Where a session is kept that several processes use. Each refresh token works once, so one process refreshes at a time,
/// from the newest that was kept.
pub trait SharedSession: Send + Sync {
    /// Waits until no other process refreshes, and answers the newest session kept; nobody else refreshes until what comes
    /// with it is dropped. Blocks.
    ///
    /// # Errors
    /// When it cannot be locked or read.
    fn take(&self) -> io::Result<(Option<Session>, Box<dyn Send>)>;
}

/// An access token and how long it lives.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) token: String,
    pub(crate) lives: Duration,
}

enum Grant {
    Refresh(Box<Session>),
    Bot(String),
    Fixed(Access),
}

/// Gets access tokens.
pub(crate) struct Authority {
    http: Http,
    grant: Grant,
    keep: Option<KeepSession>,
    shared: Option<Arc<dyn SharedSession>>,
    /// For the first answer: the kept token may still be good.
    kept: Option<Access>,
}

impl Authority {
    /// Signs in with a password; the rest needs no call yet.
    pub(crate) async fn open(
        http: Http,
        credentials: Credentials,
        keep: Option<KeepSession>,
        shared: Option<Arc<dyn SharedSession>>,
    ) -> Result<Self, ClientError> {
        let (grant, kept) = match credentials {
            Credentials::Password { username, password, device_name } => {
                let body = SignIn { username, password, device_name, cookie: false };
                let call = http.call("sign in", Method::POST, &["sessions"]).body(&body);
                let answer: SignedIn = http.send(call, None).await?;
                let session = session_of(http.server(), answer, "sign in")?;
                if let Some(keep) = &keep {
                    keep(&session).map_err(ClientError::SessionNotKept)?;
                }
                let kept = remaining(&session);
                (Grant::Refresh(Box::new(session)), kept)
            }
            Credentials::Session(session) => {
                let kept = remaining(&session).filter(|access| access.lives > WORTH_USING);
                (Grant::Refresh(session), kept)
            }
            Credentials::BotToken(token) => (Grant::Bot(token), None),
            Credentials::AccessToken { token, lives } => (Grant::Fixed(Access { token, lives }), None),
        };
        Ok(Self { http, grant, keep, shared, kept })
    }

    /// The session, if there is one to be kept.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.grant {
            Grant::Refresh(session) => Some(session),
            _ => None,
        }
    }

    /// An access token that is newer than any before.
    pub(crate) async fn access(&mut self) -> Result<Access, ClientError> {
        if let Some(kept) = self.kept.take() {
            return Ok(kept);
        }
        match &mut self.grant {
            Grant::Refresh(session) => {
                let (newest, _taken) = newest(self.shared.clone()).await?;
                if let Some(newest) = newest.filter(|newest| newest.refresh_token != session.refresh_token) {
                    **session = newest;
                    if let Some(access) = remaining(session).filter(|access| access.lives > WORTH_USING) {
                        return Ok(access);
                    }
                }
                let body = RefreshSession { refresh_token: Some(session.refresh_token.clone()) };
                let call = self.http.call("refresh the session", Method::POST, &["sessions", "refresh"]).body(&body);
                let call = call.idempotency_key(session.refresh_key.to_string());
                let answer: SignedIn = self.http.send(call, None).await?;
                let lives = Duration::from_secs(answer.expires_in_seconds);
                let newer = session_of(self.http.server(), answer, "refresh the session")?;
                if let Some(keep) = &self.keep {
                    keep(&newer).map_err(ClientError::SessionNotKept)?;
                }
                let access = Access { token: newer.access_token.clone(), lives };
                **session = newer;
                Ok(access)
            }
            Grant::Bot(token) => {
                let body = ExchangeToken { bot_token: token.clone() };
                let call = self.http.call("exchange the bot token", Method::POST, &["sessions", "exchange"]);
                let answer: SignedIn = self.http.send(call.body(&body), None).await?;
                Ok(Access { token: answer.access_token, lives: Duration::from_secs(answer.expires_in_seconds) })
            }
            Grant::Fixed(access) => {
                // Given once; the second time it has expired or was not accepted.
                let given = access.clone();
                access.lives = Duration::ZERO;
                if given.lives.is_zero() { Err(ClientError::Stopped(crate::core::Stop::SignedOut)) } else { Ok(given) }
            }
        }
    }
}

/// The session that another process may have refreshed meanwhile, and what keeps it from doing so now.
async fn newest(
    shared: Option<Arc<dyn SharedSession>>,
) -> Result<(Option<Session>, Option<Box<dyn Send>>), ClientError> {
    let Some(shared) = shared else { return Ok((None, None)) };
    let taken = tokio::task::spawn_blocking(move || shared.take()).await.unwrap_or_else(|error| Err(error.into()));
    let (session, taken) = taken.map_err(ClientError::SessionNotKept)?;
    Ok((session, Some(taken)))
}

fn session_of(server: &str, answer: SignedIn, step: &'static str) -> Result<Session, ClientError> {
    let Some(refresh_token) = answer.refresh_token else {
        let reason = "it has no refresh token".to_owned();
        return Err(ClientError::Unexpected { step, status: 200, reason });
    };
    Ok(Session {
        server: server.to_owned(),
        session_id: answer.session_id,
        user: answer.user,
        refresh_token,
        refresh_key: Uuid::new_v4(),
        access_token: answer.access_token,
        access_expires_at: now().plus(Duration::from_secs(answer.expires_in_seconds)),
    })
}

/// What is left of a kept access token.
fn remaining(session: &Session) -> Option<Access> {
    let left = session.access_expires_at.as_millis() - now().as_millis();
    let lives = Duration::from_millis(u64::try_from(left).ok()?);
    Some(Access { token: session.access_token.clone(), lives })
}

/// The machine's clock.
fn now() -> Timestamp {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
