//! How far members have come.

use std::collections::BTreeMap;

use klatch_domain::{Position, RoomId, UserId};
use sqlx::{postgres::PgRow, types::Uuid};

use super::{
    super::{
        fault::Step,
        sql::{from, id, position, signed},
    },
    PostgresShard,
};
use crate::{StoreError, shard::Watermark};

const MOVE: &str = "move watermarks";

/// Moves the lines `$source` forward, in the order of the keys, so that two calls never wait in a circle. Arrays compare
/// element by element, so a position is one of generation and seq. Greatest wins.
macro_rules! raise {
    ($source:literal, $answer:literal) => {
        concat!(
            $source,
            " ORDER BY room, user_id ON CONFLICT (room, user_id, slot) DO UPDATE SET \
             read_generation = (GREATEST(ARRAY[k.read_generation, k.read_seq], \
             ARRAY[excluded.read_generation, excluded.read_seq]))[1], \
             read_seq = (GREATEST(ARRAY[k.read_generation, k.read_seq], \
             ARRAY[excluded.read_generation, excluded.read_seq]))[2], \
             delivered_generation = (GREATEST(ARRAY[k.delivered_generation, k.delivered_seq], \
             ARRAY[excluded.delivered_generation, excluded.delivered_seq]))[1], \
             delivered_seq = (GREATEST(ARRAY[k.delivered_generation, k.delivered_seq], \
             ARRAY[excluded.delivered_generation, excluded.delivered_seq]))[2] \
             WHERE ARRAY[excluded.read_generation, excluded.read_seq] > ARRAY[k.read_generation, k.read_seq] \
             OR ARRAY[excluded.delivered_generation, excluded.delivered_seq] > \
             ARRAY[k.delivered_generation, k.delivered_seq]",
            $answer
        )
    };
}

/// Nothing is above the head, delivered is never below read. Answers those that moved.
const ADVANCE: &str = raise!(
    "WITH known AS MATERIALIZED (SELECT w.*, (SELECT r.generation FROM rooms r WHERE r.slot = ANY($1) \
     AND r.slot = w.slot AND r.room = w.room) AS generation, coalesce((SELECT e.seq FROM entries e \
     WHERE e.slot = ANY($1) AND e.slot = w.slot AND e.room = w.room ORDER BY e.seq DESC LIMIT 1), 0) AS head, \
     (SELECT true FROM members m WHERE m.slot = ANY($1) AND m.slot = w.slot AND m.room = w.room \
     AND m.user_id = w.user_id) AS is_member \
     FROM unnest($2::integer[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]) \
     w (slot, room, user_id, read_generation, read_seq, delivered_generation, delivered_seq)), \
     wanted AS (SELECT slot, room, user_id, LEAST(ARRAY[read_generation, read_seq], ARRAY[generation, head]) AS read, \
     LEAST(ARRAY[delivered_generation, delivered_seq], ARRAY[generation, head]) AS delivered FROM known \
     WHERE is_member AND generation IS NOT NULL), \
     raised AS (SELECT slot, room, user_id, read, GREATEST(delivered, read) AS delivered FROM wanted) \
     INSERT INTO watermarks AS k (slot, room, user_id, read_generation, read_seq, delivered_generation, delivered_seq) \
     SELECT slot, room, user_id, read[1], read[2], delivered[1], delivered[2] FROM raised \
     WHERE delivered > ARRAY[0, 0]::bigint[]",
    " RETURNING room, user_id, read_generation, read_seq, delivered_generation, delivered_seq"
);

/// Reads no table: who has just written is a member, and their entry is in the log.
const NOTE: &str = raise!(
    "INSERT INTO watermarks AS k (slot, room, user_id, read_generation, read_seq, delivered_generation, delivered_seq) \
     SELECT slot, room, user_id, generation, seq, generation, seq \
     FROM unnest($1::integer[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[]) w (slot, room, user_id, generation, seq)",
    ""
);

/// Who has read nothing is there with nothing.
const PAGE: &str = "SELECT m.room, m.user_id, coalesce(w.read_generation, 0), coalesce(w.read_seq, 0), \
    coalesce(w.delivered_generation, 0), coalesce(w.delivered_seq, 0) FROM members m \
    LEFT JOIN watermarks w ON w.slot = $1 AND w.room = m.room AND w.user_id = m.user_id \
    WHERE m.slot = $1 AND m.room = $2 AND m.user_id >= $3 AND ($5 OR m.user_id <> $3) ORDER BY m.user_id LIMIT $4";

