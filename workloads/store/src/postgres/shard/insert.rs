//! The one statement that writes the entries of a batch, their mentions and what they leave to be done.

use klatch_domain::{Entry, Kind, RoomId};
use sqlx::types::Uuid;

use super::{
    super::{
        database::Statement,
        sql::{kind_number, signed, small},
    },
    follow_up,
};
use crate::{shard::Write, stored::mentions_bytes};

/// Written only on the timeline the caller knows; answers how many. Rows go to their leaves by their slot: no leaf is
/// planned for. In the order of the keys, so that two batches wait for each other and never in a circle.
macro_rules! entries {
    ($($rest:literal),*) => {
        concat!(
            "WITH here AS MATERIALIZED (SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) = $1 AS same), \
             written AS (INSERT INTO entries (slot, room, seq, ordinal, message_id, sender_user, sender_session, at, kind, \
             kind_name, content, content_type, reply_to, thread, target, mentions, silent, attachments, expires_at) \
             SELECT i.* FROM unnest($2::integer[], $3::uuid[], $4::bigint[], $5::bigint[], $6::uuid[], $7::uuid[], \
             $8::uuid[], $9::bigint[], $10::smallint[], $11::text[], $12::text[], $13::text[], $14::bigint[], \
             $15::bigint[], $16::bigint[], $17::bytea[], $18::boolean[], $19::text[], $20::bigint[]) i, here \
             WHERE here.same RETURNING 1)",
            $($rest,)*
            " SELECT count(*) FROM written"
        )
    };
}

const PLAIN: &str = entries!();

const WITH_MORE: &str = entries!(
    ", called AS (INSERT INTO mentions (slot, room, of_member, user_id, seq, author) \
     SELECT m.* FROM unnest($21::integer[], $22::uuid[], $23::boolean[], $24::uuid[], $25::bigint[], $26::uuid[]) m, here \
     WHERE here.same ON CONFLICT DO NOTHING), \
     owed AS (INSERT INTO follow_ups (slot, room, seq, of_member, user_id) \
     SELECT f.* FROM unnest($27::integer[], $28::uuid[], $29::bigint[], $30::boolean[], $31::uuid[]) f, here \
     WHERE here.same)"
);

/// The columns of the entries, one array each.
#[derive(Default)]
struct Entries {
    slots: Vec<i32>,
    rooms: Vec<Uuid>,
    seqs: Vec<i64>,
    ordinals: Vec<i64>,
    ids: Vec<Uuid>,
    users: Vec<Uuid>,
    sessions: Vec<Uuid>,
    times: Vec<i64>,
    kinds: Vec<i16>,
    kind_names: Vec<Option<String>>,
    contents: Vec<String>,
    content_types: Vec<Option<String>>,
    replies: Vec<Option<i64>>,
    threads: Vec<Option<i64>>,
    targets: Vec<Option<i64>>,
    mentions: Vec<Option<Vec<u8>>>,
    silent: Vec<bool>,
    attachments: Vec<Option<String>>,
    expiries: Vec<Option<i64>>,
}

impl Entries {
    fn push(&mut self, slot: i32, room: RoomId, entry: &Entry) {
        let known_kind = kind_number(&entry.kind);
        self.slots.push(slot);
        self.rooms.push(room.uuid());
        self.seqs.push(signed(entry.position.seq.0));
        self.ordinals.push(signed(entry.ordinal.0));
        self.ids.push(entry.message_id.uuid());
        self.users.push(entry.sender.user.uuid());
        self.sessions.push(entry.sender.session.uuid());
        self.times.push(entry.at.as_millis());
        self.kinds.push(known_kind.map_or(0, small));
        self.kind_names.push(known_kind.is_none().then(|| entry.kind.name().to_owned()));
        self.contents.push(entry.content.as_str().to_owned());
        self.content_types.push(other_content_type(entry));
        self.replies.push(entry.reply_to.map(|seq| signed(seq.0)));
        self.threads.push(entry.thread.map(|seq| signed(seq.0)));
        self.targets.push(entry.target.map(|seq| signed(seq.0)));
        self.mentions.push(entry.mentions.as_ref().map(mentions_bytes));
        self.silent.push(entry.silent);
        self.attachments.push(entry.attachments.as_ref().and_then(|files| serde_json::to_string(files).ok()));
        self.expiries.push(entry.expires_at.map(klatch_domain::Timestamp::as_millis));
    }

    fn bind(self, statement: &'static str, timeline: &str) -> Statement {
        sqlx::query(statement)
            .bind(timeline.to_owned())
            .bind(self.slots)
            .bind(self.rooms)
            .bind(self.seqs)
            .bind(self.ordinals)
            .bind(self.ids)
            .bind(self.users)
            .bind(self.sessions)
            .bind(self.times)
            .bind(self.kinds)
            .bind(self.kind_names)
            .bind(self.contents)
            .bind(self.content_types)
            .bind(self.replies)
            .bind(self.threads)
            .bind(self.targets)
            .bind(self.mentions)
            .bind(self.silent)
            .bind(self.attachments)
            .bind(self.expiries)
    }
}

fn other_content_type(entry: &Entry) -> Option<String> {
    (entry.content_type != Kind::default_content_type(&entry.kind)).then(|| entry.content_type.clone().into_owned())
}

/// Who is called by the entries of a batch: one row a user, one for the whole room.
#[derive(Default)]
struct Mentioned {
    slots: Vec<i32>,
    rooms: Vec<Uuid>,
    of_member: Vec<bool>,
    users: Vec<Uuid>,
    seqs: Vec<i64>,
    authors: Vec<Uuid>,
}

impl Mentioned {
    fn push(&mut self, slot: i32, room: RoomId, entry: &Entry) {
        let Some(mentions) = &entry.mentions else { return };
        let users = mentions.users.iter().map(|user| (true, user.uuid()));
        for (of_member, user) in users.chain(mentions.room.then_some((false, Uuid::nil()))) {
            self.slots.push(slot);
            self.rooms.push(room.uuid());
            self.of_member.push(of_member);
            self.users.push(user);
            self.seqs.push(signed(entry.position.seq.0));
            self.authors.push(entry.sender.user.uuid());
        }
    }
}

/// What writes a batch, effects aside.
pub(super) fn statement(batch: &[Write], slot_of: impl Fn(RoomId) -> i32, timeline: &str) -> Statement {
    let mut ordered: Vec<(i32, &Write)> = batch.iter().map(|write| (slot_of(write.room), write)).collect();
    ordered.sort_by_key(|(slot, write)| (*slot, write.room, write.entry.position.seq));
    let (mut entries, mut mentioned, mut owed) = (Entries::default(), Mentioned::default(), follow_up::Rows::default());
    for (slot, write) in ordered {
        entries.push(slot, write.room, &write.entry);
        mentioned.push(slot, write.room, &write.entry);
        owed.push(slot, write);
    }
    if mentioned.slots.is_empty() && owed.is_empty() {
        return entries.bind(PLAIN, timeline);
    }
    let statement = entries
        .bind(WITH_MORE, timeline)
        .bind(mentioned.slots)
        .bind(mentioned.rooms)
        .bind(mentioned.of_member)
        .bind(mentioned.users)
        .bind(mentioned.seqs)
        .bind(mentioned.authors);
    owed.bind(statement)
}
