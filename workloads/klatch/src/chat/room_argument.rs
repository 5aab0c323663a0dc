//! ROOM on the command line: an id, `@username` for the direct room, or a group's name.

use klatch_client_sdk::Client;
use klatch_domain::{RoomId, RoomKind, UserId};
use klatch_protocol::http::RoomOut;

use super::connect::Connected;
use crate::{failure::Failure, output::visible};

/// Rooms of one name that an error lists.
const LISTED: usize = 5;

/// The room that is meant. `@username` opens the direct room when it is not there yet.
///
/// # Errors
/// When there is no such room or user, or more than one group of that name.
pub(super) async fn find(connected: &Connected, argument: &str) -> anyhow::Result<RoomId> {
    if let Ok(room) = argument.parse() {
        return Ok(room);
    }
    if let Some(username) = argument.strip_prefix('@') {
        let user = user(connected, username).await?;
        let room = connected.client.open_direct(user).await.map_err(|error| connected.failure(&error))?;
        return Ok(room.id);
    }
    let rooms = connected.client.rooms().await.map_err(|error| connected.failure(&error))?;
    by_name(rooms, argument).map_err(Into::into)
}

fn by_name(rooms: Vec<RoomOut>, name: &str) -> Result<RoomId, Failure> {
    let called = |room: &RoomOut| room.kind == RoomKind::Group && room.name.as_deref() == Some(name);
    let found: Vec<RoomId> = rooms.iter().filter(|room| called(room)).map(|room| room.id).collect();
    match found.as_slice() {
        [room] => Ok(*room),
        [] => Err(Failure::refused(format!(
            "you are in no group called {}; 'klatch rooms' lists them, '@name' is the direct room with a user",
            visible(name)
        ))),
        several => {
            let ids: Vec<String> = several.iter().take(LISTED).map(ToString::to_string).collect();
            Err(Failure::refused(format!(
                "{} groups are called {}; name one by its id: {}",
                several.len(),
                visible(name),
                ids.join(", ")
            )))
        }
    }
}

/// The user of this name.
///
/// # Errors
/// When there is none.
pub(super) async fn user(connected: &Connected, username: &str) -> anyhow::Result<UserId> {
    let name = username.strip_prefix('@').unwrap_or(username);
    let found = Client::find_user(&connected.client, name).await.map_err(|error| connected.failure(&error))?;
    found
        .map(|profile| profile.id)
        .ok_or_else(|| Failure::refused(format!("there is no user {}", visible(name))).into())
}
