//! Entries as they are read.

use std::{borrow::Cow, collections::HashMap};

use klatch_domain::{
    Content, Entry, Fingerprint, Generation, Kind, MessageId, Position, ReactionCount, RoomId, Sender, Seq, Timestamp,
    UserId,
};
use sqlx::{Error, postgres::PgRow};

use super::{
    super::{
        fault::{Step, damaged},
        sql::{self, enumerated, get, id, maybe_seq, maybe_time, number, ordinal, signed, time},
    },
    PostgresShard,
};
use crate::{StoreError, stored::mentions};

const STEP: &str = "read an entry";

/// Every column of an entry `e` of a room `r`. The last is when the target of an edit expires: with the target's content
/// that of its edits goes too. `$1` are the leaves the query may touch.
macro_rules! entry {
    ($($rest:tt)+) => {
        concat!(
            "SELECT e.room, r.generation, r.deleted, e.seq, e.ordinal, e.message_id, e.sender_user, e.sender_session, \
             e.at, e.kind, e.kind_name, e.content, e.content_type, e.reply_to, e.thread, e.target, e.mentions, e.silent, \
             e.attachments, e.expires_at, e.changed_seq, e.edited_at, e.deleted, e.emptied, e.first_fingerprint, \
             CASE WHEN e.kind = 3 THEN (SELECT t.expires_at FROM entries t \
             WHERE t.slot = ANY($1) AND t.slot = e.slot AND t.room = e.room AND t.seq = e.target) END ",
            $($rest)+
        )
    };
}
pub(super) use entry;

/// An entry as it is now, and what was first sent under its id if that is another content.
pub(super) struct Read {
    pub(super) room: RoomId,
    pub(super) entry: Entry,
    pub(super) first_fingerprint: Option<Fingerprint>,
    /// Its room is closed: it has no reactions any more.
    closed: bool,
}

/// Two columns, a number for known kinds and a name for others.
pub(super) fn kind_of(row: &PgRow, column: usize) -> Result<Kind, StoreError> {
    match enumerated(row, column).step(STEP)? {
        0 => {
            let name: Option<String> = get(row, column + 1).step(STEP)?;
            Ok(Kind::from_name(&name.ok_or_else(|| damaged(STEP, "a kind without a name"))?))
        }
        number => sql::kind(number),
    }
}

/// The rows of a query that begins with [`entry`], without reactions.
pub(super) fn entries(rows: &[PgRow]) -> Result<Vec<Read>, StoreError> {
    let now = sql::now();
    rows.iter().map(|row| read(row, now)).collect()
}

fn read(row: &PgRow, now: Timestamp) -> Result<Read, StoreError> {
    let closed: bool = get(row, 2).step(STEP)?;
    let expires_at = maybe_time(row, 19).step(STEP)?;
    let over = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    let expired = over(expires_at);
    let hidden = expired || closed || over(maybe_time(row, 25).step(STEP)?);
    let emptied: bool = get(row, 23).step(STEP)?;
    let kind = kind_of(row, 9)?;
    let mut entry = plain(row, kind).step(STEP)?;
    entry.expires_at = expires_at;
    entry.deleted = expired || get(row, 22).step(STEP)?;
    let content = sql::content(&get::<String>(row, 11).step(STEP)?)?;
    let mut first_fingerprint =
        get::<Option<Vec<u8>>>(row, 24).step(STEP)?.and_then(|bytes| bytes.try_into().ok()).map(Fingerprint);
    if hidden && first_fingerprint.is_none() {
        let (reply_to, thread, target) = (entry.reply_to, entry.thread, entry.target);
        let mentioned = entry.mentions.as_ref();
        first_fingerprint =
            Some(Fingerprint::of(&entry.kind, &content, &entry.content_type, reply_to, thread, target, mentioned));
    }
    if !hidden && !emptied {
        entry.content = content;
        entry.attachments = attachments(row)?;
    }
    Ok(Read { room: id(row, 0).step(STEP)?, entry, first_fingerprint, closed })
}

