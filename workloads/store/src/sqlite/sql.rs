//! Values as SQLite holds them: its integers are signed.

use klatch_domain::{Generation, Ordinal, Position, Seq, Timestamp, UserId};
use rusqlite::Row;

pub(super) use crate::stored::{
    EDIT, content, kind, kind_number, now, role, role_number, room_kind, room_kind_number, signed, unsigned,
    visibility, visibility_number,
};

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
