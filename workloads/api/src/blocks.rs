//! Blocks. The directory first, then the direct room's writer: from the answer on nothing of the blocked one gets through.
//! A crash between the two is repaired by the same call again. The blocked one is told nothing.

use std::sync::Arc;

use axum::{Extension, extract::State};
use http::StatusCode;
use klatch_domain::{Action, Code, MessageId, Outcome, RoomId, Sender, UserId};
use klatch_protocol::http::FriendStatus;

use crate::{
    body::Ids,
    friends::{notice, other},
    notices,
    outcomes::Ask,
    problem::Failure,
    profile::find,
    shared::{Caller, Shared},
    trace::Trace,
};

/// Blocks somebody: they can neither write to the caller, nor add them anywhere, nor ask to be friends.
#[utoipa::path(put, path = "/v1/blocks/{user}", tag = "friends", params(("user" = UserId, Path)),
    responses((status = 204)))]
pub(crate) async fn block(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
) -> Result<StatusCode, Failure> {
    set(&shared, caller, other(caller, &ids)?, true, &trace).await
}

/// Takes a block back. A friendship it ended stays ended.
#[utoipa::path(delete, path = "/v1/blocks/{user}", tag = "friends", params(("user" = UserId, Path)),
    responses((status = 204)))]
pub(crate) async fn unblock(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
) -> Result<StatusCode, Failure> {
    set(&shared, caller, other(caller, &ids)?, false, &trace).await
}

async fn set(shared: &Shared, caller: Caller, other: UserId, on: bool, trace: &Trace) -> Result<StatusCode, Failure> {
    find(shared, other).await?;
    shared.directory.set_block(caller.user(), other, on, shared.now()).await?;
    hold(shared, caller.0, other, on, trace).await?;
    let status = on.then_some(FriendStatus::Blocked);
    let own = notice(caller.user(), other, status, true, MessageId::now())?;
    notices::put(shared, caller, own, trace).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes the writer of the direct room hold the block of `sender`; there may be no such room.
async fn hold(shared: &Shared, sender: Sender, other: UserId, on: bool, trace: &Trace) -> Result<(), Failure> {
    let room = RoomId::direct_of(sender.user, other);
    let ask = Ask { room, message_id: MessageId::now(), sender, action: Action::SetBlock { on } };
    match shared.outcomes.ask(ask, trace).await? {
        Outcome::Refused(refusal) if refusal.code != Code::RoomNotFound => Err(refusal.into()),
        _ => Ok(()),
    }
}
