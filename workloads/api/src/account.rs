//! A user's own account: another password, and its end.

use std::sync::Arc;

use axum::{Extension, extract::State};
use http::StatusCode;
use klatch_domain::{Action, Code, MessageId, Outcome, Refusal, Role, RoomId, RoomKind, UserId, limits::LIST_PAGE};
use klatch_identity::check_password;
use klatch_protocol::http::ChangePassword;
use klatch_store::directory::{MemberProjection, Revoke};

use crate::{
    address::ClientAddress,
    body::JsonBody,
    outcomes::Ask,
    problem::Failure,
    profile::find,
    sessions::check_credentials,
    shared::{Caller, Shared},
    trace::Trace,
};

/// Changes the caller's password and ends all their other sessions, bot tokens among them.
#[utoipa::path(put, path = "/v1/users/me/password", tag = "users", request_body = ChangePassword,
    responses((status = 204)))]
pub(crate) async fn change_password(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(address): Extension<ClientAddress>,
    JsonBody(body): JsonBody<ChangePassword>,
) -> Result<StatusCode, Failure> {
    let user = find(&shared, caller.user()).await?;
    check_password(&body.new, &user.username)?;
    check_credentials(&shared, address, user.username.as_str(), body.old).await.map_err(not_the_old_one)?;
    let hash = shared.passwords.hash(body.new).await?;
    // Before and after: a crash between leaves no old session behind a new password, and who signs in with the old
    // password meanwhile is ended, too.
    let others = Revoke::AllExcept(caller.0.session);
    shared.revocations.end(caller.user(), others).await?;
    if !shared.directory.set_password(caller.user(), &hash).await? {
        return Err(Failure::user_not_found());
    }
    shared.revocations.end(caller.user(), others).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A wrong old password says nothing about the caller's token: 401 would make a client refresh it.
fn not_the_old_one(failure: Failure) -> Failure {
    if failure.code == Code::Unauthenticated {
        Failure::new(Code::NotAllowed, "the old password is wrong").field("old", "it is not the password in use")
    } else {
        failure
    }
}

/// Forgets the caller: they leave their groups, their profile is emptied, all their sessions end. What they wrote stays.
/// When it is interrupted, the same call goes on where it stopped.
#[utoipa::path(delete, path = "/v1/users/me", tag = "users", responses((status = 204)))]
pub(crate) async fn delete_me(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
) -> Result<StatusCode, Failure> {
    // The account goes last: until then its owner can repeat the call.
    shared.revocations.end(caller.user(), Revoke::AllExcept(caller.0.session)).await?;
    let mut after = None;
    loop {
        let rooms = shared.directory.rooms_of(caller.user(), after, LIST_PAGE).await?;
        let Some(last) = rooms.last() else { break };
        after = Some(last.room.id);
        for room in rooms.iter().filter(|room| room.room.kind == RoomKind::Group) {
            leave(&shared, caller, room.room.id, &trace).await?;
        }
    }
    shared.directory.delete_user(caller.user()).await?;
    shared.revocations.end(caller.user(), Revoke::All).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(shared: &Shared, caller: Caller, room: RoomId, trace: &Trace) -> Result<(), Failure> {
    match act(shared, caller, room, Action::RemoveMember { user: caller.user() }, trace).await? {
        Outcome::Refused(Refusal { code: Code::LastOwner, .. }) => {
            let heir = heir(shared, caller.user(), room).await?;
            let user = heir.ok_or_else(|| Failure::new(Code::LastOwner, "a group has nobody else to own it"))?;
            let made_owner = Action::PutMember { user, role: Some(Role::Owner) };
            settled(act(shared, caller, room, made_owner, trace).await?)?;
            settled(act(shared, caller, room, Action::RemoveMember { user: caller.user() }, trace).await?)
        }
        outcome => settled(outcome),
    }
}

/// Who owns a group after its last owner: the highest role, the longest membership.
async fn heir(shared: &Shared, user: UserId, room: RoomId) -> Result<Option<UserId>, Failure> {
    let (mut best, mut after): (Option<MemberProjection>, _) = (None, None);
    loop {
        let members = shared.directory.members_of(room, after, LIST_PAGE).await?;
        let Some(last) = members.last() else { return Ok(best.map(|member| member.user)) };
        after = Some(last.user);
        for member in members.into_iter().filter(|member| member.user != user) {
            let rank = |member: &MemberProjection| (member.role, std::cmp::Reverse(member.joined_at));
            if best.as_ref().is_none_or(|best| rank(&member) > rank(best)) {
                best = Some(member);
            }
        }
    }
}

async fn act(shared: &Shared, caller: Caller, room: RoomId, action: Action, trace: &Trace) -> Result<Outcome, Failure> {
    shared.outcomes.ask(Ask { room, message_id: MessageId::now(), sender: caller.0, action }, trace).await
}

/// A room the caller has left meanwhile is left.
fn settled(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Refused(refusal) if refusal.code != Code::RoomNotFound => Err(refusal.into()),
        _ => Ok(()),
    }
}
