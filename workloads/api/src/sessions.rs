//! Signing in, listing and ending sessions.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use klatch_domain::{DisplayName, SessionId, Timestamp, Username, limits::REFRESH_TOKEN_LIFETIME};
use klatch_identity::RefreshToken;
use klatch_protocol::http::{PageQuery, SessionOut, Sessions, SignIn, SignedIn};
use klatch_store::directory::{Revoke, Session, SessionKind, User};

use crate::{
    address::ClientAddress,
    body::{Ids, JsonBody, Queried},
    cookies, page,
    problem::{Failure, name_of},
    profile::me_of,
    shared::{Caller, Shared},
};

/// Signs a device in.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = SignIn,
    responses((status = 201, body = SignedIn)))]
pub(crate) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<SignIn>,
) -> Result<Response, Failure> {
    let device_name = name_of("device_name", DisplayName::parse(&body.device_name))?;
    let user = check_credentials(&shared, address, &body.username, body.password).await?;
    let now = shared.now();
    let refresh = RefreshToken::first(SessionId::now())?;
    shared.directory.create_session(&new_session(&user, &refresh, &device_name, now)).await?;
    // The password may have been changed while it was checked, and its other sessions ended before this one was there.
    let unchanged = shared.directory.credentials(&user.user.username).await?;
    if !unchanged.is_some_and(|(now, hash)| now.id == user.user.id && hash == user.hash && !now.disabled) {
        shared.revocations.end(user.user.id, Revoke::Only(&[refresh.session()])).await?;
        return Err(wrong_credentials());
    }
    let mut answer = signed_in(&shared, &user.user, refresh.session(), now)?;
    if body.cookie {
        let cookie = cookies::keep(&shared, &headers, &refresh)?;
        return Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(answer)).into_response());
    }
    answer.refresh_token = Some(refresh.reveal());
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// A user whose password was right, and its hash then.
pub(crate) struct Verified {
    pub(crate) user: User,
    pub(crate) hash: String,
}

fn wrong_credentials() -> Failure {
    Failure::unauthenticated("username or password is wrong")
}

/// Whether this is the password of this user. Always one hash's work, whoever it is asked for, so that the time does not
/// tell which usernames exist.
pub(crate) async fn check_credentials(
    shared: &Shared,
    address: ClientAddress,
    username: &str,
    password: String,
) -> Result<Verified, Failure> {
    let username = Username::parse(username).ok();
    let limited = |wait| {
        shared.metrics.limited("sign_in");
        Failure::rate_limited(wait, "too many failed sign-ins; wait")
    };
    let attempt = shared.sign_in_failures.begin(username.as_ref(), address, shared.now()).map_err(limited)?;
    let everywhere = match shared.shared_rates.begin_sign_in(username.as_ref(), address).await {
        Ok(everywhere) => everywhere,
        Err(wait) => {
            attempt.withdrawn();
            return Err(limited(wait));
        }
    };
    let known = match &username {
        Some(username) => shared.directory.credentials(username).await?,
        None => None,
    };
    let hash = known.as_ref().map(|(_, hash)| hash.clone());
    let right = shared.passwords.verify(password, hash).await?;
    match known {
        Some((user, hash)) if right && !user.disabled => {
            attempt.succeeded();
            shared.shared_rates.succeeded(everywhere).await;
            Ok(Verified { user, hash })
        }
        _ => Err(wrong_credentials()),
    }
}

fn new_session(user: &Verified, refresh: &RefreshToken, name: &DisplayName, now: Timestamp) -> Session {
    Session {
        id: refresh.session(),
        user: user.user.id,
        kind: SessionKind::Device,
        name: name.to_string(),
        secret_hash: refresh.hash(),
        secret_number: refresh.number(),
        created_at: now,
        last_used_at: now,
        expires_at: Some(now.plus(REFRESH_TOKEN_LIFETIME)),
        revoked_at: None,
    }
}

/// The answer of sign-in, refresh and exchange, without a refresh token.
pub(crate) fn signed_in(shared: &Shared, user: &User, session: SessionId, now: Timestamp) -> Result<SignedIn, Failure> {
    Ok(SignedIn {
        session_id: session,
        user: me_of(user, now),
        access_token: shared.keys.issue(user.id, session, now)?,
        expires_in_seconds: klatch_domain::limits::ACCESS_TOKEN_LIFETIME.as_secs(),
        refresh_token: None,
    })
}

/// The caller's sessions, newest first.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(PageQuery), responses((status = 200, body = Sessions)))]
pub(crate) async fn sessions(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Queried(query): Queried<PageQuery>,
) -> Result<Json<Sessions>, Failure> {
    let limit = page::limit_of(query.limit)?;
    let after = page::after_id(query.after.as_deref(), SessionId::from_bytes)?;
    let found = shared.directory.sessions_of(caller.user(), after, limit).await?;
    let next = page::next(&found, limit, |session| session.id.as_bytes().to_vec());
    let now = shared.now();
    let alive = found.into_iter().filter(|session| session.expires_at.is_none_or(|end| now < end));
    Ok(Json(Sessions { sessions: alive.map(|session| shown(session, caller)).collect(), next }))
}

fn shown(session: Session, caller: Caller) -> SessionOut {
    let kind = match session.kind {
        SessionKind::Device => "device",
        SessionKind::BotToken => "bot_token",
    };
    SessionOut {
        id: session.id,
        kind: kind.to_owned(),
        name: session.name,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        current: session.id == caller.0.session,
    }
}

/// Ends a session (the caller's own: signs out). Its connections close and its tokens are refused within 2 seconds.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "sessions", params(("id" = SessionId, Path)),
    responses((status = 204)))]
pub(crate) async fn end_session(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    headers: HeaderMap,
    ids: Ids,
) -> Result<Response, Failure> {
    let id = ids.session()?;
    let found = shared.directory.session(id).await?.filter(|session| session.user == caller.user());
    if found.is_none() {
        return Err(Failure::new(klatch_domain::Code::NotFound, "you have no such session"));
    }
    shared.revocations.end(caller.user(), Revoke::Only(&[id])).await?;
    if id == caller.0.session {
        return Ok(
            (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookies::forget(&shared, &headers)?)]).into_response()
        );
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
