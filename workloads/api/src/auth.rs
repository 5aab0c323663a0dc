//! Who makes a call: an access token, or a bot token in its place.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use klatch_domain::{Code, Sender, SessionId};
use klatch_identity::{BotToken, TokenError};

use crate::{
    address::ClientAddress,
    bot_tokens,
    problem::Failure,
    shared::{Caller, Shared},
};

/// What a call's token said; every call is looked at, so that a made-up token never buys calls.
#[derive(Clone)]
pub(crate) struct Authenticated(Result<Caller, Failure>);

impl Authenticated {
    /// What it says some time later.
    ///
    /// # Errors
    /// What keeps the directory from answering.
    pub(crate) async fn still(self, shared: &Shared) -> Result<Self, Failure> {
        let Ok(caller) = self.0 else { return Ok(self) };
        match check_alive(shared, caller.0.session).await {
            Err(failure) if failure.code.status() != 401 => Err(failure),
            alive => Ok(Self(alive.map(|()| caller))),
        }
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, Failure> {
        match parts.extensions.get::<Authenticated>() {
            Some(Authenticated(authenticated)) => authenticated.clone(),
            None => Err(Failure::internal("a call came in beside the one that looks at its token")),
        }
    }
}

/// Looks at a call's token and counts the call, for its user or, without a valid token, for its address.
///
/// # Errors
/// `rate_limited`, or what keeps the directory from answering. That a token is not valid is for the handler to refuse.
pub(crate) async fn admit(
    shared: &Shared,
    headers: &HeaderMap,
    address: ClientAddress,
) -> Result<Authenticated, Failure> {
    let authenticated = authenticate(shared, headers).await;
    match &authenticated {
        Ok(caller) => take(shared, *caller, 1)?,
        Err(failure) if failure.code.status() == 401 => take_from_address(shared, address).await?,
        Err(failure) => return Err(failure.clone()),
    }
    Ok(Authenticated(authenticated))
}

/// Takes `units` of the caller's calls per second: a call that costs as much as several counts as several.
pub(crate) fn take(shared: &Shared, caller: Caller, units: u32) -> Result<(), Failure> {
    shared.by_user.take(caller.user(), units, shared.clock.micros()).map_err(|wait| {
        shared.metrics.limited("user");
        Failure::rate_limited(wait, "too many calls of this user")
    })
}

async fn take_from_address(shared: &Shared, address: ClientAddress) -> Result<(), Failure> {
    let taken = match shared.by_address.take(address, 1, shared.clock.micros()) {
        Ok(()) => shared.shared_rates.take_unauthenticated(address).await,
        refused => refused,
    };
    taken.map_err(|wait| {
        shared.metrics.limited("address");
        Failure::rate_limited(wait, "too many calls without a valid token from this address")
    })
}

/// The token of `Authorization: Bearer` (RFC 6750 section 2.1), if there is one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<Caller, Failure> {
    let token = bearer(headers)
        .ok_or_else(|| Failure::unauthenticated("this call needs `Authorization: Bearer` with an access token"))?;
    if BotToken::looks_like(token) {
        let token = BotToken::parse(token).map_err(|_| Failure::unauthenticated("not a valid bot token"))?;
        return bot_tokens::caller_of(shared, &token).await;
    }
    let principal = shared.keys.verify(token, shared.now()).map_err(|error| match error {
        TokenError::Expired => Failure::new(Code::TokenExpired, "the access token has expired; refresh it"),
        TokenError::Invalid(_) => Failure::unauthenticated("not a valid access token"),
    })?;
    check_alive(shared, principal.session).await?;
    Ok(Caller(Sender { user: principal.user, session: principal.session }))
}

/// Whether a session has not ended.
pub(crate) async fn check_alive(shared: &Shared, session: SessionId) -> Result<(), Failure> {
    if shared.revocations.has_ended(session).await? { Err(Failure::session_revoked()) } else { Ok(()) }
}
