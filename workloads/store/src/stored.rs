//! Values as every twin holds them: signed integers, and numbers for what is an enumeration here. They never change.

use std::time::{SystemTime, UNIX_EPOCH};

use klatch_domain::{Content, Kind, Mentions, Notify, Role, RoomKind, Timestamp, UserId, Visibility};

use crate::{
    StoreError,
    directory::{FriendStatus, SessionKind},
};

/// A stored value that this program cannot have written.
pub(crate) fn damaged(step: &'static str, what: &str) -> StoreError {
    StoreError::Unusable { step, detail: format!("the stored data is damaged ({what}): restore a backup") }
}

/// Greatest integer a database holds; what is above is as good as infinite here.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Nothing stored here is negative.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Now: what has expired is hidden from then on, before anything sweeps it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Numbers on disk.
pub(crate) fn room_kind_number(kind: RoomKind) -> i64 {
    match kind {
        RoomKind::Direct => 1,
        RoomKind::Group => 2,
        RoomKind::Inbox => 3,
    }
}

pub(crate) fn room_kind(number: i64) -> Result<RoomKind, StoreError> {
    match number {
        1 => Ok(RoomKind::Direct),
        2 => Ok(RoomKind::Group),
        3 => Ok(RoomKind::Inbox),
        _ => Err(damaged("read a room", "unknown kind")),
    }
}

pub(crate) fn visibility_number(visibility: Visibility) -> i64 {
    match visibility {
        Visibility::Private => 0,
        Visibility::Public => 1,
    }
}

pub(crate) fn visibility(number: i64) -> Visibility {
    if number == 1 { Visibility::Public } else { Visibility::Private }
}

pub(crate) fn role_number(role: Role) -> i64 {
    match role {
        Role::Member => 1,
        Role::Admin => 2,
        Role::Owner => 3,
    }
}

pub(crate) fn role(number: i64) -> Result<Role, StoreError> {
    match number {
        1 => Ok(Role::Member),
        2 => Ok(Role::Admin),
        3 => Ok(Role::Owner),
        _ => Err(damaged("read a member", "unknown role")),
    }
}

/// The number of kind edit, which an index of the entries names.
pub(crate) const EDIT: i64 = 3;

/// The number of a known kind; others are stored by name. A kind that gets to be known later keeps its stored names.
pub(crate) fn kind_number(kind: &Kind) -> Option<i64> {
    Some(match kind {
        Kind::Text => 1,
        Kind::File => 2,
        Kind::Edit => EDIT,
        Kind::Delete => 4,
        Kind::Reaction => 5,
        Kind::MemberJoined => 6,
        Kind::MemberLeft => 7,
        Kind::RoleChanged => 8,
        Kind::RoomChanged => 9,
        Kind::Mls => 10,
        Kind::ToDevice => 11,
        Kind::FriendChanged => 12,
        Kind::PreferencesChanged => 13,
        Kind::DeviceListChanged => 14,
        Kind::Other(_) => return None,
    })
}

const KINDS: [Kind; 14] = [
    Kind::Text,
    Kind::File,
    Kind::Edit,
    Kind::Delete,
    Kind::Reaction,
    Kind::MemberJoined,
    Kind::MemberLeft,
    Kind::RoleChanged,
    Kind::RoomChanged,
    Kind::Mls,
    Kind::ToDevice,
    Kind::FriendChanged,
    Kind::PreferencesChanged,
    Kind::DeviceListChanged,
];

/// The kind of a stored number.
pub(crate) fn kind(number: i64) -> Result<Kind, StoreError> {
    usize::try_from(number)
        .ok()
        .and_then(|number| KINDS.get(number.checked_sub(1)?))
        .cloned()
        .ok_or_else(|| damaged("read an entry", "unknown kind"))
}

/// A stored content.
pub(crate) fn content(text: &str) -> Result<Content, StoreError> {
    Content::parse(text).map_err(|error| damaged("read an entry", &error.to_string()))
}

/// Numbers on disk.
pub(crate) fn friend_status_number(status: FriendStatus) -> i64 {
    match status {
        FriendStatus::Requested => 1,
        FriendStatus::Incoming => 2,
        FriendStatus::Accepted => 3,
        FriendStatus::Blocked => 4,
    }
}

pub(crate) fn friend_status(number: i64) -> Option<FriendStatus> {
    match number {
        1 => Some(FriendStatus::Requested),
        2 => Some(FriendStatus::Incoming),
        3 => Some(FriendStatus::Accepted),
        4 => Some(FriendStatus::Blocked),
        _ => None,
    }
}

/// Numbers on disk.
pub(crate) fn notify_number(notify: Notify) -> i64 {
    match notify {
        Notify::All => 0,
        Notify::Mentions => 1,
        Notify::None => 2,
    }
}

pub(crate) fn notify(number: i64) -> Notify {
    match number {
        1 => Notify::Mentions,
        2 => Notify::None,
        _ => Notify::All,
    }
}

/// Numbers on disk.
pub(crate) fn session_kind_number(kind: SessionKind) -> i64 {
    match kind {
        SessionKind::Device => 1,
        SessionKind::BotToken => 2,
    }
}

pub(crate) fn session_kind(number: i64) -> SessionKind {
    if number == 2 { SessionKind::BotToken } else { SessionKind::Device }
}

/// One byte, 1 for the whole room, then 16 bytes a user.
pub(crate) fn mentions_bytes(mentions: &Mentions) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 16 * mentions.users.len());
    bytes.push(u8::from(mentions.room));
    for user in &mentions.users {
        bytes.extend_from_slice(user.as_bytes());
    }
    bytes
}

/// What [`mentions_bytes`] wrote.
pub(crate) fn mentions(bytes: &[u8]) -> Mentions {
    Mentions {
        room: bytes.first() == Some(&1),
        users: bytes
            .get(1..)
            .unwrap_or_default()
            .as_chunks::<16>()
            .0
            .iter()
            .map(|user| UserId::from_bytes(*user))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_kinds_lead_back_to_them() {
        for known in KINDS {
            assert_eq!(kind(kind_number(&known).unwrap()).unwrap(), known);
        }
        assert!(kind(0).is_err() && kind(15).is_err() && kind(-1).is_err());
        assert_eq!(kind_number(&Kind::from_name("poll")), None);
    }
}
