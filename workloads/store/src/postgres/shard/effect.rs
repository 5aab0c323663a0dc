//! What entries change beside adding their row, in the order of their batch. The rows themselves are there already, those
//! of later entries too: what an entry finds is bounded by its own seq.

use klatch_domain::{Member, Ordinal, Position, RoomFacts, RoomId, UserId};
use sqlx::Error;

use super::{
    super::{
        database::{Statement, Transaction},
        sql::{role_number, room_kind_number, signed, small, visibility_number},
    },
    erase, follow_up,
};
use crate::shard::{AppendError, Effect, Write};

/// Why an effect was not had.
pub(super) enum EffectError {
    /// The database has refused.
    Database(Error),
    /// The batch is wrong.
    Append(AppendError),
}

impl From<Error> for EffectError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl EffectError {
    /// What an entry changes is not in its room, or comes after it.
    pub(super) fn no_target(target: klatch_domain::Seq) -> Self {
        Self::Append(AppendError::Data(format!("the target {} is not in its room", target.0)))
    }
}

/// The effect of an entry that was just added.
pub(super) async fn apply(transaction: &mut Transaction, slot: i32, write: &Write) -> Result<(), EffectError> {
    let seq = signed(write.entry.position.seq.0);
    match &write.effect {
        Effect::None => {}
        Effect::Create(facts) => create_room(transaction, slot, write.room, facts).await?,
        Effect::Edit { target } => erase::replace(transaction, slot, write, *target).await?,
        Effect::Delete { target } => erase::delete(transaction, slot, write, *target).await?,
        Effect::React { target, emoji, on } => {
            let statement = sqlx::query(if *on { REACT } else { UNREACT })
                .bind(slot)
                .bind(write.room.uuid())
                .bind(signed(target.0))
                .bind(seq)
                .bind(emoji.clone())
                .bind(write.entry.sender.user.uuid());
            if transaction.fetch(statement).await?.is_empty() {
                return Err(EffectError::no_target(*target));
            }
        }
        Effect::PutMember { user, member } => {
            if write.entry.ordinal > Ordinal(0) {
                transaction.execute(start_read(slot, write.room, *user, write.entry.position)).await?;
            }
            transaction.execute(put_members(slot, write.room, &[(*user, *member)])).await?;
            transaction.execute(set_members_version(slot, write.room, seq)).await?;
        }
        Effect::RemoveMember { user } => {
            let remove = "DELETE FROM members WHERE slot = $1 AND room = $2 AND user_id = $3";
            transaction.execute(sqlx::query(remove).bind(slot).bind(write.room.uuid()).bind(user.uuid())).await?;
            transaction.execute(set_members_version(slot, write.room, seq)).await?;
        }
        Effect::ChangeRoom { name, visibility } => {
            let statement = sqlx::query(
                "UPDATE rooms SET name = coalesce($3, name), visibility = coalesce($4, visibility) \
                 WHERE slot = $1 AND room = $2",
            )
            .bind(slot)
            .bind(write.room.uuid())
            .bind(name.as_ref().map(|name| name.as_str().to_owned()))
            .bind(visibility.map(|visibility| small(visibility_number(visibility))));
            transaction.execute(statement).await?;
        }
        Effect::DeleteRoom => close_room(transaction, slot, write).await?,
    }
    Ok(())
}

/// Both answer with a row when the target is there.
const REACT: &str = "WITH target AS (UPDATE entries SET changed_seq = $4 \
    WHERE slot = $1 AND room = $2 AND seq = $3 AND seq < $4 RETURNING 1), \
    reacted AS (INSERT INTO reactions (slot, room, seq, emoji, user_id) SELECT $1, $2, $3, $5, $6 FROM target \
    ON CONFLICT DO NOTHING) SELECT 1 FROM target";
const UNREACT: &str = "WITH target AS (UPDATE entries SET changed_seq = $4 \
    WHERE slot = $1 AND room = $2 AND seq = $3 AND seq < $4 RETURNING 1), \
    removed AS (DELETE FROM reactions WHERE slot = $1 AND room = $2 AND seq = $3 AND emoji = $5 AND user_id = $6) \
    SELECT 1 FROM target";

