//! How the store reaches PostgreSQL: TLS, a pooler in between, replicas.

use std::{fs, sync::Arc};

use klatch_domain::{RoomId, RoomKind, RoomName, Seq, Visibility};
use klatch_store::{
    Directory, Shard, StoreError,
    directory::{RoomProjection, RoomProjections as _, Users as _},
    postgres::{self, Pooler, PostgresStores, Tls},
};
use klatch_tests::{
    conformance_store_directory::{at, person},
    conformance_store_log::user,
    encrypted_front::AUTHORITY,
    services::{
        installation::give_to_postgres,
        pgbouncer::PgBouncer,
        postgres::{Cluster, Postgres},
    },
};
use sqlx::{PgConnection, Row as _};
use tokio::sync::OnceCell;

/// A cluster behind PgBouncer: migrated directly, opened through it. Before 1.21 without prepared statements.
async fn behind_pgbouncer() -> PostgresStores {
    static BOUNCER: OnceCell<PgBouncer> = OnceCell::const_new();
    let bouncer = BOUNCER.get_or_init(async || PgBouncer::to(Postgres::shared())).await;
    let mut options = Cluster::new().await.options;
    let pooler = if bouncer.prepares { Pooler::Prepared } else { Pooler::Unprepared };
    let shards = options.shards.iter_mut().map(|(_, endpoint)| endpoint);
    for endpoint in shards.chain([&mut options.directory]) {
        "127.0.0.1".clone_into(&mut endpoint.host);
        endpoint.port = bouncer.port;
        endpoint.pooler = pooler;
    }
    postgres::open(options).await.unwrap_or_else(|error| panic!("{error}; PgBouncer's log:\n{}", bouncer.log()))
}

async fn shard_behind_pgbouncer() -> (Arc<dyn Shard>, PostgresStores) {
    let stores = behind_pgbouncer().await;
    (Arc::clone(stores.shards.of(RoomId::now())), stores)
}

async fn directory_behind_pgbouncer() -> (Arc<dyn Directory>, PostgresStores) {
    let stores = behind_pgbouncer().await;
    let directory: Arc<dyn Directory> = Arc::clone(&stores.directory) as _;
    (directory, stores)
}

mod pgbouncer {
    mod shard {
        klatch_tests::shard_conforms!(super::super::shard_behind_pgbouncer);
    }
    mod effects {
        klatch_tests::shard_effects_conform!(super::super::shard_behind_pgbouncer);
    }
    mod directory {
        klatch_tests::directory_conforms!(super::super::directory_behind_pgbouncer);
    }
}

/// From 1.21 on a statement is parsed once for each server connection, whatever transaction it is used in.
#[tokio::test]
async fn statements_stay_prepared_across_transactions_and_server_connections() {
    /// Far above what a pool of [`PgBouncer`] holds.
    const CALLS: u64 = 200;
    let server = Postgres::start(&[]);
    let bouncer = PgBouncer::to(&server);
    if !bouncer.prepares {
        eprintln!("this PgBouncer is older than 1.21 and keeps nothing prepared: not tried");
        return;
    }
    let mut options = Cluster::made(&server, 1).await.options;
    "127.0.0.1".clone_into(&mut options.directory.host);
    (options.directory.port, options.directory.pooler) = (bouncer.port, Pooler::Prepared);
    let stores = postgres::open(options).await.unwrap();
    let ask = async || assert_eq!(stores.directory.users(&[user(1)]).await.unwrap().len(), 0);
    ask().await;
    let (parsed, bound) = (bouncer.counted("total_server_parse_count"), bouncer.counted("total_bind_count"));
    for _ in 0..CALLS {
        ask().await;
    }
    let bound = bouncer.counted("total_bind_count") - bound;
    let parsed = bouncer.counted("total_server_parse_count") - parsed;
    assert!(bound >= CALLS, "{bound} uses of prepared statements for {CALLS} calls");
    // Once more for each other server connection, of which there are 4.
    assert!(parsed <= 8, "the server has parsed {parsed} times for {CALLS} calls");
    // More callers than server connections: each meets connections that have never heard of its statement.
    futures_util::future::join_all((0..32).map(|_| ask())).await;
    stores.close().await;
}

