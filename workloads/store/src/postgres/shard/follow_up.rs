//! What entries leave to be done outside the shard.

use std::collections::HashMap;

use klatch_domain::{MessageId, RoomId, Sender, Seq};
use sqlx::{postgres::PgRow, types::Uuid};

use super::{
    super::{
        database::Statement,
        fault::Step,
        sql::{get, id, number, signed},
    },
    PostgresShard, entry,
};
use crate::{
    FollowUp, FollowUpKey, StoreError,
    shard::{Effect, Write},
};

const STEP: &str = "read follow-ups";

/// What the writes of a batch leave, but for the members of rooms that are closed, whom only the database knows.
#[derive(Default)]
pub(super) struct Rows {
    slots: Vec<i32>,
    rooms: Vec<Uuid>,
    seqs: Vec<i64>,
    of_member: Vec<bool>,
    users: Vec<Uuid>,
}

impl Rows {
    pub(super) fn push(&mut self, slot: i32, write: &Write) {
        for follow_up in FollowUp::of(write, []) {
            self.push_key(slot, follow_up.key);
        }
    }

    fn push_key(&mut self, slot: i32, key: FollowUpKey) {
        self.slots.push(slot);
        self.rooms.push(key.room.uuid());
        self.seqs.push(signed(key.seq.0));
        self.of_member.push(key.user.is_some());
        self.users.push(key.user.map_or(Uuid::nil(), klatch_domain::UserId::uuid));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn bind(self, statement: Statement) -> Statement {
        statement.bind(self.slots).bind(self.rooms).bind(self.seqs).bind(self.of_member).bind(self.users)
    }
}

/// The members of a room that this write closes are owed a notice each. Before they are removed.
pub(super) fn of_members(slot: i32, write: &Write) -> Option<Statement> {
    matches!(write.effect, Effect::DeleteRoom).then(|| {
        sqlx::query(
            "INSERT INTO follow_ups (slot, room, seq, of_member, user_id) \
             SELECT slot, room, $3, true, user_id FROM members WHERE slot = $1 AND room = $2",
        )
        .bind(slot)
        .bind(write.room.uuid())
        .bind(signed(write.entry.position.seq.0))
    })
}

/// Over all slots that this shard owns, in the order of the room's id: a room's own order is that of its log.
const PAGE: &str = "SELECT slot, room, seq, of_member, user_id FROM follow_ups \
    WHERE slot = ANY($1) AND (room, seq, of_member, user_id) > ($2, $3, $4, $5) \
    ORDER BY room, seq, of_member, user_id LIMIT $6";

const ENTRIES: &str = "SELECT e.room, e.seq, e.message_id, e.sender_user, e.sender_session, e.kind, e.kind_name \
    FROM entries e WHERE e.slot = ANY($1) AND (e.room, e.seq) IN (SELECT * FROM unnest($2::uuid[], $3::bigint[]))";

impl PostgresShard {
    /// The slots whose entries may be written here.
    pub(super) async fn active_slots(&self) -> Result<Vec<i32>, StoreError> {
        const STEP: &str = "read the slots of a shard";
        let rows = self.readers.read(STEP, sqlx::query("SELECT slot FROM slot_owner WHERE state = 'active'")).await?;
        rows.iter().map(|row| get(row, 0).step(STEP)).collect()
    }

    pub(super) async fn follow_ups_after(
        &self,
        after: Option<FollowUpKey>,
        limit: usize,
    ) -> Result<Vec<FollowUp>, StoreError> {
        // A room whose slot has moved away since comes again on the other shard.
        let from = after.map_or((Uuid::nil(), -1, false, Uuid::nil()), |key| {
            let user = key.user.map_or(Uuid::nil(), klatch_domain::UserId::uuid);
            (key.room.uuid(), signed(key.seq.0), key.user.is_some(), user)
        });
        let page = sqlx::query(PAGE)
            .bind(self.active_slots().await?)
            .bind(from.0)
            .bind(from.1)
            .bind(from.2)
            .bind(from.3)
            .bind(signed(limit as u64));
        let rows = self.readers.read(STEP, page).await?;
        let keys = rows.iter().map(key).collect::<Result<Vec<_>, sqlx::Error>>().step(STEP)?;
        let entries = self.entries_of(&keys).await?;
        // An entry never goes away before its follow-ups.
        Ok(keys.into_iter().filter_map(|key| entries.get(&(key.room, key.seq)).map(|of| named(key, of))).collect())
    }

    async fn entries_of(&self, keys: &[FollowUpKey]) -> Result<HashMap<(RoomId, Seq), FollowUp>, StoreError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let places = self.place(keys.iter().map(|key| key.room));
        let seqs: Vec<i64> = keys.iter().map(|key| signed(key.seq.0)).collect();
        let statement = sqlx::query(ENTRIES).bind(places.leaves).bind(places.rooms).bind(seqs);
        let rows = self.readers.read(STEP, statement).await?;
        rows.iter()
            .map(|row| {
                let follow_up = FollowUp {
                    key: FollowUpKey { room: id(row, 0).step(STEP)?, seq: Seq(number(row, 1).step(STEP)?), user: None },
                    message_id: id::<MessageId>(row, 2).step(STEP)?,
                    sender: Sender { user: id(row, 3).step(STEP)?, session: id(row, 4).step(STEP)? },
                    kind: entry::kind_of(row, 5)?,
                };
                Ok(((follow_up.key.room, follow_up.key.seq), follow_up))
            })
            .collect()
    }

    pub(super) async fn forget_follow_ups(&self, done: &[FollowUpKey]) -> Result<(), StoreError> {
        let places = self.place(done.iter().map(|key| key.room));
        let mut rows = Rows::default();
        for key in done {
            rows.push_key(self.slot_of(key.room), *key);
        }
        let statement = sqlx::query(
            "DELETE FROM follow_ups f USING unnest($2::integer[], $3::uuid[], $4::bigint[], $5::boolean[], $6::uuid[]) \
             d (slot, room, seq, of_member, user_id) WHERE f.slot = ANY($1) AND f.slot = d.slot AND f.room = d.room \
             AND f.seq = d.seq AND f.of_member = d.of_member AND f.user_id = d.user_id",
        )
        .bind(places.leaves);
        self.writers.write("forget follow-ups", rows.bind(statement)).await.map(|_| ())
    }
}

fn key(row: &PgRow) -> Result<FollowUpKey, sqlx::Error> {
    let of_member: bool = get(row, 3)?;
    let user = if of_member { Some(id(row, 4)?) } else { None };
    Ok(FollowUpKey { room: id(row, 1)?, seq: Seq(number(row, 2)?), user })
}

fn named(key: FollowUpKey, of: &FollowUp) -> FollowUp {
    FollowUp { key, ..of.clone() }
}