/// Makes the row of a room, and the members its facts name.
async fn create_room(
    transaction: &mut Transaction,
    slot: i32,
    room: RoomId,
    facts: &RoomFacts,
) -> Result<(), EffectError> {
    let statement = sqlx::query(
        "INSERT INTO rooms (slot, room, kind, name, visibility, generation, members_version, created_at, deleted) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(slot)
    .bind(room.uuid())
    .bind(small(room_kind_number(facts.kind)))
    .bind(facts.name.as_ref().map(|name| name.as_str().to_owned()))
    .bind(small(visibility_number(facts.visibility)))
    .bind(signed(facts.generation.0))
    .bind(signed(facts.members_version.0))
    .bind(facts.created_at.as_millis())
    .bind(facts.deleted);
    transaction.execute(statement).await?;
    let members: Vec<_> = facts.members.iter().map(|(user, member)| (*user, *member)).collect();
    if !members.is_empty() {
        transaction.execute(put_members(slot, room, &members)).await?;
    }
    Ok(())
}

/// What was said before a member came is nothing they have left unread. Before their row is there; who returns goes on from
/// where they were.
fn start_read(slot: i32, room: RoomId, user: UserId, at: Position) -> Statement {
    sqlx::query(
        "INSERT INTO watermarks (slot, room, user_id, read_generation, read_seq, delivered_generation, delivered_seq) \
         SELECT $1, $2, $3, $4, $5, $4, $5 \
         WHERE NOT EXISTS (SELECT 1 FROM members WHERE slot = $1 AND room = $2 AND user_id = $3) \
         ON CONFLICT (room, user_id, slot) DO NOTHING",
    )
    .bind(slot)
    .bind(room.uuid())
    .bind(user.uuid())
    .bind(signed(at.generation.0))
    .bind(signed(at.seq.0))
}

fn put_members(slot: i32, room: RoomId, members: &[(UserId, Member)]) -> Statement {
    sqlx::query(
        "INSERT INTO members (slot, room, user_id, role, blocking, joined_at) \
         SELECT $1, $2, m.* FROM unnest($3::uuid[], $4::smallint[], $5::boolean[], $6::bigint[]) m \
         ON CONFLICT (room, user_id, slot) DO UPDATE \
         SET role = excluded.role, blocking = excluded.blocking, joined_at = excluded.joined_at",
    )
    .bind(slot)
    .bind(room.uuid())
    .bind(members.iter().map(|(user, _)| user.uuid()).collect::<Vec<_>>())
    .bind(members.iter().map(|(_, member)| small(role_number(member.role))).collect::<Vec<_>>())
    .bind(members.iter().map(|(_, member)| member.blocking).collect::<Vec<_>>())
    .bind(members.iter().map(|(_, member)| member.joined_at.as_millis()).collect::<Vec<_>>())
}

fn set_members_version(slot: i32, room: RoomId, seq: i64) -> Statement {
    sqlx::query("UPDATE rooms SET members_version = $3 WHERE slot = $1 AND room = $2")
        .bind(slot)
        .bind(room.uuid())
        .bind(seq)
}

/// The room is closed: from now on it reads as empty, and [`super::expire`] empties it in pieces.
async fn close_room(transaction: &mut Transaction, slot: i32, write: &Write) -> Result<(), EffectError> {
    if let Some(statement) = follow_up::of_members(slot, write) {
        transaction.execute(statement).await?;
    }
    let close = sqlx::query(
        "UPDATE rooms SET deleted = true, emptied_to = coalesce(emptied_to, 0), members_version = $3 \
         WHERE slot = $1 AND room = $2",
    )
    .bind(slot)
    .bind(write.room.uuid())
    .bind(signed(write.entry.position.seq.0));
    transaction.execute(close).await?;
    let remove = "DELETE FROM members WHERE slot = $1 AND room = $2";
    transaction.execute(sqlx::query(remove).bind(slot).bind(write.room.uuid())).await?;
    Ok(())
}