fn moved(row: &PgRow) -> Result<(RoomId, UserId, Watermark), sqlx::Error> {
    Ok((id(row, 0)?, id(row, 1)?, Watermark { read: position(row, 2)?, delivered: position(row, 4)? }))
}

/// One line a member: moving to both of two positions is moving to the greater.
fn merged(moves: &[(RoomId, UserId, Watermark)]) -> BTreeMap<(RoomId, UserId), Watermark> {
    let mut merged: BTreeMap<(RoomId, UserId), Watermark> = BTreeMap::new();
    for (room, user, wanted) in moves {
        let known = merged.entry((*room, *user)).or_default();
        known.read = known.read.max(wanted.read);
        known.delivered = known.delivered.max(wanted.delivered);
    }
    merged
}

impl PostgresShard {
    /// Moves watermarks forward; answers those that moved as they stand now, each once.
    pub(super) async fn advance_watermarks(
        &self,
        moves: &[(RoomId, UserId, Watermark)],
    ) -> Result<Vec<(RoomId, UserId, Watermark)>, StoreError> {
        if moves.is_empty() {
            return Ok(Vec::new());
        }
        let merged = merged(moves);
        let places = self.place(merged.keys().map(|(room, _)| *room));
        let column = |of: fn(&Watermark) -> u64| merged.values().map(|mark| signed(of(mark))).collect::<Vec<_>>();
        let database = self.writers_of(&places);
        let statement = sqlx::query(ADVANCE)
            .bind(places.leaves)
            .bind(places.slots)
            .bind(places.rooms)
            .bind(merged.keys().map(|(_, user)| user.uuid()).collect::<Vec<Uuid>>())
            .bind(column(|mark| mark.read.generation.0))
            .bind(column(|mark| mark.read.seq.0))
            .bind(column(|mark| mark.delivered.generation.0))
            .bind(column(|mark| mark.delivered.seq.0));
        let rows = database.write(MOVE, statement).await?;
        rows.iter().map(moved).collect::<Result<_, _>>().step(MOVE)
    }

    /// Senders have read what they sent.
    pub(super) async fn note_reads(&self, reads: &[(RoomId, UserId, Position)]) -> Result<(), StoreError> {
        if reads.is_empty() {
            return Ok(());
        }
        let own: Vec<_> = reads.iter().map(|(room, user, read)| (*room, *user, Watermark::read_to(*read))).collect();
        let merged = merged(&own);
        let places = self.place(merged.keys().map(|(room, _)| *room));
        let statement = sqlx::query(NOTE)
            .bind(places.slots)
            .bind(places.rooms)
            .bind(merged.keys().map(|(_, user)| user.uuid()).collect::<Vec<Uuid>>())
            .bind(merged.values().map(|mark| signed(mark.read.generation.0)).collect::<Vec<_>>())
            .bind(merged.values().map(|mark| signed(mark.read.seq.0)).collect::<Vec<_>>());
        self.writers.write("note own reads", statement).await.map(|_| ())
    }

    /// Of all members, in the order of their ids.
    pub(super) async fn read_watermarks(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, Watermark)>, StoreError> {
        const STEP: &str = "read watermarks";
        let (from, itself) = from(after.map(UserId::uuid));
        let statement = sqlx::query(PAGE)
            .bind(self.slot_of(room))
            .bind(room.uuid())
            .bind(from)
            .bind(signed(limit as u64))
            .bind(itself);
        let rows = self.readers.read(STEP, statement).await?;
        let lines = rows.iter().map(moved).collect::<Result<Vec<_>, _>>().step(STEP)?;
        Ok(lines.into_iter().map(|(_, user, watermark)| (user, watermark)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_one_line() {
        let mark = |read, delivered| Watermark { read: Position::first(read), delivered: Position::first(delivered) };
        let (room, user) = (RoomId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let merged = merged(&[(room, user, mark(3, 9)), (room, user, mark(5, 2))]);
        assert_eq!(merged.into_iter().collect::<Vec<_>>(), [((room, user), mark(5, 9))]);
    }
}
