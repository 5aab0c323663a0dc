//! What a room list shows.

use std::collections::HashMap;

use klatch_domain::{Ordinal, RoomId, Seq, UserId};
use sqlx::postgres::PgRow;

use super::{
    super::{
        database::Statement,
        fault::Step,
        sql::{get, id, ordinal, position, signed},
    },
    PostgresShard,
    entry::{self, Read, entry},
};
use crate::{
    StoreError,
    shard::{Head, Overview},
};

const STEP: &str = "read overviews";

/// Head, read watermark, the last entry until there (a position of an older generation is before all of them), and the
/// calls after it.
const FACTS: &str = concat!(
    "SELECT r.room, r.generation, coalesce(h.seq, 0), coalesce(h.ordinal, 0), \
    coalesce(k.read_generation, 0), coalesce(k.read_seq, 0), coalesce(l.ordinal, 0), \
    CASE WHEN r.deleted THEN 0 ELSE (SELECT count(DISTINCT m.seq) FROM mentions m WHERE m.slot = ANY($1) \
    AND m.slot = r.slot AND m.room = r.room AND m.seq > coalesce(l.seq, 0) AND m.author <> $3 \
    AND ((m.of_member AND m.user_id = $3) OR (NOT m.of_member AND m.user_id = $4))) END ",
    each_room!("$5"),
    "LEFT JOIN LATERAL (SELECT seq, ordinal FROM entries e WHERE e.slot = ANY($1) AND e.slot = r.slot \
    AND e.room = r.room ORDER BY e.seq DESC LIMIT 1) h ON true \
    LEFT JOIN LATERAL (SELECT * FROM watermarks n WHERE n.slot = ANY($1) AND n.slot = r.slot AND n.room = r.room \
    AND n.user_id = $3 LIMIT 1) k ON true \
    LEFT JOIN LATERAL (SELECT seq, ordinal FROM entries e WHERE e.slot = ANY($1) AND e.slot = r.slot \
    AND e.room = r.room AND k.read_generation >= r.generation AND e.seq <= k.read_seq \
    ORDER BY e.seq DESC LIMIT 1) l ON true"
);

/// The newest of the last entries whose kind counts as unread: kinds 3 to 9 and 11 do not.
const NEAR_MESSAGES: &str = entry!(
    each_room!("$3"),
    "JOIN LATERAL (SELECT n.* FROM (SELECT * FROM entries x WHERE x.slot = ANY($1) AND x.slot = r.slot \
     AND x.room = r.room ORDER BY x.seq DESC LIMIT 16) n WHERE n.kind NOT IN (3, 4, 5, 6, 7, 8, 9, 11) \
     ORDER BY n.seq DESC LIMIT 1) e ON true"
);

/// Ordinals rise with exactly those entries that count and are not silent, so a binary search finds the last of these
/// however many reactions and joins follow it: the first entry that has the head's ordinal. The silent ones have a small
/// index of their own. Seqs are dense.
const FAR_MESSAGE: &str = "WITH RECURSIVE search (low, high) AS (SELECT 1::bigint, $3::bigint UNION ALL \
    SELECT CASE WHEN s.below THEN s.middle + 1 ELSE s.low END, CASE WHEN s.below THEN s.high ELSE s.middle END \
    FROM (SELECT low, high, (low + high) / 2 AS middle, (SELECT e.ordinal FROM entries e WHERE e.slot = $1 \
    AND e.room = $2 AND e.seq = (low + high) / 2) < $4 AS below FROM search WHERE low < high) s) \
    SELECT greatest((SELECT low FROM search WHERE low = high AND $4 > 0), \
    (SELECT e.seq FROM entries e WHERE e.slot = $1 AND e.room = $2 AND e.silent \
    AND e.kind NOT IN (3, 4, 5, 6, 7, 8, 9, 11) ORDER BY e.seq DESC LIMIT 1))";

const LAST: &str = entry!(
    "FROM rooms r JOIN entries e ON e.slot = ANY($1) AND e.slot = r.slot AND e.room = r.room WHERE r.slot = ANY($1) \
     AND (e.room, e.seq) IN (SELECT * FROM unnest($2::uuid[], $3::bigint[]))"
);

/// Entries [`NEAR_MESSAGES`] looks at one by one before the search goes by ordinal: in most rooms the last message is among
/// them.
const NEAR: u64 = 16;

impl PostgresShard {
    pub(super) async fn read_overviews(
        &self,
        rooms: &[RoomId],
        member: UserId,
    ) -> Result<HashMap<RoomId, Overview>, StoreError> {
        let places = self.place(rooms.iter().copied());
        let database = self.readers_of(&places);
        let statement = sqlx::query(FACTS)
            .bind(places.leaves.clone())
            .bind(places.rooms.clone())
            .bind(member.uuid())
            .bind(sqlx::types::Uuid::nil())
            .bind(places.slots.clone());
        let rows = database.read(STEP, statement).await?;
        let mut overviews: HashMap<RoomId, Overview> =
            rows.iter().map(overview).collect::<Result<_, sqlx::Error>>().step(STEP)?;
        let near = sqlx::query(NEAR_MESSAGES).bind(places.leaves).bind(places.rooms).bind(places.slots);
        let mut last = entry::entries(&database.read(STEP, near).await?)?;
        last.extend(self.far_messages(&overviews, &last).await?);
        self.add_reactions(&mut last, None).await?;
        for read in last {
            if let Some(overview) = overviews.get_mut(&read.room) {
                overview.last_message = Some(read.entry);
            }
        }
        Ok(overviews)
    }

    /// The last messages of rooms in which none is among the last entries: rare, and found one by one.
    async fn far_messages(
        &self,
        overviews: &HashMap<RoomId, Overview>,
        near: &[Read],
    ) -> Result<Vec<Read>, StoreError> {
        let (mut rooms, mut seqs) = (Vec::new(), Vec::new());
        for (room, overview) in overviews {
            let head = overview.head;
            if head.position.seq.0 > NEAR && !near.iter().any(|read| read.room == *room) {
                let rows = self.readers.read(STEP, self.far_message(*room, head.position.seq, head.ordinal)).await?;
                let seq: Option<i64> = rows.first().map_or(Ok(None), |row| get(row, 0)).step(STEP)?;
                rooms.extend(seq.map(|_| *room));
                seqs.extend(seq);
            }
        }
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let places = self.place(rooms);
        let statement = sqlx::query(LAST).bind(places.leaves).bind(places.rooms).bind(seqs);
        entry::entries(&self.readers.read(STEP, statement).await?)
    }

    fn far_message(&self, room: RoomId, head: Seq, ordinal: Ordinal) -> Statement {
        sqlx::query(FAR_MESSAGE).bind(self.slot_of(room)).bind(room.uuid()).bind(signed(head.0)).bind(signed(ordinal.0))
    }
}

fn overview(row: &PgRow) -> Result<(RoomId, Overview), sqlx::Error> {
    let overview = Overview {
        head: Head { position: position(row, 1)?, ordinal: ordinal(row, 3)? },
        read: position(row, 4)?,
        read_ordinal: ordinal(row, 6)?,
        unread_mentions: super::super::sql::number(row, 7)?,
        last_message: None,
    };
    Ok((id(row, 0)?, overview))
}
