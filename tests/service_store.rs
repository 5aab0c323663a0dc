//! The store on PostgreSQL: it conforms as the embedded twin does.

use std::sync::Arc;

use klatch_domain::RoomId;
use klatch_store::{Directory, Shard, postgres::PostgresStores};
use klatch_tests::services::postgres::Cluster;

async fn open_shard() -> (Arc<dyn Shard>, PostgresStores) {
    let stores = Cluster::new().await.open().await;
    (Arc::clone(stores.shards.of(RoomId::now())), stores)
}

async fn open_directory() -> (Arc<dyn Directory>, PostgresStores) {
    let stores = Cluster::new().await.open().await;
    let directory: Arc<dyn Directory> = Arc::clone(&stores.directory) as _;
    (directory, stores)
}

mod shard {
    klatch_tests::shard_conforms!(super::open_shard);
}

mod effects {
    klatch_tests::shard_effects_conform!(super::open_shard);
}

mod follow_ups {
    klatch_tests::follow_ups_conform!(super::open_shard);
}

mod directory {
    klatch_tests::directory_conforms!(super::open_directory);
    klatch_tests::owed_commands_conform!(super::open_directory);
}

mod projections {
    klatch_tests::projections_conform!(super::open_directory);
}

mod model {
    use klatch_tests::conformance_store_model::{Model, step};
    use proptest::{prelude::*, test_runner::TestRunner};

    /// Sequences of up to 60 steps; each is a room of its own in one shard.
    const CASES: u32 = 16;

    #[test]
    fn whatever_is_written_reads_as_the_model_says() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (shard, _keep) = runtime.block_on(super::open_shard());
        let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config)
            .run(&proptest::collection::vec(step(), 1..60), |steps| {
                runtime.block_on(async {
                    let mut model = Model::begin(&shard).await;
                    model.follow(&shard, &steps).await;
                });
                Ok(())
            })
            .unwrap();
    }
}

mod convergence {
    use std::sync::Arc;

    use klatch_domain::{Entry, Kind, RoomId, Seq, Timestamp};
    use klatch_store::{
        Shard,
        shard::{Range, Write},
        sqlite,
    };
    use klatch_tests::conformance_store_log::Log;

    /// A history with everything in it, in batches.
    fn history() -> (RoomId, Vec<Vec<Write>>) {
        let mut log = Log::new();
        let mut batches = vec![log.create(&[1, 2, 3])];
        for round in 0..10u64 {
            let base = log.seq;
            batches.push(vec![
                log.say(1, &format!("ä€😀 {round}")),
                log.call(2, &[1, 3], round % 2 == 0),
                log.say_with("later gone", |entry| entry.expires_at = Some(Timestamp::from_millis(9_000_000_000_000))),
                log.say_with("in thread", |entry| (entry.thread, entry.silent) = (Some(Seq(base + 1)), true)),
            ]);
            batches.push(vec![log.edit(base + 1, "edited"), log.react(3, base + 2, "+", true)]);
            batches.push(vec![log.delete(base + 1), log.react(3, base + 2, "+", round % 3 == 0)]);
        }
        let odd = klatch_domain::Content::parse("{ \"b\" : 1,\n \"a\": [1.50, \"\\u0041\"] }").unwrap();
        let entry = log.entry(Kind::from_name("poll"), odd);
        batches.push(vec![log.write(entry, klatch_store::shard::Effect::None)]);
        (log.room, batches)
    }

    async fn play(shard: &Arc<dyn Shard>, room: RoomId, batches: &[Vec<Write>]) -> (Vec<Entry>, String) {
        for batch in batches {
            shard.append(batch.clone()).await.unwrap();
        }
        let entries = shard.page(room, Range::Newest, 200, None, None).await.unwrap().entries;
        let facts = shard.rooms(&[room]).await.unwrap();
        let rest = format!("{:?} {:?}", facts, shard.follow_ups(None, 1000).await.unwrap());
        (entries, rest)
    }

    #[tokio::test]
    async fn both_twins_keep_the_same_bytes() {
        let (room, batches) = history();
        let folder = tempfile::tempdir().unwrap();
        let embedded = sqlite::open(folder.path(), sqlite::Options { slots: 4, shards: 1, readers: 1 }).unwrap();
        let (real, _keep) = super::open_shard().await;
        let one = play(embedded.shards.of(room), room, &batches).await;
        let other = play(&real, room, &batches).await;
        let bytes = |entries: &[Entry]| serde_json::to_string(entries).unwrap();
        assert_eq!(bytes(&one.0), bytes(&other.0));
        assert_eq!(one.1, other.1);
        embedded.close().await;
    }
}
