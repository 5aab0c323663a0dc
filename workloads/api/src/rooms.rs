//! Rooms: making, listing, finding, changing, deleting.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Extension, Json, extract::State};
use http::StatusCode;
use klatch_domain::{
    Action, Code, MessageId, NewRoom, Outcome, RoomId, RoomKind, RoomName, Stored, UserId, Visibility,
    limits::NEW_GROUP_MEMBERS,
};
use klatch_protocol::http::{ChangeRoom, CreateRoom, PageQuery, PublicRoom, PublicRooms, RoomAnswer, Rooms};

use crate::{
    body::{Ids, JsonBody, Queried},
    idempotency::IdempotencyKey,
    outcomes::Ask,
    page,
    problem::{Failure, name_of},
    profile::{find_active, find_all},
    room_view,
    shared::{Caller, Shared},
    trace::Trace,
    users::search_text,
};

/// Users read from the directory at a time when a large group is made.
const READ_AT_ONCE: usize = 500;

/// Makes a group, or opens the one direct room with somebody.
#[utoipa::path(post, path = "/v1/rooms", tag = "rooms", request_body = CreateRoom,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key makes one group")),
    responses((status = 201, body = RoomAnswer), (status = 200, body = RoomAnswer, description = "It was there")))]
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<CreateRoom>,
) -> Result<(StatusCode, Json<RoomAnswer>), Failure> {
    let (room, made) = match body {
        CreateRoom::Direct { user } => direct(&shared, caller, user, &trace).await?,
        CreateRoom::Group { name, members, visibility } => {
            let name = name_of("name", RoomName::parse(&name))?;
            let others: BTreeSet<_> = members.into_iter().filter(|member| *member != caller.user()).collect();
            check_others(&shared, caller, &others).await?;
            let others = others.into_iter().collect();
            let new = NewRoom { kind: RoomKind::Group, name: Some(name), visibility, others };
            let room = RoomId::from(key.id_for("room", caller.user()));
            (room, make(&shared, caller, room, key.id_for("make", caller.user()).into(), new, &trace).await?)
        }
    };
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(RoomAnswer { room: room_view::one(&shared, caller, room).await? })))
}

async fn direct(shared: &Shared, caller: Caller, user: UserId, trace: &Trace) -> Result<(RoomId, bool), Failure> {
    if user == caller.user() {
        return Err(Failure::invalid("user", "that is yourself"));
    }
    find_active(shared, user).await?;
    let room = RoomId::direct_of(caller.user(), user);
    let standing = room_view::standings(shared, &[room], caller.user()).await?.remove(&room);
    if standing.is_some_and(|standing| standing.role.is_some()) {
        // Both may go on reading what is there, blocked or not.
        return Ok((room, false));
    }
    if !shared.directory.blocks_between(caller.user(), &[user]).await?.is_empty() {
        return Err(Failure::new(Code::Blocked, "one of you has blocked the other"));
    }
    let new = NewRoom { kind: RoomKind::Direct, name: None, visibility: Visibility::Private, others: vec![user] };
    // The writer asks for blocks again when it makes the room: one that comes just now is not missed.
    Ok((room, make(shared, caller, room, MessageId::now(), new, trace).await?))
}

