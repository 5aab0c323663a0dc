//! Values as SQLite holds them: its integers are signed.

use std::time::{SystemTime, UNIX_EPOCH};

use klatch_domain::{Content, Generation, Kind, Ordinal, Position, Role, RoomKind, Seq, Timestamp, UserId, Visibility};
use rusqlite::Row;

use super::fault::damaged;
use crate::StoreError;

/// Greatest integer SQLite holds; what is above is as good as infinite here.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Nothing stored here is negative.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Column as a count or seq.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(unsigned)
}

/// Column as a seq that may be missing.
pub(super) fn maybe_seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Seq>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|value| Seq(unsigned(value))))
}

/// Column as a time.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// Column as a time that may be missing.
pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// Two columns as a position.
pub(super) fn position(row: &Row<'_>, column: usize) -> rusqlite::Result<Position> {
    Ok(Position { generation: Generation(number(row, column)?), seq: Seq(number(row, column + 1)?) })
}

/// Column as an ordinal.
pub(super) fn ordinal(row: &Row<'_>, column: usize) -> rusqlite::Result<Ordinal> {
    number(row, column).map(Ordinal)
}

/// Column as a user.
pub(super) fn user(row: &Row<'_>, column: usize) -> rusqlite::Result<UserId> {
    row.get(column).map(UserId::from_bytes)
}

/// Now: what has expired is hidden from then on, before anything sweeps it.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Numbers on disk; they never change.
pub(super) fn room_kind_number(kind: RoomKind) -> i64 {
    match kind {
        RoomKind::Direct => 1,
        RoomKind::Group => 2,
        RoomKind::Inbox => 3,
    }
}

pub(super) fn room_kind(number: i64) -> Result<RoomKind, StoreError> {
    match number {
        1 => Ok(RoomKind::Direct),
        2 => Ok(RoomKind::Group),
        3 => Ok(RoomKind::Inbox),
        _ => Err(damaged("read a room", "unknown kind")),
    }
}

pub(super) fn visibility_number(visibility: Visibility) -> i64 {
    match visibility {
        Visibility::Private => 0,
        Visibility::Public => 1,
    }
}

pub(super) fn visibility(number: i64) -> Visibility {
    if number == 1 { Visibility::Public } else { Visibility::Private }
}

pub(super) fn role_number(role: Role) -> i64 {
    match role {
        Role::Member => 1,
        Role::Admin => 2,
        Role::Owner => 3,
    }
}

pub(super) fn role(number: i64) -> Result<Role, StoreError> {
    match number {
        1 => Ok(Role::Member),
        2 => Ok(Role::Admin),
        3 => Ok(Role::Owner),
        _ => Err(damaged("read a member", "unknown role")),
    }
}

/// The number of kind edit, which an index of the entries names.
pub(super) const EDIT: i64 = 3;

/// The number of a known kind; others are stored by name. A kind that gets to be known later keeps its stored names.
pub(super) fn kind_number(kind: &Kind) -> Option<i64> {
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
pub(super) fn kind(number: i64) -> Result<Kind, StoreError> {
    usize::try_from(number)
        .ok()
        .and_then(|number| KINDS.get(number.checked_sub(1)?))
        .cloned()
        .ok_or_else(|| damaged("read an entry", "unknown kind"))
}

/// A stored content.
pub(super) fn content(text: &str) -> Result<Content, StoreError> {
    Content::parse(text).map_err(|error| damaged("read an entry", &error.to_string()))
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
