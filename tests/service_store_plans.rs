//! No hot query scans: every call of the store is made often enough that the server settles on a plan, and the plans it has
//! used stand in its log (`auto_explain`). Sequential scans are forbidden there, so one that shows has no index to serve it.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Instant};

use klatch_domain::{Preferences, RoomId, SessionId, Timestamp, UserId, Username};
use klatch_store::{
    Directory, Shard,
    directory::{Befriending, MemberProjection, ProfileChange, Revoke, RoomProjection, Session, SessionKind},
    shard::{Range, Watermark},
};
use klatch_tests::{
    conformance_store_directory::{at, person},
    conformance_store_log::{Log, user},
    services::postgres::{Cluster, Postgres},
};

/// From the sixth execution on a prepared statement may have a general plan
/// (<https://www.postgresql.org/docs/current/sql-prepare.html#SQL-PREPARE-NOTES>).
const TIMES: usize = 8;

const SETTINGS: [&str; 7] = [
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_nested_statements = off",
    "auto_explain.log_format = text",
    "enable_seqscan = off",
    "autovacuum = off",
    "log_line_prefix = ''",
];

/// Tables of one row, or of one row a slot: there is nothing to look up by.
const SMALL: [&str; 6] = ["identity", "slot_owner", "schema_migrations", "cluster", "slot_map", "slot_owners"];

/// The index a call is made for, by how its name on a leaf ends or by its own name. Another one would find the rows as well,
/// but only among all those of a room, or of a table.
const SERVED: [(&str, &str); 12] = [
    ("a thread down", "_room_thread_seq_idx"),
    ("a thread up", "_room_thread_seq_idx"),
    ("append with effects", "_room_target_idx"),
    ("ids", "_message_id_room_slot_idx"),
    ("overviews from afar", "_room_seq_idx"),
    ("expire", "_expires_at_idx"),
    ("credentials", "user_by_username"),
    ("search users", "users_by_display_name"),
    ("sessions of a user", "sessions_of_user"),
    ("revoked since", "sessions_by_revocation"),
    ("members", "members_of_room"),
    ("search rooms", "public_rooms_by_name"),
];

struct PlanLog<'a> {
    server: &'a Postgres,
    seen: usize,
}

