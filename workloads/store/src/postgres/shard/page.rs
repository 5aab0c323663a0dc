//! Pages of a room's log, and rows by their id.

use std::collections::HashMap;

use klatch_domain::{Entry, MessageId, RoomId, Seq, UserId, limits::HISTORY_PAGE};

use super::{
    super::{database::Statement, sql::signed},
    PostgresShard,
    entry::{self, entry},
};
use crate::{
    StoreError,
    shard::{Known, Page, Range},
};

const LOG_DOWN: &str = entry!(
    "FROM rooms r JOIN entries e ON e.slot = ANY($1) AND e.room = r.room WHERE r.slot = ANY($1) AND r.room = $2 \
     AND e.seq < $3 ORDER BY e.seq DESC LIMIT $4"
);
const LOG_UP: &str = entry!(
    "FROM rooms r JOIN entries e ON e.slot = ANY($1) AND e.room = r.room WHERE r.slot = ANY($1) AND r.room = $2 \
     AND e.seq > $3 ORDER BY e.seq LIMIT $4"
);
/// The thread's first entry belongs to it although it does not name it.
const THREAD_DOWN: &str = entry!(
    "FROM rooms r JOIN entries e ON e.slot = ANY($1) AND e.room = r.room WHERE r.slot = ANY($1) AND r.room = $2 \
     AND e.seq IN (SELECT seq FROM (SELECT seq FROM entries WHERE slot = ANY($1) AND room = $2 AND thread = $5 \
     AND seq <> $5 AND seq < $3 UNION ALL SELECT $5 WHERE $5 < $3) s ORDER BY seq DESC LIMIT $4) ORDER BY e.seq DESC"
);
const THREAD_UP: &str = entry!(
    "FROM rooms r JOIN entries e ON e.slot = ANY($1) AND e.room = r.room WHERE r.slot = ANY($1) AND r.room = $2 \
     AND e.seq IN (SELECT seq FROM (SELECT seq FROM entries WHERE slot = ANY($1) AND room = $2 AND thread = $5 \
     AND seq <> $5 AND seq > $3 UNION ALL SELECT $5 WHERE $5 > $3) s ORDER BY seq LIMIT $4) ORDER BY e.seq"
);
const AT: &str = entry!(
    "FROM rooms r JOIN entries e ON e.slot = ANY($1) AND e.room = r.room \
     WHERE r.slot = ANY($1) AND r.room = $2 AND e.seq = $3"
);
const KNOWN: &str = entry!(
    "FROM unnest($4::integer[], $2::uuid[], $3::uuid[]) w (slot, message, id) JOIN LATERAL (SELECT * FROM entries x \
     WHERE x.slot = ANY($1) AND x.slot = w.slot AND x.message_id = w.message AND x.room = w.id LIMIT 1) e ON true \
     JOIN LATERAL (SELECT * FROM rooms y WHERE y.slot = ANY($1) AND y.slot = w.slot AND y.room = w.id LIMIT 1) r ON true"
);

/// The seqs beyond which a range begins, and whether it goes up from there.
fn bounds(range: Range) -> (i64, bool) {
    match range {
        Range::Newest => (i64::MAX, false),
        Range::Before(seq) => (signed(seq.0), false),
        Range::After(seq) => (signed(seq.0), true),
    }
}

impl PostgresShard {
    fn page_statement(&self, room: RoomId, range: Range, limit: i64, thread: Option<Seq>) -> Statement {
        let (from, up) = bounds(range);
        let statement = match (thread, up) {
            (None, false) => LOG_DOWN,
            (None, true) => LOG_UP,
            (Some(_), false) => THREAD_DOWN,
            (Some(_), true) => THREAD_UP,
        };
        let query = sqlx::query(statement).bind(vec![self.slot_of(room)]).bind(room.uuid()).bind(from).bind(limit);
        match thread {
            None => query,
            Some(thread) => query.bind(signed(thread.0)),
        }
    }

    pub(super) async fn read_page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        thread: Option<Seq>,
        viewer: Option<UserId>,
    ) -> Result<Page, StoreError> {
        let limit = limit.min(HISTORY_PAGE);
        // One more than asked for says whether there is more.
        let statement = self.page_statement(room, range, signed(limit as u64 + 1), thread);
        let mut found = entry::entries(&self.readers.read("read a page", statement).await?)?;
        let more = found.len() > limit;
        found.truncate(limit);
        if !matches!(range, Range::After(_)) {
            found.reverse();
        }
        self.add_reactions(&mut found, viewer).await?;
        Ok(Page { entries: found.into_iter().map(|read| read.entry).collect(), more })
    }

    pub(super) async fn read_entry(&self, room: RoomId, seq: Seq) -> Result<Option<Entry>, StoreError> {
        let statement = sqlx::query(AT).bind(vec![self.slot_of(room)]).bind(room.uuid()).bind(signed(seq.0));
        let mut found = entry::entries(&self.readers.read("read an entry", statement).await?)?;
        self.add_reactions(&mut found, None).await?;
        Ok(found.pop().map(|read| read.entry))
    }

    pub(super) async fn read_known(
        &self,
        ids: &[(RoomId, MessageId)],
    ) -> Result<HashMap<(RoomId, MessageId), Known>, StoreError> {
        let places = self.place(ids.iter().map(|(room, _)| *room));
        let database = self.readers_of(&places);
        let statement = sqlx::query(KNOWN)
            .bind(places.leaves)
            .bind(ids.iter().map(|(_, id)| id.uuid()).collect::<Vec<_>>())
            .bind(places.rooms)
            .bind(places.slots);
        let mut found = entry::entries(&database.read("look up ids", statement).await?)?;
        self.add_reactions(&mut found, None).await?;
        let known = found.into_iter().map(|read| {
            let known = Known { entry: read.entry, first_fingerprint: read.first_fingerprint };
            ((read.room, known.entry.message_id), known)
        });
        Ok(known.collect())
    }
}
