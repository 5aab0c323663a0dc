//! Members of a room.

use std::{collections::HashMap, sync::Arc};

use axum::{Extension, Json, extract::State};
use http::StatusCode;
use klatch_domain::{Action, MessageId, RoomId, RoomKind, UserId, Visibility, limits::SMALL_ROOM_MEMBERS};
use klatch_protocol::http::{MemberOut, Members, PageQuery, PutMember};
use klatch_store::{
    directory::{MemberProjection, User},
    shard::{Standing, Watermark},
};

use crate::{
    body::{Ids, OptionalBody, Queried},
    outcomes::Ask,
    page,
    problem::Failure,
    profile::{find_active, find_all, profile_of},
    room_view,
    rooms::check_blocks,
    shared::{Caller, Shared},
    trace::Trace,
};

/// The members of a room, by user id.
#[utoipa::path(get, path = "/v1/rooms/{id}/members", tag = "rooms", params(("id" = RoomId, Path), PageQuery),
    responses((status = 200, body = Members)))]
pub(crate) async fn members(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    ids: Ids,
    Queried(query): Queried<PageQuery>,
) -> Result<Json<Members>, Failure> {
    let room = ids.room()?;
    let limit = page::limit_of(query.limit)?;
    let after = page::after_id(query.after.as_deref(), UserId::from_bytes)?;
    let found = shared.directory.members_of(room, after, limit).await?;
    let users = find_all(&shared, &found.iter().map(|member| member.user).collect::<Vec<_>>()).await?;
    let watermarks = shared.shards.of(room).watermarks(room, after, limit.min(SMALL_ROOM_MEMBERS)).await?;
    // Last: who is a member now was allowed to see all of it.
    let standing = room_view::member(&shared, caller, room).await?;
    let watermarks = if has_watermarks(&standing) { watermarks.into_iter().collect() } else { HashMap::new() };
    let shown = |member: &MemberProjection| {
        let user = users.get(&member.user)?;
        shown(&shared, caller, user, member, watermarks.get(&member.user))
    };
    let next = page::next(&found, limit, |member| member.user.as_bytes().to_vec());
    Ok(Json(Members { members: found.iter().filter_map(shown).collect(), next }))
}

/// Above the small bound nobody's watermark is anybody else's business.
fn has_watermarks(standing: &Standing) -> bool {
    standing.member_count <= SMALL_ROOM_MEMBERS as u64
}

fn shown(
    shared: &Shared,
    caller: Caller,
    user: &User,
    member: &MemberProjection,
    watermark: Option<&Watermark>,
) -> Option<MemberOut> {
    let reads_shown = user.read_receipts || user.id == caller.user();
    Some(MemberOut {
        user: profile_of(user, shared.now()),
        role: member.role?,
        joined_at: member.joined_at,
        read: watermark.filter(|_| reads_shown).map(|watermark| watermark.read),
        delivered: watermark.map(|watermark| watermark.delivered),
    })
}

/// Adds a member or gives one another role; `me` joins a public group.
#[utoipa::path(put, path = "/v1/rooms/{id}/members/{user}", tag = "rooms",
    params(("id" = RoomId, Path), ("user" = String, Path, description = "A user's id, or `me`")),
    request_body = Option<PutMember>, responses((status = 204)))]
pub(crate) async fn put_member(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
    OptionalBody(body): OptionalBody<PutMember>,
) -> Result<StatusCode, Failure> {
    let (room, user) = (ids.room()?, ids.user_or(caller.user())?);
    let standing = room_view::standings(&shared, &[room], caller.user()).await?.remove(&room);
    let standing = standing.filter(|standing| may_act(standing, caller.user() == user));
    standing.ok_or_else(Failure::room_not_found)?;
    if user != caller.user() {
        let active = find_active(&shared, user).await;
        let theirs = room_view::standings(&shared, &[room], user).await?.remove(&room);
        // Neither a block nor a disabled account keeps anybody from giving a role to who is a member already.
        if theirs.is_none_or(|theirs| theirs.role.is_none()) {
            active?;
            check_blocks(&shared, caller, &[user]).await?;
        }
    }
    let action = Action::PutMember { user, role: body.role };
    shared.outcomes.done(Ask { room, message_id: MessageId::now(), sender: caller.0, action }, &trace).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A member, or a stranger who joins a public group. The writer decides; this only keeps strangers from learning more.
fn may_act(standing: &Standing, joins: bool) -> bool {
    let open = standing.kind == RoomKind::Group && standing.visibility == Visibility::Public && !standing.deleted;
    standing.role.is_some() || (joins && open)
}

/// Removes a member; `me` leaves.
#[utoipa::path(delete, path = "/v1/rooms/{id}/members/{user}", tag = "rooms",
    params(("id" = RoomId, Path), ("user" = String, Path, description = "A user's id, or `me`")),
    responses((status = 204)))]
pub(crate) async fn remove_member(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
) -> Result<StatusCode, Failure> {
    let (room, user) = (ids.room()?, ids.user_or(caller.user())?);
    let action = Action::RemoveMember { user };
    shared.outcomes.done(Ask { room, message_id: MessageId::now(), sender: caller.0, action }, &trace).await?;
    Ok(StatusCode::NO_CONTENT)
}