impl PlanLog<'_> {
    /// What was logged while `call` was made [`TIMES`] times.
    async fn of<F: Future<Output = ()>>(&mut self, mut call: impl FnMut() -> F) -> String {
        for _ in 0..TIMES {
            call().await;
        }
        // A plan is logged when its statement ends, which may be a moment after its answer.
        let begin = Instant::now();
        loop {
            let log = self.server.log();
            let new = log.get(self.seen..).unwrap_or_default().to_owned();
            if new.matches("plan:").count() >= TIMES && new.ends_with('\n') {
                self.seen = log.len();
                return new;
            }
            assert!(begin.elapsed().as_secs() < 60, "no plans in the log:\n{new}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

fn check_no_scan(call: &str, plans: &str) {
    for line in plans.lines().filter(|line| line.contains("Seq Scan on ")) {
        let table =
            line.split("Seq Scan on ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
        assert!(SMALL.contains(&table), "{call} scans {table}:\n{plans}");
    }
}

fn check_index(call: &str, plans: &str) {
    for (_, index) in SERVED.iter().filter(|(served, _)| *served == call) {
        assert!(plans.contains(index), "{call} does not use {index}:\n{plans}");
    }
}

/// The slots whose leaves a plan names: `entries_s00002`, or an index of it.
fn slots(plan: &str) -> BTreeSet<&str> {
    plan.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter_map(|word| word.split("_s").skip(1).find_map(|rest| rest.get(..5)))
        .filter(|digits| digits.chars().all(|c| c.is_ascii_digit()))
        .collect()
}

fn check_one_leaf(call: &str, plans: &str) {
    for plan in plans.split("plan:").skip(1) {
        assert!(slots(plan).len() <= 1, "{call} touches the leaves of several slots:\n{plan}");
    }
}

#[test]
fn slots_are_read_from_plans() {
    let plan = "Index Scan using entries_s00002_pkey on entries_s00002 e\n  Append on rooms_s00001 r; users_saved";
    assert_eq!(slots(plan).into_iter().collect::<Vec<_>>(), ["00001", "00002"]);
}

/// Rooms with some of everything, in every slot.
async fn fill_shard(shard: &Arc<dyn Shard>) -> Vec<Log> {
    let mut logs = Vec::new();
    for _ in 0..24 {
        let mut log = Log::new();
        let mut batch = log.create(&[1, 2, 3]);
        for number in 0..60 {
            batch.push(log.call(1, &[2], number % 7 == 0));
        }
        batch.push(log.say_with("thread", |entry| entry.thread = Some(klatch_domain::Seq(5))));
        batch.push(log.edit(5, "edited"));
        batch.push(log.react(2, 6, "+", true));
        shard.append(batch).await.unwrap();
        logs.push(log);
    }
    logs
}

macro_rules! plans {
    ($log:ident, $check:expr, $($name:literal => $call:expr),* $(,)?) => {
        $({
            let plans = $log.of(async || { let _ = $call.await.unwrap(); }).await;
            check_no_scan($name, &plans);
            check_index($name, &plans);
            $check($name, &plans);
        })*
    };
}

#[tokio::test]
async fn no_query_of_a_shard_scans_or_leaves_its_slot() {
    let server = Postgres::start(&SETTINGS);
    let cluster = Cluster::made(&server, 1).await;
    let stores = cluster.open().await;
    let shard = Arc::clone(stores.shards.of(RoomId::now()));
    let logs = fill_shard(&shard).await;
    let log = logs[0].clone();
    // Its last message stands before more joins than are looked at one by one.
    let mut far = Log::new();
    let mut batch = far.create(&[1, 2]);
    batch.push(far.say(1, "long ago"));
    batch.extend((0..40).map(|_| far.join(3, klatch_domain::Role::Member)));
    shard.append(batch).await.unwrap();
    server.run_in(&cluster.databases[1], "ANALYZE").await;
    let mut plans = PlanLog { server: &server, seen: server.log().len() };
    let room = log.room;
    let entry = shard.page(room, Range::Newest, 1, None, None).await.unwrap().entries.remove(0);
    let mark = Watermark { read: entry.position, delivered: entry.position };
    let seq = klatch_domain::Seq;
    let mut writing = log.clone();
    let written = plans.of(|| {
        let batch = vec![writing.say(1, "plain"), writing.call(2, &[1], true)];
        let shard = &shard;
        async move { shard.append(batch).await.unwrap() }
    });
    check_one_leaf("append", &written.await);
    let mut changing = writing.clone();
    let changed = plans.of(|| {
        let batch = vec![
            changing.edit(5, "new"),
            changing.react(1, 6, "+", true),
            changing.delete(7),
            changing.join(4, klatch_domain::Role::Member),
            changing.leave(4),
        ];
        let shard = &shard;
        async move { shard.append(batch).await.unwrap() }
    });
    let changed = changed.await;
    check_no_scan("append with effects", &changed);
    check_index("append with effects", &changed);
    check_one_leaf("append with effects", &changed);
    plans!(plans, check_one_leaf,
        "a page down" => shard.page(room, Range::Newest, 20, None, Some(user(1))),
        "a page up" => shard.page(room, Range::After(seq(3)), 20, None, Some(user(1))),
        "a thread down" => shard.page(room, Range::Newest, 20, Some(seq(5)), None),
        "a thread up" => shard.page(room, Range::After(seq(3)), 20, Some(seq(5)), None),
        "an entry" => shard.entry(room, seq(6)),
        "ids" => shard.known(&[(room, entry.message_id)]),
        "heads" => shard.heads(&[room]),
        "rooms" => shard.rooms(&[room]),
        "standings" => shard.standings(&[room], user(1)),
        "overviews" => shard.overviews(&[room], user(2)),
        "overviews from afar" => shard.overviews(&[far.room], user(2)),
        "watermarks" => shard.watermarks(room, Some(user(1)), 10),
        "move watermarks" => shard.move_watermarks(vec![(room, user(2), mark)]),
        "set a block" => shard.set_blocking(room, user(1), false),
        "forget follow-ups" => shard.followed_up(vec![klatch_store::FollowUpKey { room, seq: seq(2), user: Some(user(1)) }]),
    );
    // In every slot: planned once for all leaves, which each have an index for it.
    let rooms: Vec<RoomId> = logs.iter().map(|log| log.room).collect();
    let marks = |number| rooms.iter().map(|room| (*room, user(number), mark)).collect();
    plans!(plans, |_, _: &str| {},
        "heads of many" => shard.heads(&rooms),
        "rooms of many" => shard.rooms(&rooms),
        "standings of many" => shard.standings(&rooms, user(1)),
        "overviews of many" => shard.overviews(&rooms, user(2)),
        "ids of many" => shard.known(&rooms.iter().map(|room| (*room, entry.message_id)).collect::<Vec<_>>()),
        "move watermarks of many" => shard.move_watermarks(marks(2)),
        "note own reads" => shard.note_own_reads(rooms.iter().map(|room| (*room, user(1), entry.position)).collect()),
    );
    // These are about all slots of the shard.
    plans!(plans, |_, _: &str| {},
        "follow-ups" => shard.follow_ups(None, 10),
        "expire" => shard.expire(Timestamp::from_millis(0), 10),
    );
    stores.close().await;
}

async fn fill_directory(directory: &Arc<dyn Directory>) -> Session {
    let mut session = None;
    for number in 1..=120u8 {
        let mut person = person(&format!("user{number}"), number);
        person.email = klatch_domain::Email::parse(&format!("user{number}@x")).ok();
        person.display_name = klatch_domain::DisplayName::parse(&format!("Shown {number}")).ok();
        directory.create_user(&person, "hash").await.unwrap();
        let room = RoomProjection {
            id: RoomId::from_bytes([number; 16]),
            kind: klatch_domain::RoomKind::Group,
            name: klatch_domain::RoomName::parse(&format!("Room {number}")).ok(),
            visibility: klatch_domain::Visibility::Public,
            version: klatch_domain::Seq(1),
            created_at: at(0),
            deleted: false,
        };
        let member = |user| MemberProjection {
            room: room.id,
            user,
            role: Some(klatch_domain::Role::Member),
            joined_at: at(0),
            version: klatch_domain::Seq(1),
        };
        directory.project(std::slice::from_ref(&room), &[member(user(number)), member(user(1))]).await.unwrap();
        let made = Session {
            id: SessionId::now(),
            user: user(number),
            kind: SessionKind::Device,
            name: "a phone".to_owned(),
            secret_hash: [1; 32],
            secret_number: 1,
            created_at: at(0),
            last_used_at: at(0),
            expires_at: None,
            revoked_at: None,
        };
        directory.create_session(&made).await.unwrap();
        directory.befriend(user(1), user(number), at(0), Befriending::default()).await.unwrap();
        session = Some(made);
    }
    session.unwrap()
}

#[tokio::test]
async fn no_query_of_the_directory_scans() {
    let server = Postgres::start(&SETTINGS);
    let cluster = Cluster::made(&server, 1).await;
    let stores = cluster.open().await;
    let directory: Arc<dyn Directory> = Arc::clone(&stores.directory) as _;
    let session = fill_directory(&directory).await;
    server.run_in(&cluster.databases[0], "ANALYZE").await;
    let mut plans = PlanLog { server: &server, seen: server.log().len() };
    let (one, two) = (user(1), user(2));
    let name = Username::parse("user5").unwrap();
    // Behind it are almost all users: what is found by their names is found by that condition alone.
    let early = Username::parse("user10").unwrap();
    let room = RoomId::from_bytes([5; 16]);
    let others: Vec<UserId> = (2..20).map(user).collect();
    plans!(plans, |_, _: &str| {},
        "users" => directory.users(&[one, two]),
        "credentials" => directory.credentials(&name),
        "search users" => directory.search_users("user1", Some(&early), 10),
        "change a profile" => directory.change_profile(one, &ProfileChange::default()),
        "set a password" => directory.set_password(one, "hash"),
        "session" => directory.session(session.id),
        "sessions of a user" => directory.sessions_of(session.user, None, 10),
        "rotate" => directory.rotate_secret(session.id, 1, [2; 32], at(1), at(2)),
        "touch" => directory.touch_session(session.id, at(3)),
        "revoke some" => directory.revoke_sessions(one, Revoke::Only(&[session.id]), at(4)),
        "revoked since" => directory.revoked_since(at(3)),
        "befriend" => directory.befriend(one, two, at(5), Befriending::default()),
        "unfriend" => directory.unfriend(one, user(200), &[]),
        "friendships" => directory.friendships(one, Some(two), 10),
        "blocks" => directory.blocks_between(one, &others),
        "acquainted" => directory.acquainted(one, &others),
        "rooms of a user" => directory.rooms_of(one, Some(room), 10),
        "rooms of a user among" => directory.rooms_of_among(one, &[room]),
        "large rooms of users" => directory.rooms_above(&others, 1),
        "room" => directory.room(room),
        "members" => directory.members_of(room, None, 10),
        "search rooms" => directory.public_rooms("room 1", Some(("room 10", room)), 10),
        "preferences" => directory.set_preferences(one, room, Preferences::default(), &[]),
        "reply" => directory.reply("key", at(0)),
        "keep a reply" => directory.keep_reply("key", b"answer", at(10), at(0)),
        "owed to all" => directory.owed(None, 0, 10),
        "owed to a room" => directory.owed(Some(room), 0, 10),
        "settle" => directory.settle_owed(&[1, 2]),
    );
    stores.close().await;
}
