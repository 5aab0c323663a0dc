//! The store on PostgreSQL when something is wrong: fences, other writers, lost answers, dead and restored servers, and
//! databases that are not what they should be.

use std::{future::Future, sync::Arc, time::Duration};

use klatch_domain::{RoomId, Slot};
use klatch_store::{
    Shard, StoreError,
    directory::SlotMaps as _,
    postgres::{self, PoolSizes, PostgresStores},
    shard::{AppendError, Range, Write},
};
use klatch_tests::{
    conformance_store_log::Log,
    services::{
        postgres::{Cluster, Postgres, SLOTS},
        proxy::Proxy,
    },
};
use sqlx::{PgConnection, Row as _};

/// How long something that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    cluster: Cluster,
    stores: PostgresStores,
}

impl World {
    async fn new() -> Self {
        let cluster = Cluster::new().await;
        let stores = cluster.open().await;
        Self { cluster, stores }
    }

    fn shard(&self) -> Arc<dyn Shard> {
        Arc::clone(self.stores.shards.of(RoomId::now()))
    }

    fn database(&self) -> &str {
        &self.cluster.databases[1]
    }

    async fn run(&self, statements: &str) {
        Postgres::shared().run_in(self.database(), statements).await;
    }
}

fn slot(log: &Log) -> u16 {
    Slot::of(log.room, SLOTS).0
}

async fn made(shard: &Arc<dyn Shard>) -> Log {
    let mut log = Log::new();
    shard.append(log.create(&[1, 2])).await.unwrap();
    log
}

/// A room in another slot than this one's.
async fn made_elsewhere(shard: &Arc<dyn Shard>, than: &Log) -> Log {
    loop {
        let log = made(shard).await;
        if slot(&log) != slot(than) {
            return log;
        }
    }
}

async fn seqs(shard: &Arc<dyn Shard>, log: &Log) -> Vec<u64> {
    let page = shard.page(log.room, Range::Newest, 100, None, None).await.unwrap();
    page.entries.iter().map(|entry| entry.position.seq.0).collect()
}

/// Asks again until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let begin = std::time::Instant::now();
    while !so().await {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn count(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query(query).fetch_one(connection).await.unwrap().get(0)
}

#[tokio::test]
async fn a_fenced_slot_takes_no_writes() {
    let world = World::new().await;
    let shard = world.shard();
    let mut log = made(&shard).await;
    let mut elsewhere = made_elsewhere(&shard, &log).await;
    let fenced = slot(&log);
    world.run(&format!("SELECT fence_slot({fenced})")).await;
    let lost = log.clone().say(1, "too late");
    assert_eq!(shard.append(vec![lost.clone()]).await, Err(AppendError::Fenced));
    let both = vec![elsewhere.clone().say(1, "with it"), lost.clone()];
    assert_eq!(shard.append(both).await, Err(AppendError::Fenced), "nothing of the batch");
    assert_eq!(shard.append(vec![log.clone().react(1, 2, "+", true)]).await, Err(AppendError::Fenced));
    assert!(matches!(
        shard.set_blocking(log.room, lost.entry.sender.user, true).await,
        Err(StoreError::Unavailable { .. })
    ));
    shard.append(vec![elsewhere.say(1, "goes on")]).await.unwrap();
    assert_eq!(seqs(&shard, &log).await, [1, 2, 3]);
    assert_eq!(seqs(&shard, &elsewhere).await, [1, 2, 3, 4]);

    // By whatever way it comes: through the parent, the leaf, or as a truncation. Apply workers of a subscription pass.
    let mut connection = Postgres::shared().connect(world.database()).await;
    let ways = [
        "DELETE FROM entries".to_owned(),
        format!("UPDATE entries_s{fenced:05} SET content = '{{}}'"),
        format!("TRUNCATE entries_s{fenced:05}"),
    ];
    for way in ways {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(way.clone())).execute(&mut connection).await;
        let code = refused.unwrap_err().as_database_error().unwrap().code().map(|code| code.into_owned());
        assert_eq!(code.as_deref(), Some("KL001"), "{way}");
    }
    let apply = format!("SET session_replication_role = replica; UPDATE entries_s{fenced:05} SET content = content");
    sqlx::raw_sql(sqlx::AssertSqlSafe(apply)).execute(&mut connection).await.unwrap();

    world.run(&format!("SELECT open_slot({fenced})")).await;
    log.seq = 3;
    shard.append(vec![log.say(1, "open again")]).await.unwrap();
}

