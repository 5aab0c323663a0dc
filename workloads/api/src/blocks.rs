//! Blocks. The directory first, then the direct room's writer: from the answer on nothing of the blocked one gets through.
//! A crash between the two is made good by what the directory has kept to be done. The blocked one is told nothing.

use std::sync::Arc;

use axum::{Extension, extract::State};
use http::StatusCode;
use klatch_domain::{Action, RoomId, UserId};
use klatch_protocol::http::FriendStatus;

use crate::{
    body::Ids,
    friends::{friend_changed, other},
    notices::Actor,
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
    let actor = Actor { shared, caller, trace };
    let room = RoomId::direct_of(caller.user(), other);
    let status = on.then_some(FriendStatus::Blocked);
    let owes =
        [actor.command(room, Action::SetBlock { on }), friend_changed(actor, caller.user(), other, status, true)?];
    shared.directory.set_block(caller.user(), other, on, shared.now(), &owes).await?;
    // There may be no such room; if there is, its writer holds the block before the answer.
    shared.owing.settle(room).await?;
    shared.owing.settle_soon([RoomId::inbox_of(caller.user())]).await;
    Ok(StatusCode::NO_CONTENT)
}
