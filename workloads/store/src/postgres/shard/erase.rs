//! Replacing and removing bodies. The old one is gone from what anyone can read at once, and from the files when
//! PostgreSQL's vacuum has passed.

use klatch_domain::{Content, Fingerprint, Kind, Seq};
use sqlx::{Error, postgres::PgRow, types::Uuid};

use super::{
    super::{
        database::{Statement, Transaction},
        sql::{get, maybe_seq, signed},
    },
    effect::EffectError,
    entry,
};
use crate::{shard::Write, stored::mentions};

/// A stored entry whose content is about to change.
pub(super) struct Target {
    pub(super) slot: i32,
    pub(super) room: Uuid,
    pub(super) seq: i64,
    /// What a repeat of the first send must match; None when it stands in the row already.
    pub(super) fingerprint: Option<Fingerprint>,
}

/// The columns of a [`Target`].
macro_rules! target {
    ($rest:literal) => {
        concat!(
            "SELECT e.slot, e.room, e.seq, e.first_fingerprint IS NOT NULL, e.kind, e.kind_name, e.content, \
             e.content_type, e.reply_to, e.thread, e.target, e.mentions FROM entries e ",
            $rest
        )
    };
}
pub(super) use target;

pub(super) fn read_target(row: &PgRow) -> Result<Target, Error> {
    let kept: bool = get(row, 3)?;
    let fingerprint = if kept { None } else { first_fingerprint(row)? };
    Ok(Target { slot: get(row, 0)?, room: get(row, 1)?, seq: get(row, 2)?, fingerprint })
}

/// None for a row that this program cannot read: a repeat of it is then a conflict, which changes nothing.
fn first_fingerprint(row: &PgRow) -> Result<Option<Fingerprint>, Error> {
    let content_type: Option<String> = get(row, 7)?;
    let mentioned: Option<Vec<u8>> = get(row, 11)?;
    Ok(match (entry::kind_of(row, 4), Content::parse(&get::<String>(row, 6)?)) {
        (Ok(kind), Ok(content)) => Some(Fingerprint::of(
            &kind,
            &content,
            content_type.as_deref().unwrap_or_else(|| Kind::default_content_type(&kind)),
            maybe_seq(row, 8)?,
            maybe_seq(row, 9)?,
            maybe_seq(row, 10)?,
            mentioned.map(|bytes| mentions(&bytes)).as_ref(),
        )),
        _ => None,
    })
}

async fn find(transaction: &mut Transaction, slot: i32, write: &Write, target: Seq) -> Result<Target, EffectError> {
    let statement = sqlx::query(target!("WHERE e.slot = $1 AND e.room = $2 AND e.seq = $3 AND e.seq < $4 FOR UPDATE"))
        .bind(slot)
        .bind(write.room.uuid())
        .bind(signed(target.0))
        .bind(signed(write.entry.position.seq.0));
    let rows = transaction.fetch(statement).await?;
    let row = rows.first().ok_or_else(|| EffectError::no_target(target))?;
    Ok(read_target(row)?)
}

/// The target says from now on what the edit says. A deleted one stays empty.
pub(super) async fn replace(
    transaction: &mut Transaction,
    slot: i32,
    write: &Write,
    target: Seq,
) -> Result<(), EffectError> {
    let target = find(transaction, slot, write, target).await?;
    let statement = sqlx::query(
        "UPDATE entries SET changed_seq = $4, edited_at = $5, \
         content = CASE WHEN deleted THEN content ELSE $6 END, emptied = deleted, \
         first_fingerprint = coalesce(first_fingerprint, $7) WHERE slot = $1 AND room = $2 AND seq = $3",
    )
    .bind(slot)
    .bind(target.room)
    .bind(target.seq)
    .bind(signed(write.entry.position.seq.0))
    .bind(write.entry.at.as_millis())
    .bind(write.entry.content.as_str().to_owned())
    .bind(target.fingerprint.map(|fingerprint| fingerprint.0.to_vec()));
    transaction.execute(statement).await?;
    Ok(())
}

/// The target and all its edits are empty from now on, and the target says that it was deleted.
pub(super) async fn delete(
    transaction: &mut Transaction,
    slot: i32,
    write: &Write,
    target: Seq,
) -> Result<(), EffectError> {
    let found = find(transaction, slot, write, target).await?;
    let changed = signed(write.entry.position.seq.0);
    transaction.execute(empty(&[found], true, Some(changed))).await?;
    let edits = sqlx::query(target!(
        "WHERE e.slot = $1 AND e.room = $2 AND e.target = $3 AND e.kind = 3 AND e.seq < $4 FOR UPDATE"
    ))
    .bind(slot)
    .bind(write.room.uuid())
    .bind(signed(target.0))
    .bind(changed);
    empty_found(transaction, edits, false).await?;
    Ok(())
}

/// Empties what a query of [`target`] finds; answers what it found.
pub(super) async fn empty_found(
    transaction: &mut Transaction,
    query: Statement,
    deleted: bool,
) -> Result<Vec<Target>, Error> {
    let rows = transaction.fetch(query).await?;
    let found = rows.iter().map(read_target).collect::<Result<Vec<_>, _>>()?;
    if !found.is_empty() {
        transaction.execute(empty(&found, deleted, None)).await?;
    }
    Ok(found)
}

/// Content and attachments of these go. With `deleted` they say that they were deleted; with `changed` since when.
fn empty(targets: &[Target], deleted: bool, changed: Option<i64>) -> Statement {
    let mut leaves: Vec<i32> = targets.iter().map(|target| target.slot).collect();
    leaves.sort_unstable();
    leaves.dedup();
    let print = |target: &Target| target.fingerprint.map(|fingerprint| fingerprint.0.to_vec());
    sqlx::query(
        "UPDATE entries e SET content = '{}', attachments = NULL, emptied = true, deleted = e.deleted OR $6, \
         changed_seq = coalesce($7, e.changed_seq), first_fingerprint = coalesce(e.first_fingerprint, t.print) \
         FROM unnest($2::integer[], $3::uuid[], $4::bigint[], $5::bytea[]) t (slot, room, seq, print) \
         WHERE e.slot = ANY($1) AND e.slot = t.slot AND e.room = t.room AND e.seq = t.seq",
    )
    .bind(leaves)
    .bind(targets.iter().map(|target| target.slot).collect::<Vec<_>>())
    .bind(targets.iter().map(|target| target.room).collect::<Vec<_>>())
    .bind(targets.iter().map(|target| target.seq).collect::<Vec<_>>())
    .bind(targets.iter().map(print).collect::<Vec<_>>())
    .bind(deleted)
    .bind(changed)
}
