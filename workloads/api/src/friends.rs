//! Friends: asking, accepting, ending.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use http::StatusCode;
use klatch_domain::{Code, Kind, MessageId, Timestamp, UserId};
use klatch_protocol::http::{Friend, FriendStatus, Friends, PageQuery};
use klatch_store::directory::{FriendChange, FriendStatus as Stored, Friendship};
use serde::Serialize;

use crate::{
    body::{Ids, Queried},
    idempotency::derived,
    notices::{self, Notice},
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
    if let FriendChange::Blocked = shared.directory.befriend(caller.user(), other, shared.now()).await? {
        return Err(Failure::new(Code::Blocked, "one of you has blocked the other"));
    }
    let friendship = friendship(&shared, caller.user(), other).await?;
    let friendship = friendship.ok_or_else(|| Failure::new(Code::Busy, "it was changed meanwhile; try again"))?;
    tell(&shared, caller, friendship, &trace).await?;
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
    match shared.directory.unfriend(caller.user(), other).await? {
        FriendChange::Changed(_) => {
            let own = notice(caller.user(), other, None, true, MessageId::now())?;
            let theirs = notice(other, caller.user(), None, true, MessageId::now())?;
            both(&shared, caller, own, theirs, &trace).await?;
        }
        // A block is none of this call's business, whoever it is of.
        FriendChange::Unchanged(_) | FriendChange::Blocked => {}
    }
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

/// Tells both sides how they stand. The time it came to be so names the notices: the same call again, after a crash for
/// instance, tells what was not told and nothing twice.
async fn tell(shared: &Shared, caller: Caller, friendship: Friendship, trace: &Trace) -> Result<(), Failure> {
    let (status, theirs) = match friendship.status {
        Stored::Requested => (FriendStatus::Requested, FriendStatus::Incoming),
        Stored::Accepted => (FriendStatus::Accepted, FriendStatus::Accepted),
        // `befriend` leaves neither: it accepts what is incoming and answers `Blocked` for a block.
        Stored::Incoming | Stored::Blocked => return Ok(()),
    };
    let id = |owner| notice_id(owner, caller.user(), friendship.user, status, friendship.since);
    let own = notice(caller.user(), friendship.user, Some(status), true, id(caller.user()))?;
    let others = notice(friendship.user, caller.user(), Some(theirs), false, id(friendship.user))?;
    both(shared, caller, own, others, trace).await
}

fn notice_id(owner: UserId, actor: UserId, other: UserId, status: FriendStatus, since: Timestamp) -> MessageId {
    let (since, status) = (since.as_millis().to_be_bytes(), [status as u8]);
    derived("friend_changed", &[owner.as_bytes(), actor.as_bytes(), other.as_bytes(), &since, &status]).into()
}

/// A `friend_changed` for `owner`.
pub(crate) fn notice(
    owner: UserId,
    user: UserId,
    status: Option<FriendStatus>,
    silent: bool,
    message_id: MessageId,
) -> Result<Notice, Failure> {
    let content = notices::content(&FriendChanged { user, status })?;
    Ok(Notice { owner, message_id, kind: Kind::FriendChanged, content, silent })
}

async fn both(shared: &Shared, caller: Caller, own: Notice, theirs: Notice, trace: &Trace) -> Result<(), Failure> {
    let own = notices::put(shared, caller, own, trace);
    let theirs = notices::put(shared, caller, theirs, trace);
    tokio::try_join!(own, theirs).map(|((), ())| ())
}
