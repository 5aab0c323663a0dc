//! Values as PostgreSQL holds them: its integers are signed.

use klatch_domain::{Generation, Ordinal, Position, Seq, Timestamp};
use sqlx::{Decode, Error, Postgres, Row, Type, postgres::PgRow, types::Uuid};

pub(super) use crate::stored::{
    content, kind, kind_number, now, role, role_number, room_kind, room_kind_number, signed, unsigned, visibility,
    visibility_number,
};

/// An enumeration's number as it is stored: all are small.
pub(super) fn small(number: i64) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}

/// Column as it is.
pub(super) fn get<'row, T>(row: &'row PgRow, column: usize) -> Result<T, Error>
where
    T: Decode<'row, Postgres> + Type<Postgres>,
{
    row.try_get(column)
}

/// Column as a count or seq.
pub(super) fn number(row: &PgRow, column: usize) -> Result<u64, Error> {
    get(row, column).map(unsigned)
}

/// Column as the number of an enumeration.
pub(super) fn enumerated(row: &PgRow, column: usize) -> Result<i64, Error> {
    get::<'_, i16>(row, column).map(i64::from)
}

/// Column as a seq that may be missing.
pub(super) fn maybe_seq(row: &PgRow, column: usize) -> Result<Option<Seq>, Error> {
    Ok(get::<Option<i64>>(row, column)?.map(|value| Seq(unsigned(value))))
}

/// Column as a time.
pub(super) fn time(row: &PgRow, column: usize) -> Result<Timestamp, Error> {
    get(row, column).map(Timestamp::from_millis)
}

/// Column as a time that may be missing.
pub(super) fn maybe_time(row: &PgRow, column: usize) -> Result<Option<Timestamp>, Error> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_millis))
}

/// Two columns as a position.
pub(super) fn position(row: &PgRow, column: usize) -> Result<Position, Error> {
    Ok(Position { generation: Generation(number(row, column)?), seq: Seq(number(row, column + 1)?) })
}

/// Column as an ordinal.
pub(super) fn ordinal(row: &PgRow, column: usize) -> Result<Ordinal, Error> {
    number(row, column).map(Ordinal)
}

/// Column as an id.
pub(super) fn id<T: From<Uuid>>(row: &PgRow, column: usize) -> Result<T, Error> {
    get::<Uuid>(row, column).map(T::from)
}

/// Where a page of ids begins, and whether that id is still part of it: without one to come after, all are.
pub(super) fn from(after: Option<Uuid>) -> (Uuid, bool) {
    (after.unwrap_or(Uuid::nil()), after.is_none())
}

/// Whether PostgreSQL can hold the text: no name that is stored has another character.
pub(super) fn holdable(text: &str) -> bool {
    !text.contains('\0')
}
