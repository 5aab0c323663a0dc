//! Bot tokens: long-lived, named, for programs.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use axum::{Json, extract::State};
use http::StatusCode;
use klatch_domain::{DisplayName, Sender, SessionId, Timestamp, UserId};
use klatch_identity::BotToken;
use klatch_protocol::http::{BotTokenCreated, CreateBotToken, ExchangeToken, SignedIn};
use klatch_store::directory::{Session, SessionKind, User};
use lru::LruCache;
use parking_lot::Mutex;

use crate::{
    auth::check_alive,
    body::JsonBody,
    idempotency::{IdempotencyKey, KEPT, kept_name},
    problem::{Failure, name_of},
    profile::find,
    sessions::signed_in,
    shared::{Caller, Shared},
};

/// Bot tokens of one user.
const TOKENS: usize = 100;
/// Sessions looked through when they are counted: more than anybody has.
const LOOKED_THROUGH: usize = 2_000;
/// Bot sessions kept in memory, some 100 bytes each.
const CACHED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How long a bot token is taken for what it was. (That its session has ended is known at once, as for every session.)
const CACHED_FOR: Duration = Duration::from_secs(10);

/// Bot tokens seen lately, so that not every call of a program reads the directory.
pub(crate) struct BotSessions(Mutex<LruCache<SessionId, Seen>>);

#[derive(Clone, Copy)]
struct Seen {
    hash: [u8; 32],
    user: UserId,
    at: Timestamp,
}

impl BotSessions {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CACHED)))
    }

    fn user_of(&self, token: &BotToken, now: Timestamp) -> Option<UserId> {
        let seen = self.0.lock().get(&token.session()).copied()?;
        let young = now >= seen.at && now < seen.at.plus(CACHED_FOR);
        (young && token.is(&seen.hash)).then_some(seen.user)
    }

    fn keep(&self, session: &Session, at: Timestamp) {
        self.0.lock().put(session.id, Seen { hash: session.secret_hash, user: session.user, at });
    }
}

/// Whose bot token this is.
pub(crate) async fn caller_of(shared: &Shared, token: &BotToken) -> Result<Caller, Failure> {
    let session = token.session();
    // The token first: only who has it may learn that its session has ended.
    if let Some(user) = shared.bot_sessions.user_of(token, shared.now()) {
        check_alive(shared, session).await?;
        return Ok(Caller(Sender { user, session }));
    }
    let user = look_up(shared, token).await?;
    Ok(Caller(Sender { user: user.id, session }))
}

async fn look_up(shared: &Shared, token: &BotToken) -> Result<User, Failure> {
    let wrong = || Failure::unauthenticated("not a valid bot token");
    let now = shared.now();
    let session = shared.directory.session(token.session()).await?.ok_or_else(wrong)?;
    if session.kind != SessionKind::BotToken || !token.is(&session.secret_hash) {
        return Err(wrong());
    }
    if session.revoked_at.is_some() {
        return Err(Failure::session_revoked());
    }
    if session.expires_at.is_some_and(|end| now >= end) {
        return Err(wrong());
    }
    let user = find(shared, session.user).await?;
    if user.disabled {
        return Err(wrong());
    }
    shared.directory.touch_session(session.id, now).await?;
    check_alive(shared, session.id).await?;
    shared.bot_sessions.keep(&session, now);
    Ok(user)
}

/// A bot token for an access token, as a WebSocket's `hello` wants one.
#[utoipa::path(post, path = "/v1/sessions/exchange", tag = "sessions", request_body = ExchangeToken,
    responses((status = 200, body = SignedIn)))]
pub(crate) async fn exchange(
    State(shared): State<Arc<Shared>>,
    JsonBody(body): JsonBody<ExchangeToken>,
) -> Result<Json<SignedIn>, Failure> {
    let token = BotToken::parse(&body.bot_token).map_err(|_| Failure::unauthenticated("not a valid bot token"))?;
    let user = look_up(&shared, &token).await?;
    Ok(Json(signed_in(&shared, &user, token.session(), shared.now())?))
}

/// Makes a bot token. It is shown this once.
#[utoipa::path(post, path = "/v1/bot-tokens", tag = "sessions", request_body = CreateBotToken,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key gives the same answer for 60 s")),
    responses((status = 201, body = BotTokenCreated)))]
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<CreateBotToken>,
) -> Result<(StatusCode, Json<BotTokenCreated>), Failure> {
    let name = name_of("name", DisplayName::parse(&body.name))?;
    let token = BotToken::new(SessionId::now())?;
    let mut made = BotTokenCreated { session_id: token.session(), name: name.to_string(), bot_token: token.reveal() };
    let kept = key.0.as_ref().map(|key| kept_name("bot-token", &[caller.user().as_bytes(), key.as_bytes()]));
    if let Some(kept) = &kept
        && let Some(sealed) = shared.directory.reply(kept, shared.now().minus(KEPT)).await?
    {
        made = opened(&shared, kept, &sealed)?;
    } else {
        check_space(&shared, caller.user()).await?;
        if let Some(kept) = &kept {
            made = keep(&shared, kept, &made).await?;
        }
    }
    store(&shared, caller.user(), &made).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Keeps the answer before its session is made; of two calls at the same time both make the one that was kept first.
async fn keep(shared: &Shared, name: &str, made: &BotTokenCreated) -> Result<BotTokenCreated, Failure> {
    let text = serde_json::to_vec(made).map_err(|error| Failure::internal(error.to_string()))?;
    let sealed = shared.keys.seal(name, &text)?;
    let now = shared.now();
    let stands = shared.directory.keep_reply(name, &sealed, now, now.minus(KEPT)).await?;
    opened(shared, name, &stands)
}

fn opened(shared: &Shared, name: &str, sealed: &[u8]) -> Result<BotTokenCreated, Failure> {
    let text = shared.keys.open_sealed(name, sealed)?;
    serde_json::from_slice(&text).map_err(|error| Failure::internal(error.to_string()))
}

async fn store(shared: &Shared, user: UserId, made: &BotTokenCreated) -> Result<(), Failure> {
    let token = BotToken::parse(&made.bot_token)?;
    if shared.directory.session(token.session()).await?.is_some() {
        return Ok(());
    }
    let now = shared.now();
    let session = Session {
        id: token.session(),
        user,
        kind: SessionKind::BotToken,
        name: made.name.clone(),
        secret_hash: token.hash(),
        secret_number: 0,
        created_at: now,
        last_used_at: now,
        expires_at: None,
        revoked_at: None,
    };
    match shared.directory.create_session(&session).await {
        Ok(()) => Ok(()),
        // The same call at the same time may have been first.
        Err(error) => match shared.directory.session(session.id).await? {
            Some(_) => Ok(()),
            None => Err(error.into()),
        },
    }
}

async fn check_space(shared: &Shared, user: UserId) -> Result<(), Failure> {
    let (mut tokens, mut seen, mut after) = (0, 0, None);
    while seen < LOOKED_THROUGH {
        let page = shared.directory.sessions_of(user, after, klatch_domain::limits::LIST_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen += page.len();
        tokens += page.iter().filter(|session| session.kind == SessionKind::BotToken).count();
    }
    if tokens >= TOKENS {
        return Err(Failure::new(klatch_domain::Code::NotAllowed, "you have 100 bot tokens; revoke one first"));
    }
    Ok(())
}