/// A server that speaks TLS, and the file of the authority that vouches for it.
fn encrypted() -> (Postgres, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/tls");
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for name in ["server.pem", "server.key.pem"] {
        fs::copy(format!("{samples}/{name}"), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("authority.pem"), AUTHORITY).unwrap();
    let key = folder.path().join("server.key.pem");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    give_to_postgres(&key);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let settings = [
        "ssl = on".to_owned(),
        format!("ssl_cert_file = '{}'", file("server.pem")),
        format!("ssl_key_file = '{}'", file("server.key.pem")),
    ];
    (Postgres::start(&settings.each_ref().map(String::as_str)), folder)
}

#[tokio::test]
async fn tls_is_used_and_checked() {
    let (server, folder) = encrypted();
    let ca_file = folder.path().join("authority.pem");
    let cluster = Cluster::made(&server, 1).await;
    let with = |tls: Tls| {
        let mut options = cluster.options.clone();
        "localhost".clone_into(&mut options.directory.host);
        "localhost".clone_into(&mut options.shards[0].1.host);
        (options.directory.tls, options.shards[0].1.tls) = (tls.clone(), tls);
        options
    };
    let mut watcher = server.connect("postgres").await;
    let trusted =
        [Tls::Unverified, Tls::Authority { ca_file: ca_file.clone() }, Tls::Full { ca_file: Some(ca_file.clone()) }];
    for tls in trusted {
        let stores = postgres::open(with(tls.clone())).await.unwrap();
        let clear = "SELECT count(*) FILTER (WHERE NOT ssl), count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                     WHERE a.application_name = 'klatch'";
        let row = sqlx::query(clear).fetch_one(&mut watcher).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 0, "{tls:?}");
        assert!(row.get::<i64, _>(1) > 0, "{tls:?}");
        stores.close().await;
    }
    // Nobody of the public web vouches for it; and the file of another authority does not either.
    let other = folder.path().join("server.pem");
    for tls in [Tls::Full { ca_file: None }, Tls::Full { ca_file: Some(other) }] {
        let refused = postgres::open(with(tls.clone())).await.err();
        assert!(matches!(refused, Some(StoreError::Unavailable { .. })), "{tls:?}: {refused:?}");
    }
}

fn public(number: u8, name: &str) -> RoomProjection {
    RoomProjection {
        id: RoomId::from_bytes([number; 16]),
        kind: RoomKind::Group,
        name: Some(RoomName::parse(name).unwrap()),
        visibility: Visibility::Public,
        version: Seq(1),
        created_at: at(0),
        deleted: false,
    }
}

async fn searches_at(replica: &mut PgConnection) -> i64 {
    let asked =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'klatch' AND query LIKE '%name_folded >=%'";
    sqlx::query(asked).fetch_one(replica).await.unwrap().get(0)
}

#[tokio::test]
async fn a_replica_answers_what_it_has_and_hides_nobody_s_own_change() {
    let server = Postgres::start(&[]);
    let cluster = Cluster::made(&server, 1).await;
    let mut replica = server.replica();
    let mut options = cluster.options.clone();
    options.replicas = vec![replica.endpoint(&cluster.databases[0])];
    let stores = postgres::open(options).await.unwrap();
    let directory = &stores.directory;
    let mut watcher = replica.connect("postgres").await;

    // It has stopped: who writes and searches finds their own.
    sqlx::raw_sql("SELECT pg_wal_replay_pause()").execute(&mut watcher).await.unwrap();
    directory.create_user(&person("ada", 1), "hash").await.unwrap();
    directory.project(&[public(1, "Tea")], &[]).await.unwrap();
    let found = directory.search_users("ada", None, 5).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(directory.users(&[user(1)]).await.unwrap().len(), 1);
    assert_eq!(directory.public_rooms("tea", None, 5).await.unwrap().len(), 1);
    assert_eq!(searches_at(&mut watcher).await, 0, "the primary was asked");

    // It goes on: searches go there.
    sqlx::raw_sql("SELECT pg_wal_replay_resume()").execute(&mut watcher).await.unwrap();
    let begin = std::time::Instant::now();
    while searches_at(&mut watcher).await == 0 {
        assert_eq!(directory.search_users("ada", None, 5).await.unwrap().len(), 1);
        assert_eq!(directory.public_rooms("tea", None, 5).await.unwrap().len(), 1);
        assert!(begin.elapsed().as_secs() < 60, "the replica is never asked");
    }

    // It is gone: nobody notices.
    drop(watcher);
    replica.stop();
    assert_eq!(directory.search_users("ada", None, 5).await.unwrap().len(), 1);
    stores.close().await;
}
