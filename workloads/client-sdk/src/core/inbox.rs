//! What the entries of a user's inbox mean.

use klatch_domain::{Entry, Kind, RoomId, UserId};
use klatch_protocol::http::FriendStatus;
use serde::Deserialize;

/// One entry of the inbox, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    Joined(RoomId),
    Left(RoomId),
    Friend(UserId, Option<FriendStatus>),
    Preferences(RoomId),
    DeviceList(UserId),
    /// For the user of the core to read.
    Other,
}

#[derive(Deserialize)]
struct OfRoom {
    room: RoomId,
}

#[derive(Deserialize)]
struct OfUser {
    user: UserId,
    #[serde(default)]
    status: Option<serde_json::Value>,
}

/// Reads an entry; one that is not what its kind says is left to the user of the core.
pub(crate) fn read(entry: &Entry) -> Notice {
    let room = || entry.content.read::<OfRoom>().map(|content| content.room);
    let user = || entry.content.read::<OfUser>();
    let notice = match entry.kind {
        Kind::MemberJoined => room().map(Notice::Joined),
        Kind::MemberLeft => room().map(Notice::Left),
        Kind::PreferencesChanged => room().map(Notice::Preferences),
        Kind::DeviceListChanged => user().map(|content| Notice::DeviceList(content.user)),
        // A status this version does not know, or the end of a friendship, is none.
        Kind::FriendChanged => user().map(|content| {
            Notice::Friend(content.user, content.status.and_then(|status| serde_json::from_value(status).ok()))
        }),
        _ => Ok(Notice::Other),
    };
    notice.unwrap_or(Notice::Other)
}