/// Makes a room; answers whether it was made now.
async fn make(
    shared: &Shared,
    caller: Caller,
    room: RoomId,
    message_id: MessageId,
    new: NewRoom,
    trace: &Trace,
) -> Result<bool, Failure> {
    let ask = Ask { room, message_id, sender: caller.0, action: Action::CreateRoom(new) };
    match shared.outcomes.ask(ask, trace).await? {
        Outcome::Stored(Stored { repeat, .. }) => Ok(!repeat),
        Outcome::Unchanged => Ok(false),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}

/// Whether the members of a new group are there, and none of them has blocked the caller.
async fn check_others(shared: &Shared, caller: Caller, others: &BTreeSet<UserId>) -> Result<(), Failure> {
    if others.len() > NEW_GROUP_MEMBERS {
        return Err(Failure::invalid("members", "a new group has at most 5,000 members; add more later"));
    }
    let others: Vec<_> = others.iter().copied().collect();
    for some in others.chunks(READ_AT_ONCE) {
        let found = find_all(shared, some).await?;
        if let Some(missing) = some.iter().find(|user| found.get(user).is_none_or(|user| user.disabled)) {
            return Err(Failure::user_not_found().field("members", format!("there is no user {missing}")));
        }
        check_blocks(shared, caller, some).await?;
    }
    Ok(())
}

/// Whether none of these users has blocked the caller.
pub(crate) async fn check_blocks(shared: &Shared, caller: Caller, users: &[UserId]) -> Result<(), Failure> {
    let blocks = shared.directory.blocks_between(caller.user(), users).await?;
    match blocks.iter().find(|(_, blocked)| *blocked == caller.user()) {
        Some((by, _)) => Err(Failure::new(Code::Blocked, format!("you cannot add user {by}"))),
        None => Ok(()),
    }
}

/// The caller's rooms.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", params(PageQuery), responses((status = 200, body = Rooms)))]
pub(crate) async fn rooms(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Queried(query): Queried<PageQuery>,
) -> Result<Json<Rooms>, Failure> {
    let limit = page::limit_of(query.limit)?;
    let after = page::after_id(query.after.as_deref(), RoomId::from_bytes)?;
    let found = shared.directory.rooms_of(caller.user(), after, limit).await?;
    let next = page::next(&found, limit, |room| room.room.id.as_bytes().to_vec());
    let found: Vec<_> = found.iter().map(|room| (room.room.id, room.preferences)).collect();
    Ok(Json(Rooms { rooms: room_view::view(&shared, caller, &found).await?, next }))
}

/// Public groups whose name starts with `query`; all of them without.
#[utoipa::path(get, path = "/v1/rooms/public", tag = "rooms", params(PageQuery),
    responses((status = 200, body = PublicRooms)))]
pub(crate) async fn public_rooms(
    State(shared): State<Arc<Shared>>,
    _: Caller,
    Queried(query): Queried<PageQuery>,
) -> Result<Json<PublicRooms>, Failure> {
    let text = match query.query.as_deref() {
        None | Some("") => "",
        Some(text) => search_text(text)?,
    };
    let limit = page::limit_of(query.limit)?;
    let after = page::after_name(query.after.as_deref())?;
    let after = after.as_ref().map(|(name, room)| (name.as_str(), *room));
    let found = shared.directory.public_rooms(text, after, limit).await?;
    let name = |name: &Option<RoomName>| name.as_ref().map(ToString::to_string).unwrap_or_default();
    let next = page::next(&found, limit, |(room, _)| page::name_key(&name(&room.name), room.id));
    let rooms =
        found.iter().map(|(room, members)| PublicRoom { id: room.id, name: name(&room.name), member_count: *members });
    Ok(Json(PublicRooms { rooms: rooms.collect(), next }))
}

/// One room of the caller's.
#[utoipa::path(get, path = "/v1/rooms/{id}", tag = "rooms", params(("id" = RoomId, Path)),
    responses((status = 200, body = RoomAnswer)))]
pub(crate) async fn room(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    ids: Ids,
) -> Result<Json<RoomAnswer>, Failure> {
    Ok(Json(RoomAnswer { room: room_view::one(&shared, caller, ids.room()?).await? }))
}

/// Changes a group's name or visibility: for its owners and admins.
#[utoipa::path(patch, path = "/v1/rooms/{id}", tag = "rooms", params(("id" = RoomId, Path)),
    request_body = ChangeRoom, responses((status = 200, body = RoomAnswer)))]
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
    JsonBody(body): JsonBody<ChangeRoom>,
) -> Result<Json<RoomAnswer>, Failure> {
    let room = ids.room()?;
    room_view::member(&shared, caller, room).await?;
    let name = body.name.as_deref().map(|name| name_of("name", RoomName::parse(name))).transpose()?;
    let action = Action::ChangeRoom { name, visibility: body.visibility };
    shared.outcomes.done(Ask { room, message_id: MessageId::now(), sender: caller.0, action }, &trace).await?;
    Ok(Json(RoomAnswer { room: room_view::one(&shared, caller, room).await? }))
}

/// Deletes a group for everyone in it: for its owners and admins.
#[utoipa::path(delete, path = "/v1/rooms/{id}", tag = "rooms", params(("id" = RoomId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
) -> Result<StatusCode, Failure> {
    let room = ids.room()?;
    let ask = Ask { room, message_id: MessageId::now(), sender: caller.0, action: Action::DeleteRoom };
    shared.outcomes.done(ask, &trace).await?;
    Ok(StatusCode::NO_CONTENT)
}