/// Everything but content and what hides it.
fn plain(row: &PgRow, kind: Kind) -> Result<Entry, Error> {
    let seq = number(row, 3)?;
    Ok(Entry {
        // After a restore the whole log, older entries too, stands in the room's new generation.
        position: Position { generation: Generation(number(row, 1)?), seq: Seq(seq) },
        prev_seq: Seq(seq.saturating_sub(1)),
        ordinal: ordinal(row, 4)?,
        message_id: id::<MessageId>(row, 5)?,
        sender: Sender { user: id(row, 6)?, session: id(row, 7)? },
        at: time(row, 8)?,
        content_type: match get::<Option<String>>(row, 12)? {
            Some(given) => Cow::Owned(given),
            None => Cow::Borrowed(kind.default_content_type()),
        },
        kind,
        content: Content::empty(),
        reply_to: maybe_seq(row, 13)?,
        thread: maybe_seq(row, 14)?,
        target: maybe_seq(row, 15)?,
        changed_seq: maybe_seq(row, 20)?,
        mentions: get::<Option<Vec<u8>>>(row, 16)?.map(|bytes| mentions(&bytes)),
        silent: get(row, 17)?,
        attachments: None,
        expires_at: None,
        edited_at: maybe_time(row, 21)?,
        deleted: false,
        reactions: Vec::new(),
    })
}

fn attachments(row: &PgRow) -> Result<Option<Vec<Content>>, StoreError> {
    let text: Option<String> = get(row, 18).step(STEP)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| damaged(STEP, &error.to_string()))).transpose()
}

/// Emoji in the order of their bytes, by the entry they are on.
const REACTIONS: &str = "SELECT r.room, r.seq, r.emoji, count(*), bool_or(r.user_id = $4) \
    FROM unnest($5::integer[], $2::uuid[], $3::bigint[]) w (slot, id, seq) JOIN LATERAL (SELECT * FROM reactions x \
    WHERE x.slot = ANY($1) AND x.slot = w.slot AND x.room = w.id AND x.seq = w.seq OFFSET 0) r ON true \
    GROUP BY r.room, r.seq, r.emoji ORDER BY r.emoji";

impl PostgresShard {
    /// Reactions change the row they are on, so only changed rows are looked up.
    pub(super) async fn add_reactions(&self, found: &mut [Read], viewer: Option<UserId>) -> Result<(), StoreError> {
        const STEP: &str = "count reactions";
        let changed: Vec<(RoomId, Seq)> = found
            .iter()
            .filter(|read| read.entry.changed_seq.is_some() && !read.closed)
            .map(|read| (read.room, read.entry.position.seq))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let places = self.place(changed.iter().map(|(room, _)| *room));
        let database = self.readers_of(&places);
        let statement = sqlx::query(REACTIONS)
            .bind(places.leaves)
            .bind(places.rooms)
            .bind(changed.iter().map(|(_, seq)| signed(seq.0)).collect::<Vec<_>>())
            .bind(viewer.map(UserId::uuid))
            .bind(places.slots);
        let rows = database.read(STEP, statement).await?;
        let mut counts: HashMap<(RoomId, Seq), Vec<ReactionCount>> = HashMap::with_capacity(changed.len());
        for row in &rows {
            let (key, count) = reaction(row, viewer).step(STEP)?;
            counts.entry(key).or_default().push(count);
        }
        for read in found {
            if let Some(reactions) = counts.remove(&(read.room, read.entry.position.seq)) {
                read.entry.reactions = reactions;
            }
        }
        Ok(())
    }
}

fn reaction(row: &PgRow, viewer: Option<UserId>) -> Result<((RoomId, Seq), ReactionCount), Error> {
    let mine: Option<bool> = get(row, 4)?;
    let count = ReactionCount {
        emoji: get(row, 2)?,
        count: u32::try_from(number(row, 3)?).unwrap_or(u32::MAX),
        mine: viewer.and(mine),
    };
    Ok(((id(row, 0)?, Seq(number(row, 1)?)), count))
}
