//! What entries leave to be done outside the shard.

use klatch_domain::{RoomId, RoomKind, Sender, Seq, UserId};
use rusqlite::{Connection, params};

use super::{
    super::{
        fault::Step,
        sql::{number, signed, user},
    },
    row,
};
use crate::{
    FollowUp, FollowUpKey, StoreError,
    shard::{Effect, Write},
};

/// The user of a row that is about the room itself.
const NOBODY: &[u8] = &[];

/// Notes what this write leaves. Before its effect: a room that is closed forgets its members.
pub(super) fn leave(connection: &Connection, room_key: i64, write: &Write) -> rusqlite::Result<()> {
    let seq = write.entry.position.seq;
    let add = |user: &[u8]| add(connection, room_key, seq, user);
    match &write.effect {
        Effect::None | Effect::Edit { .. } | Effect::Delete { .. } | Effect::React { .. } => Ok(()),
        Effect::Create(facts) if facts.kind == RoomKind::Inbox => Ok(()),
        Effect::Create(facts) if facts.members.is_empty() => add(NOBODY),
        Effect::Create(facts) => facts.members.keys().try_for_each(|user| add(user.as_bytes())),
        Effect::PutMember { user, .. } | Effect::RemoveMember { user } => add(user.as_bytes()),
        Effect::ChangeRoom { .. } => add(NOBODY),
        Effect::DeleteRoom => {
            add(NOBODY)?;
            connection
                .prepare_cached(
                    "INSERT INTO follow_ups (room_key, seq, user) SELECT room_key, ?2, user FROM members WHERE room_key = ?1",
                )?
                .execute(params![room_key, signed(seq.0)])?;
            Ok(())
        }
    }
}

fn add(connection: &Connection, room_key: i64, seq: Seq, user: &[u8]) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO follow_ups (room_key, seq, user) VALUES (?1, ?2, ?3)")?.execute(params![
        room_key,
        signed(seq.0),
        user
    ])?;
    Ok(())
}

/// The first `limit` after a key: rooms in the order in which they were made, within each the order of its log.
pub(super) fn page(
    connection: &Connection,
    after: Option<FollowUpKey>,
    limit: usize,
) -> Result<Vec<FollowUp>, StoreError> {
    const STEP: &str = "read follow-ups";
    let room_key = match after {
        Some(key) => row::room(connection, key.room)?.map_or(0, |room| room.room_key),
        None => 0,
    };
    let seq = after.map_or(0, |key| signed(key.seq.0));
    let user_after: &[u8] = match &after {
        Some(FollowUpKey { user: Some(user), .. }) => user.as_bytes(),
        _ => NOBODY,
    };
    // The join's order is given: a few follow-ups, and for each one room and one entry.
    let mut statement = connection
        .prepare_cached(
            "SELECT r.room_id, f.seq, f.user, e.message_id, e.sender_user, e.sender_session, e.kind \
             FROM follow_ups f CROSS JOIN rooms r ON r.room_key = f.room_key \
             CROSS JOIN entries e ON e.room_key = f.room_key AND e.seq = f.seq \
             WHERE (f.room_key, f.seq, f.user) > (?1, ?2, ?3) ORDER BY f.room_key, f.seq, f.user LIMIT ?4",
        )
        .step(STEP)?;
    let mut rows = statement.query(params![room_key, seq, user_after, signed(limit as u64)]).step(STEP)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().step(STEP)? {
        let kind = row::kind(row, 6).step(STEP)??;
        found.push(follow_up(row, kind).step(STEP)?);
    }
    Ok(found)
}

fn follow_up(row: &rusqlite::Row<'_>, kind: klatch_domain::Kind) -> rusqlite::Result<FollowUp> {
    let room = RoomId::from_bytes(row.get(0)?);
    let whole_room = row.get_ref(2)?.as_blob().is_ok_and(<[u8]>::is_empty);
    let user: Option<UserId> = if whole_room { None } else { Some(user(row, 2)?) };
    Ok(FollowUp {
        key: FollowUpKey { room, seq: Seq(number(row, 1)?), user },
        message_id: klatch_domain::MessageId::from_bytes(row.get(3)?),
        sender: Sender {
            user: UserId::from_bytes(row.get(4)?),
            session: klatch_domain::SessionId::from_bytes(row.get(5)?),
        },
        kind,
    })
}

/// Forgets what is done. Those that are not there are done already.
pub(super) fn forget(connection: &Connection, done: &[FollowUpKey]) -> rusqlite::Result<()> {
    let mut remove = connection.prepare_cached(
        "DELETE FROM follow_ups WHERE seq = ?2 AND user = ?3 \
         AND room_key = (SELECT room_key FROM rooms WHERE room_id = ?1)",
    )?;
    for key in done {
        let user: &[u8] = key.user.as_ref().map_or(NOBODY, |user| user.as_bytes());
        remove.execute(params![key.room.as_bytes(), signed(key.seq.0), user])?;
    }
    Ok(())
}