#[tokio::test]
async fn a_slot_that_is_gone_takes_no_writes() {
    let world = World::new().await;
    let shard = world.shard();
    let mut log = made(&shard).await;
    let gone = slot(&log);
    world.run(&format!("ALTER TABLE entries DETACH PARTITION entries_s{gone:05}")).await;
    assert_eq!(shard.append(vec![log.say(1, "nowhere")]).await, Err(AppendError::Fenced));
}

#[tokio::test]
async fn another_writer_is_seen() {
    let world = World::new().await;
    let other_stores = world.cluster.open().await;
    let (one, other) = (world.shard(), Arc::clone(other_stores.shards.of(RoomId::now())));
    let mut log = made(&one).await;
    let mut theirs = log.clone();
    let stored = theirs.say(2, "theirs");
    other.append(vec![stored.clone()]).await.unwrap();
    // What one remembers of the room is behind: as a stale head, as a repeat, and as a log that went on.
    let stale = log.clone().say(1, "mine");
    assert_eq!(one.append(vec![stale]).await, Err(AppendError::StaleHead(vec![log.room])));
    let id = (log.room, stored.entry.message_id);
    assert_eq!(one.append(vec![stored]).await, Err(AppendError::Duplicate(vec![id])));
    other.append(vec![theirs.say(2, "more"), theirs.say(2, "and more")]).await.unwrap();
    log.seq = theirs.seq;
    one.append(vec![log.say(1, "after all of it")]).await.unwrap();
    assert_eq!(seqs(&one, &log).await, (1..=7).collect::<Vec<_>>());
}

/// Two writers race for the same seqs many times: the log stays dense, and every write that was acknowledged is there.
#[tokio::test]
async fn racing_writers_leave_no_gap() {
    let world = World::new().await;
    let other_stores = world.cluster.open().await;
    let shards = [world.shard(), Arc::clone(other_stores.shards.of(RoomId::now()))];
    let log = made(&shards[0]).await;
    let racing: Vec<_> = shards
        .into_iter()
        .map(|shard| {
            let mut log = log.clone();
            tokio::spawn(async move {
                let mut written = Vec::new();
                while written.len() < 20 {
                    log.seq = shard.heads(&[log.room]).await.unwrap()[&log.room].position.seq.0;
                    let batch: Vec<Write> = (0..3).map(|_| log.say(1, "mine")).collect();
                    let ids: Vec<_> = batch.iter().map(|write| (log.room, write.entry.message_id)).collect();
                    match shard.append(batch).await {
                        Ok(()) => written.extend(ids),
                        Err(error) => assert_eq!(error, AppendError::StaleHead(vec![log.room])),
                    }
                }
                written
            })
        })
        .collect();
    let mut written = Vec::new();
    for writer in racing {
        written.extend(writer.await.unwrap());
    }
    let shard = world.shard();
    assert_eq!(shard.known(&written).await.unwrap().len(), written.len());
    assert_eq!(seqs(&shard, &log).await, (1..=3 + written.len() as u64).collect::<Vec<_>>());
}

/// A lock holds the writer up, and its backend is killed: nothing is written, and the same batch passes again.
#[tokio::test]
async fn a_killed_backend_is_no_lost_message() {
    let world = World::new().await;
    let shard = world.shard();
    let mut log = made(&shard).await;
    let batch = vec![log.say(1, "said once")];
    let leaf = format!("BEGIN; LOCK TABLE entries_s{:05} IN ACCESS EXCLUSIVE MODE", slot(&log));
    let mut holder = Postgres::shared().connect(world.database()).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(leaf)).execute(&mut holder).await.unwrap();
    let appending = {
        let (shard, batch) = (Arc::clone(&shard), batch.clone());
        tokio::spawn(async move { shard.append(batch).await })
    };
    let mut killed = 0;
    while killed == 0 {
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
        killed = count(&mut holder, kill).await;
    }
    let outcome = appending.await.unwrap();
    assert!(matches!(outcome, Err(AppendError::Store(StoreError::Unknown { .. }))), "{outcome:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    assert_eq!(seqs(&shard, &log).await, [1, 2, 3]);
    shard.append(batch).await.unwrap();
    assert_eq!(seqs(&shard, &log).await, [1, 2, 3, 4]);
}

