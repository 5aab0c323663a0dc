//! Rooms: their facts, heads and members.

use std::collections::{HashMap, hash_map::Entry as Slot};

use klatch_domain::{
    Generation, Member, MemberSet, Ordinal, Position, RoomFacts, RoomId, RoomKind, RoomName, Seq, UserId,
};
use sqlx::postgres::PgRow;

use super::{
    super::{
        database::Database,
        fault::{Step, damaged},
        sql::{self, enumerated, get, id, maybe_time, number, ordinal, position, time},
    },
    Places, PostgresShard,
};
use crate::{
    StoreError,
    shard::{Head, Standing},
};

const STEP: &str = "read a room";

const HEADS: &str = concat!(
    "SELECT r.room, r.generation, coalesce(h.seq, 0), coalesce(h.ordinal, 0) ",
    each_room!("$3"),
    "LEFT JOIN LATERAL (SELECT seq, ordinal FROM entries e WHERE e.slot = ANY($1) AND e.slot = r.slot \
    AND e.room = r.room ORDER BY e.seq DESC LIMIT 1) h ON true"
);

/// One row a member, or one for a room without: facts, head and members as one moment saw them.
const ROOMS: &str = concat!(
    "SELECT r.room, r.kind, r.name, r.visibility, r.created_at, r.generation, r.members_version, r.deleted, \
    coalesce(h.seq, 0), coalesce(h.ordinal, 0), h.at, m.user_id, m.role, m.blocking, m.joined_at ",
    each_room!("$3"),
    "LEFT JOIN LATERAL (SELECT seq, ordinal, at FROM entries e WHERE e.slot = ANY($1) AND e.slot = r.slot \
    AND e.room = r.room ORDER BY e.seq DESC LIMIT 1) h ON true \
    LEFT JOIN LATERAL (SELECT * FROM members n WHERE n.slot = ANY($1) AND n.slot = r.slot AND n.room = r.room \
    OFFSET 0) m ON true"
);

/// Counts members in the key's index, without reading who they are. 1 is a direct room.
const STANDINGS: &str = concat!(
    "SELECT r.room, r.kind, r.name, r.visibility, r.created_at, r.generation, r.members_version, \
    r.deleted, (SELECT m.role FROM members m WHERE m.slot = ANY($1) AND m.slot = r.slot AND m.room = r.room \
    AND m.user_id = $3), (SELECT count(*) FROM members m WHERE m.slot = ANY($1) AND m.slot = r.slot \
    AND m.room = r.room), CASE WHEN r.kind = 1 THEN (SELECT m.user_id FROM members m WHERE m.slot = ANY($1) \
    AND m.slot = r.slot AND m.room = r.room AND m.user_id <> $3 ORDER BY m.user_id LIMIT 1) END ",
    each_room!("$4"),
);

/// Columns 1 to 7. Head and members come from elsewhere.
fn facts(row: &PgRow) -> Result<RoomFacts, StoreError> {
    let name: Option<String> = get(row, 2).step(STEP)?;
    let name =
        name.map(|name| RoomName::parse(&name)).transpose().map_err(|error| damaged(STEP, &error.to_string()))?;
    let kind = sql::room_kind(enumerated(row, 1).step(STEP)?)?;
    let visibility = sql::visibility(enumerated(row, 3).step(STEP)?);
    let mut facts = RoomFacts::new(kind, name, visibility, time(row, 4).step(STEP)?);
    facts.generation = Generation(number(row, 5).step(STEP)?);
    facts.members_version = Seq(number(row, 6).step(STEP)?);
    facts.deleted = get(row, 7).step(STEP)?;
    Ok(facts)
}

fn facts_with_head(row: &PgRow) -> Result<RoomFacts, StoreError> {
    let mut facts = facts(row)?;
    facts.head = Seq(number(row, 8).step(STEP)?);
    facts.head_ordinal = ordinal(row, 9).step(STEP)?;
    if let Some(at) = maybe_time(row, 10).step(STEP)? {
        facts.last_at = at;
    }
    facts.members = MemberSet::new();
    Ok(facts)
}

