//! Friends: asking, accepting, ending.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use http::StatusCode;
use klatch_domain::{Code, Command, Kind, RoomId, UserId};
use klatch_protocol::http::{Friend, FriendStatus, Friends, PageQuery};
use klatch_store::directory::{Befriending, FriendChange, FriendStatus as Stored, Friendship};
use serde::Serialize;

use crate::{
    body::{Ids, Queried},
    notices::Actor,
    page,
    problem::Failure,
    profile::{find, find_active, find_all, profile_of},
    shared::{Caller, Shared},
    trace::Trace,
};

/// `friend_changed`
#[derive(Serialize)]
struct FriendChanged {
    user: UserId,
    /// Left out: nothing is between the two any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<FriendStatus>,
}

/// The caller's friends, requests and blocks.
#[utoipa::path(get, path = "/v1/friends", tag = "friends", params(PageQuery), responses((status = 200, body = Friends)))]
pub(crate) async fn friends(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Queried(query): Queried<PageQuery>,
) -> Result<Json<Friends>, Failure> {
    let limit = page::limit_of(query.limit)?;
    let after = page::after_id(query.after.as_deref(), UserId::from_bytes)?;
    let found = shared.directory.friendships(caller.user(), after, limit).await?;
    let next = page::next(&found, limit, |friend| friend.user.as_bytes().to_vec());
    let users = find_all(&shared, &found.iter().map(|friend| friend.user).collect::<Vec<_>>()).await?;
    let now = shared.now();
    let shown = |friend: &Friendship| {
        let user = profile_of(users.get(&friend.user)?, now);
        Some(Friend { user, status: status_of(friend.status), since: friend.since })
    };
    Ok(Json(Friends { friends: found.iter().filter_map(shown).collect(), next }))
}

const fn status_of(status: Stored) -> FriendStatus {
    match status {
        Stored::Requested => FriendStatus::Requested,
        Stored::Incoming => FriendStatus::Incoming,
        Stored::Accepted => FriendStatus::Accepted,
        Stored::Blocked => FriendStatus::Blocked,
    }
}

/// Asks somebody to be friends, or accepts when they have asked.
#[utoipa::path(put, path = "/v1/friends/{user}", tag = "friends", params(("user" = UserId, Path)),
    responses((status = 200, body = Friend)))]
pub(crate) async fn befriend(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
) -> Result<Json<Friend>, Failure> {
    let other = other(caller, &ids)?;
    let user = find_active(&shared, other).await?;
    let actor = Actor { shared: &shared, caller, trace: &trace };
    let news = |own: FriendStatus, theirs: FriendStatus| {
        Ok::<_, Failure>([
            friend_changed(actor, caller.user(), other, Some(own), true)?,
            friend_changed(actor, other, caller.user(), Some(theirs), false)?,
        ])
    };
    let requested = news(FriendStatus::Requested, FriendStatus::Incoming)?;
    let accepted = news(FriendStatus::Accepted, FriendStatus::Accepted)?;
    let owes = Befriending { requested: &requested, accepted: &accepted };
    if let FriendChange::Blocked = shared.directory.befriend(caller.user(), other, shared.now(), owes).await? {
        return Err(Failure::new(Code::Blocked, "one of you has blocked the other"));
    }
    // Also when nothing changed: the change may have been made by this very call, met again.
    tell(actor, other).await;
    let friendship = friendship(&shared, caller.user(), other).await?;
    let friendship = friendship.ok_or_else(|| Failure::new(Code::Busy, "it was changed meanwhile; try again"))?;
    let user = profile_of(&user, shared.now());
    Ok(Json(Friend { user, status: status_of(friendship.status), since: friendship.since }))
}

/// Ends a friendship, takes back or refuses a request.
#[utoipa::path(delete, path = "/v1/friends/{user}", tag = "friends", params(("user" = UserId, Path)),
    responses((status = 204)))]
pub(crate) async fn unfriend(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
) -> Result<StatusCode, Failure> {
    let other = other(caller, &ids)?;
    find(&shared, other).await?;
    let actor = Actor { shared: &shared, caller, trace: &trace };
    let news = [
        friend_changed(actor, caller.user(), other, None, true)?,
        friend_changed(actor, other, caller.user(), None, true)?,
    ];
    // A block is none of this call's business, whoever it is of.
    shared.directory.unfriend(caller.user(), other, &news).await?;
    tell(actor, other).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The other user of a call; nobody befriends or blocks themselves.
pub(crate) fn other(caller: Caller, ids: &Ids) -> Result<UserId, Failure> {
    let other = ids.user()?;
    if other == caller.user() { Err(Failure::invalid("user", "that is yourself")) } else { Ok(other) }
}

async fn friendship(shared: &Shared, user: UserId, other: UserId) -> Result<Option<Friendship>, Failure> {
    // The list is by the other's id: the line after the id just below is theirs, if there is one.
    let below = u128::from_be_bytes(*other.as_bytes()).checked_sub(1).map(|id| UserId::from_bytes(id.to_be_bytes()));
    let found = shared.directory.friendships(user, below, 1).await?;
    Ok(found.into_iter().next().filter(|friend| friend.user == other))
}

/// Puts what both sides are owed into their inboxes.
async fn tell(actor: Actor<'_>, other: UserId) {
    let owing = &actor.shared.owing;
    let (own, theirs) = (RoomId::inbox_of(actor.caller.user()), RoomId::inbox_of(other));
    tokio::join!(owing.settle_soon([own]), owing.settle_soon([theirs]));
}

/// A `friend_changed` for `owner`.
pub(crate) fn friend_changed(
    actor: Actor<'_>,
    owner: UserId,
    user: UserId,
    status: Option<FriendStatus>,
    silent: bool,
) -> Result<Command, Failure> {
    actor.notice(owner, Kind::FriendChanged, &FriendChanged { user, status }, silent)
}
