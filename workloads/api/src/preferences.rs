//! A member's own settings of a room; their other devices hear of it by the inbox.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use klatch_domain::{Kind, Preferences, RoomId};
use klatch_protocol::http::ChangePreferences;
use serde::Serialize;

use crate::{
    body::{Ids, JsonBody},
    notices::Actor,
    problem::Failure,
    room_view,
    shared::{Caller, Shared},
    trace::Trace,
};

/// `preferences_changed`
#[derive(Serialize)]
struct PreferencesChanged {
    room: RoomId,
}

/// Changes the caller's own settings of a room: what is left out stays.
#[utoipa::path(patch, path = "/v1/rooms/{id}/preferences", tag = "rooms", params(("id" = RoomId, Path)),
    request_body = ChangePreferences, responses((status = 200, body = Preferences)))]
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
    JsonBody(body): JsonBody<ChangePreferences>,
) -> Result<Json<Preferences>, Failure> {
    let room = ids.room()?;
    room_view::member(&shared, caller, room).await?;
    let found = shared.directory.rooms_of_among(caller.user(), &[room]).await?;
    let now = found.first().map(|room| room.preferences).unwrap_or_default();
    let preferences = Preferences {
        notify: body.notify.unwrap_or(now.notify),
        hidden: body.hidden.unwrap_or(now.hidden),
        marked_unread: body.marked_unread.unwrap_or(now.marked_unread),
    };
    let actor = Actor { shared: &shared, caller, trace: &trace };
    let notice = actor.notice(caller.user(), Kind::PreferencesChanged, &PreferencesChanged { room }, true)?;
    if !shared.directory.set_preferences(caller.user(), room, preferences, &[notice]).await? {
        return Err(Failure::room_not_found());
    }
    shared.owing.settle_soon([RoomId::inbox_of(caller.user())]).await;
    Ok(Json(preferences))
}