/// The server commits and the answer is cut off: the writer does not know, and finds its message there.
#[tokio::test]
async fn an_answer_lost_at_commit_is_unknown() {
    let server = Postgres::start(&[]);
    let proxy = Proxy::to(server.port);
    let mut cluster = Cluster::made(&server, 1).await;
    cluster.options.shards[0].1.port = proxy.port();
    let stores = cluster.open().await;
    let shard = Arc::clone(stores.shards.of(RoomId::now()));
    let mut log = made(&shard).await;
    // With a standby that is never there a commit is on disk and its answer waits.
    let mut watcher = server.connect(&cluster.databases[1]).await;
    let wait = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'";
    sqlx::raw_sql(wait).execute(&mut watcher).await.unwrap();
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut watcher).await.unwrap();
    for batch in [vec![log.say(1, "plain")], vec![log.react(1, 2, "+", true)]] {
        let appending = {
            let (shard, batch) = (Arc::clone(&shard), batch.clone());
            tokio::spawn(async move { shard.append(batch).await })
        };
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        while count(&mut watcher, waiting).await == 0 {}
        proxy.cut();
        let outcome = appending.await.unwrap();
        assert!(matches!(outcome, Err(AppendError::Store(StoreError::Unknown { .. }))), "{outcome:?}");
        proxy.heal();
        let end = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        count(&mut watcher, end).await;
        let ids = vec![(log.room, batch[0].entry.message_id)];
        until("the repeat", || async {
            match shard.append(batch.clone()).await {
                Err(AppendError::Duplicate(known)) => known == ids,
                Err(AppendError::Store(_)) => false,
                other => panic!("{other:?}"),
            }
        })
        .await;
    }
    // What stood in the pools was cut off as well: a read may meet it once.
    let page = || shard.page(log.room, Range::Newest, 100, None, None);
    until("a read", || async { page().await.is_ok() }).await;
    assert_eq!(seqs(&shard, &log).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_full_pool_is_unavailable_and_empties_again() {
    let mut cluster = Cluster::new().await;
    cluster.options.pools = PoolSizes { shard_writers: 1, ..PoolSizes::default() };
    let stores = cluster.open().await;
    let shard = Arc::clone(stores.shards.of(RoomId::now()));
    let mut log = made(&shard).await;
    let mut elsewhere = made_elsewhere(&shard, &log).await;
    let mut holder = Postgres::shared().connect(&cluster.databases[1]).await;
    let lock = format!("BEGIN; LOCK TABLE entries_s{:05} IN ACCESS EXCLUSIVE MODE", slot(&log));
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut holder).await.unwrap();
    let appending = {
        let (shard, batch) = (Arc::clone(&shard), vec![log.say(1, "waits")]);
        tokio::spawn(async move { shard.append(batch).await })
    };
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while count(&mut holder, waiting).await == 0 {}
    let refused = shard.append(vec![elsewhere.clone().say(1, "no connection")]).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Unavailable { .. }))), "{refused:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    appending.await.unwrap().unwrap();
    shard.append(vec![elsewhere.say(1, "again")]).await.unwrap();
}

#[tokio::test]
async fn a_server_that_comes_back_has_everything() {
    let mut server = Postgres::start(&[]);
    let cluster = Cluster::made(&server, 1).await;
    let stores = cluster.open().await;
    let shard = Arc::clone(stores.shards.of(RoomId::now()));
    let mut log = made(&shard).await;
    shard.append(vec![log.say(1, "before")]).await.unwrap();
    server.stop();
    let lost = shard.append(vec![log.clone().say(1, "meanwhile")]).await;
    assert!(matches!(lost, Err(AppendError::Store(_))), "{lost:?}");
    let unread = shard.heads(&[log.room]).await;
    assert!(matches!(unread, Err(StoreError::Unavailable { .. })), "{unread:?}");
    server.restart();
    until("the shard", || async { shard.heads(&[log.room]).await.is_ok() }).await;
    until("an append", || async { shard.append(vec![log.clone().say(1, "after")]).await.is_ok() }).await;
    assert_eq!(seqs(&shard, &log).await, [1, 2, 3, 4, 5]);
    stores.close().await;
}

/// A shard that is away keeps nobody from starting.
#[tokio::test]
async fn one_dead_shard_stops_nobody() {
    let mut cluster = Cluster::new().await;
    cluster.options.shards[0].1.port = 1;
    let stores = cluster.open().await;
    assert_eq!(stores.directory.slot_map().await.unwrap().as_ref(), Some(stores.shards.map()));
    let shard = stores.shards.of(RoomId::now());
    let away = shard.heads(&[RoomId::now()]).await;
    assert!(matches!(away, Err(StoreError::Unavailable { .. })), "{away:?}");
}