/// Columns 11 to 14; None in a room without members.
fn member(row: &PgRow) -> Result<Option<(UserId, Member)>, StoreError> {
    let Some(user) = get::<Option<sqlx::types::Uuid>>(row, 11).step(STEP)? else { return Ok(None) };
    let role = sql::role(enumerated(row, 12).step(STEP)?)?;
    let member = Member { role, blocking: get(row, 13).step(STEP)?, joined_at: time(row, 14).step(STEP)? };
    Ok(Some((UserId::from(user), member)))
}

fn standing(row: &PgRow) -> Result<Standing, StoreError> {
    let facts = facts(row)?;
    let role: Option<i16> = get(row, 8).step(STEP)?;
    let peer: Option<sqlx::types::Uuid> = get(row, 10).step(STEP)?;
    Ok(Standing {
        kind: facts.kind,
        name: facts.name,
        visibility: facts.visibility,
        role: role.map(|role| sql::role(i64::from(role))).transpose()?.filter(|_| !facts.deleted),
        member_count: number(row, 9).step(STEP)?,
        peer: peer.map(UserId::from).filter(|_| facts.kind == RoomKind::Direct),
        members_version: facts.members_version,
        deleted: facts.deleted,
    })
}

impl PostgresShard {
    /// The rooms of these ids that exist. What is read is remembered: a writer that loads rooms writes them next.
    pub(super) async fn read_rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomFacts>, StoreError> {
        let timeline = self.heads.timeline();
        let places = self.place(rooms.iter().copied());
        let database = self.readers_of(&places);
        let statement = sqlx::query(ROOMS).bind(places.leaves).bind(places.rooms).bind(places.slots);
        let rows = database.read(STEP, statement).await?;
        let mut found: HashMap<RoomId, RoomFacts> = HashMap::with_capacity(rooms.len());
        for row in &rows {
            let facts = match found.entry(id(row, 0).step(STEP)?) {
                Slot::Occupied(known) => known.into_mut(),
                Slot::Vacant(new) => new.insert(facts_with_head(row)?),
            };
            if let Some((user, member)) = member(row)? {
                facts.members.insert(user, member);
            }
        }
        let head = |facts: &RoomFacts| Position { generation: facts.generation, seq: facts.head };
        self.heads.reached(&timeline, found.iter().map(|(room, facts)| (*room, head(facts))));
        Ok(found)
    }

    pub(super) async fn read_heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Head>, StoreError> {
        let places = self.place(rooms.iter().copied());
        let database = self.readers_of(&places);
        self.query_heads(database, places).await
    }

    /// Where the logs of the rooms end that exist.
    pub(super) async fn query_heads(
        &self,
        database: &Database,
        places: Places,
    ) -> Result<HashMap<RoomId, Head>, StoreError> {
        const STEP: &str = "read heads";
        let statement = sqlx::query(HEADS).bind(places.leaves).bind(places.rooms).bind(places.slots);
        let rows = database.read(STEP, statement).await?;
        rows.iter()
            .map(|row| {
                let head = Head { position: position(row, 1).step(STEP)?, ordinal: ordinal_of(row)? };
                Ok((id(row, 0).step(STEP)?, head))
            })
            .collect()
    }

    pub(super) async fn read_standings(
        &self,
        rooms: &[RoomId],
        user: UserId,
    ) -> Result<HashMap<RoomId, Standing>, StoreError> {
        let places = self.place(rooms.iter().copied());
        let database = self.readers_of(&places);
        let statement =
            sqlx::query(STANDINGS).bind(places.leaves).bind(places.rooms).bind(user.uuid()).bind(places.slots);
        let rows = database.read("read standings", statement).await?;
        rows.iter().map(|row| Ok((id(row, 0).step(STEP)?, standing(row)?))).collect()
    }

    /// A member of a direct room blocks the other, or no longer does.
    pub(super) async fn set_member_blocking(&self, room: RoomId, user: UserId, on: bool) -> Result<(), StoreError> {
        let statement = sqlx::query("UPDATE members SET blocking = $4 WHERE slot = $1 AND room = $2 AND user_id = $3")
            .bind(self.slot_of(room))
            .bind(room.uuid())
            .bind(user.uuid())
            .bind(on);
        self.writers.write("set a block", statement).await.map(|_| ())
    }
}

fn ordinal_of(row: &PgRow) -> Result<Ordinal, StoreError> {
    ordinal(row, 3).step("read heads")
}
