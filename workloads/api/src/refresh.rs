//! A refresh token for a new access token and the next refresh token. Each works once; whoever presents one again has a
//! copy, or lost our answer and says so by the same `Idempotency-Key`.
//!
//! With a key the answer is kept, sealed under the presented token, **before** the directory takes over the next token: a
//! crash at any point leaves either a token that still works, or an answer that can be given again.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use klatch_domain::{Code, limits::REFRESH_TOKEN_LIFETIME};
use klatch_identity::{RefreshCheck, RefreshToken, StoredSecret, check_refresh, open_sealed, seal};
use klatch_protocol::http::{RefreshSession, SignedIn};
use klatch_store::directory::{Revoke, Session, SessionKind};

use crate::{
    body::OptionalBody,
    cookies,
    idempotency::{IdempotencyKey, KEPT, kept_name},
    problem::Failure,
    profile::find,
    sessions::signed_in,
    shared::Shared,
};

/// Trades a refresh token for new tokens.
#[utoipa::path(post, path = "/v1/sessions/refresh", tag = "sessions", request_body = Option<RefreshSession>,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key gives the same answer for 60 s")),
    responses((status = 200, body = SignedIn)))]
pub(crate) async fn refresh(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    key: IdempotencyKey,
    OptionalBody(body): OptionalBody<RefreshSession>,
) -> Result<Response, Failure> {
    let by_cookie = body.refresh_token.is_none();
    let presented = body.refresh_token.or_else(|| cookies::refresh_token(&headers));
    let presented =
        presented.ok_or_else(|| Failure::unauthenticated("there is no refresh token in the body or a cookie"))?;
    let traded = match RefreshToken::parse(&presented) {
        Ok(presented) => trade(&shared, &presented, &key).await,
        Err(_) => Err(wrong()),
    };
    if !by_cookie {
        return traded.map(|answer| Json(answer).into_response());
    }
    match traded {
        Ok(answer) => {
            let token = answer.refresh_token.as_deref().and_then(|token| RefreshToken::parse(token).ok());
            let token = token.ok_or_else(|| Failure::internal("an answer without a refresh token"))?;
            let cookie = cookies::keep(&shared, &headers, &token)?;
            Ok(([(header::SET_COOKIE, cookie)], Json(SignedIn { refresh_token: None, ..answer })).into_response())
        }
        Err(failure) if failure.code.status() == StatusCode::UNAUTHORIZED.as_u16() => {
            Ok(([(header::SET_COOKIE, cookies::forget(&shared, &headers)?)], failure).into_response())
        }
        Err(failure) => Err(failure),
    }
}

fn wrong() -> Failure {
    Failure::unauthenticated("not a valid refresh token")
}

async fn trade(shared: &Shared, presented: &RefreshToken, key: &IdempotencyKey) -> Result<SignedIn, Failure> {
    let kept = key.0.as_ref().map(|key| {
        kept_name("refresh", &[presented.session().as_bytes(), &presented.number().to_be_bytes(), key.as_bytes()])
    });
    if let Some(name) = &kept
        && let Some(answer) = kept_answer(shared, presented, name).await?
    {
        return take_over(shared, presented, answer).await;
    }
    let session = shared.directory.session(presented.session()).await?.ok_or_else(wrong)?;
    match check(&session, presented, shared) {
        RefreshCheck::Fresh => {}
        RefreshCheck::Reuse => {
            // The same call may have been done since the first look: its answer was kept before its token counted.
            if let Some(name) = &kept
                && let Some(answer) = kept_answer(shared, presented, name).await?
            {
                return take_over(shared, presented, answer).await;
            }
            return Err(reused(shared, &session, presented).await);
        }
        RefreshCheck::Expired => {
            return Err(Failure::new(Code::TokenExpired, "the refresh token has expired; sign in again"));
        }
        RefreshCheck::Revoked => return Err(Failure::session_revoked()),
        RefreshCheck::Wrong => return Err(wrong()),
    }
    let user = find(shared, session.user).await?;
    if user.disabled {
        return Err(wrong());
    }
    let next = presented.next()?;
    let mut answer = signed_in(shared, &user, session.id, shared.now())?;
    answer.refresh_token = Some(next.reveal());
    if let Some(name) = &kept {
        answer = keep(shared, presented, name, &answer).await?;
    }
    take_over(shared, presented, answer).await
}

fn check(session: &Session, presented: &RefreshToken, shared: &Shared) -> RefreshCheck {
    if session.kind != SessionKind::Device {
        return RefreshCheck::Wrong;
    }
    let stored = StoredSecret {
        hash: session.secret_hash,
        number: session.secret_number,
        expires_at: session.expires_at,
        revoked_at: session.revoked_at,
    };
    check_refresh(&stored, presented, shared.now())
}

/// The answer given under this name in the last minute, if the presented token opens it.
async fn kept_answer(shared: &Shared, presented: &RefreshToken, name: &str) -> Result<Option<SignedIn>, Failure> {
    let sealed = shared.directory.reply(name, shared.now().minus(KEPT)).await?;
    let Some(sealed) = sealed else { return Ok(None) };
    // What it does not open is somebody else's, who made up a token of this session: judge the token instead.
    Ok(open_sealed(presented, name, &sealed).ok().and_then(|answer| serde_json::from_slice(&answer).ok()))
}

/// Keeps the answer; of two calls at the same time both give the one that was kept first.
async fn keep(shared: &Shared, presented: &RefreshToken, name: &str, answer: &SignedIn) -> Result<SignedIn, Failure> {
    let text = serde_json::to_vec(answer).map_err(|error| Failure::internal(error.to_string()))?;
    let sealed = seal(presented, name, &text)?;
    let now = shared.now();
    let stands = shared.directory.keep_reply(name, &sealed, now, now.minus(KEPT)).await?;
    let opened = open_sealed(presented, name, &stands).map_err(|_| wrong())?;
    serde_json::from_slice(&opened).map_err(|error| Failure::internal(error.to_string()))
}

/// Makes the answer's refresh token the session's newest, unless it is already or has been.
async fn take_over(shared: &Shared, presented: &RefreshToken, answer: SignedIn) -> Result<SignedIn, Failure> {
    let next = answer.refresh_token.as_deref().and_then(|token| RefreshToken::parse(token).ok());
    let next = next.ok_or_else(|| Failure::internal("a kept answer without a refresh token"))?;
    let now = shared.now();
    let until = now.plus(REFRESH_TOKEN_LIFETIME);
    let (id, from) = (presented.session(), presented.number());
    if shared.directory.rotate_secret(id, from, next.hash(), now, until).await? {
        return Ok(answer);
    }
    // Somebody was first: this very call, met again, or another one with the same token.
    let session = shared.directory.session(id).await?.ok_or_else(wrong)?;
    if session.revoked_at.is_some() {
        return Err(Failure::session_revoked());
    }
    let ours = session.secret_number == next.number() && session.secret_hash == next.hash();
    // The answer's own token has been traded since, so its holder got the answer: whoever asks again may have it, too.
    let passed = session.secret_number > next.number();
    if ours || passed { Ok(answer) } else { Err(reused(shared, &session, presented).await) }
}

async fn reused(shared: &Shared, session: &Session, presented: &RefreshToken) -> Failure {
    tracing::warn!(session = %session.id, user = %session.user, number = presented.number(), "a refresh token was used again: ending its session");
    match shared.revocations.end(session.user, Revoke::Only(&[session.id])).await {
        Ok(_) => Failure::new(
            Code::SessionRevoked,
            "this refresh token was used before; the session has ended, sign in again",
        ),
        Err(error) => error.into(),
    }
}