/// A standby takes over that never got the last entries. Its log goes on without a gap.
#[tokio::test]
async fn a_failover_that_loses_entries_leaves_no_gap() {
    let mut primary = Postgres::start(&[]);
    let cluster = Cluster::made(&primary, 1).await;
    let stores = cluster.open().await;
    let shard = Arc::clone(stores.shards.of(RoomId::now()));
    let mut log = made(&shard).await;
    let mut standby = primary.replica();
    standby.stop();
    let kept = log.clone();
    shard.append(vec![log.say(1, "never replicated")]).await.unwrap();
    primary.stop();
    standby.port = primary.port;
    standby.restart();
    let promote = "SELECT pg_promote(true)";
    standby.run_in("postgres", promote).await;
    let next = vec![log.clone().say(1, "after what is lost")];
    until("the fence", || async {
        match shard.append(next.clone()).await {
            Err(AppendError::StaleHead(rooms)) => rooms == [kept.room],
            Err(AppendError::Store(_)) => false,
            other => panic!("{other:?}"),
        }
    })
    .await;
    let mut log = kept;
    shard.append(vec![log.say(1, "goes on")]).await.unwrap();
    // Connections for reading still lead to the one that is gone: each tells it once.
    until("reading at the new one", || async { shard.page(log.room, Range::Newest, 1, None, None).await.is_ok() })
        .await;
    assert_eq!(seqs(&shard, &log).await, [1, 2, 3, 4]);
}

fn unusable<T>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Unusable { detail, .. }) => detail,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[tokio::test]
async fn databases_that_are_not_right_are_refused_in_words() {
    let server = Postgres::shared();
    let cluster = Cluster::empty(server, 2).await;
    let refused = unusable(postgres::open(cluster.options.clone()).await);
    assert!(refused.contains("run `klatch migrate`"), "{refused}");

    // Several migrate at once.
    let (one, other) = tokio::join!(cluster.migrate(), cluster.migrate());
    assert_eq!(one, other);
    let open = cluster.open().await;
    open.close().await;
    let again = postgres::migrate(&cluster.options, 99).await.unwrap();
    assert_eq!(again, one, "the first number of slots stays");

    let mut swapped = cluster.options.clone();
    let (first, second) = (swapped.shards[0].1.clone(), swapped.shards[1].1.clone());
    (swapped.shards[0].1, swapped.shards[1].1) = (second, first);
    let refused = unusable(postgres::open(swapped).await);
    assert!(refused.contains("is shard 1 of this cluster"), "{refused}");

    let mut mixed = cluster.options.clone();
    mixed.directory = mixed.shards[0].1.clone();
    let refused = unusable(postgres::open(mixed).await);
    assert!(refused.contains("is a shard of klatch"), "{refused}");

    // While an upgrade rolls, the schema is newer than some programs: they go on as long as it has only grown.
    let grown = "CREATE TABLE from_the_future (); INSERT INTO schema_migrations (version, kind, name, needed) \
        SELECT 98, kind, 'from the future', needed FROM schema_migrations WHERE version = 8";
    server.run_in(&cluster.databases[2], grown).await;
    postgres::migrate(&cluster.options, SLOTS).await.unwrap();
    cluster.open().await.close().await;

    let newer =
        "INSERT INTO schema_migrations (version, kind, name, needed) VALUES (99, 'shard', 'without what was', 99)";
    server.run_in(&cluster.databases[2], newer).await;
    let refused = unusable(postgres::open(cluster.options.clone()).await);
    assert!(refused.contains("by a newer klatch") && refused.contains("99; this one knows 8"), "{refused}");
    let refused = unusable(postgres::migrate(&cluster.options, SLOTS).await);
    assert!(refused.contains("by a newer klatch"), "{refused}");
}

/// The first schema with data in it, brought to the newest.
#[tokio::test]
async fn an_old_schema_opens_once_it_is_migrated() {
    let server = Postgres::shared();
    let cluster = Cluster::made(server, 1).await;
    let undo = "DROP TABLE owed_commands; DELETE FROM schema_migrations WHERE version = 7";
    server.run_in(&cluster.databases[0], undo).await;
    let refused = unusable(postgres::open(cluster.options.clone()).await);
    assert!(refused.contains("has schema 6, this program needs 7"), "{refused}");
    cluster.migrate().await;
    cluster.open().await.close().await;
}

#[tokio::test]
async fn commits_that_are_not_synced_are_refused() {
    let server = Postgres::shared();
    let cluster = Cluster::made(server, 1).await;
    let off = format!("ALTER DATABASE {} SET synchronous_commit = off", cluster.databases[1]);
    server.run_in(&cluster.databases[1], &off).await;
    let refused = unusable(postgres::open(cluster.options.clone()).await);
    assert!(refused.contains("synchronous_commit is off"), "{refused}");
}
