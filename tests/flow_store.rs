//! The store, proved from outside.
#![allow(missing_docs)]

use std::sync::Arc;

use klatch_domain::RoomId;
use klatch_store::{
    Directory, Shard,
    sqlite::{self, Options, SqliteStores},
};
use tempfile::TempDir;

const OPTIONS: Options = Options { slots: 8, shards: 1, readers: 2 };

fn open(folder: &TempDir) -> SqliteStores {
    sqlite::open(folder.path(), OPTIONS).unwrap()
}

/// Keeps a data folder and its threads while a test runs.
struct Keep {
    _stores: SqliteStores,
    _folder: TempDir,
}

async fn open_shard() -> (Arc<dyn Shard>, Keep) {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(&folder);
    (Arc::clone(stores.shards.of(RoomId::now())), Keep { _stores: stores, _folder: folder })
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

mod model {
    use klatch_tests::conformance_store_model::{Model, step};
    use proptest::{prelude::*, test_runner::TestRunner};

    /// Sequences of up to 120 steps; each is a room of its own in one shard.
    const CASES: u32 = 48;

    #[test]
    fn whatever_is_written_reads_as_the_model_says() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (shard, _keep) = runtime.block_on(super::open_shard());
        let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config)
            .run(&proptest::collection::vec(step(), 1..120), |steps| {
                runtime.block_on(async {
                    let mut model = Model::begin(&shard).await;
                    model.follow(&shard, &steps).await;
                });
                Ok(())
            })
            .unwrap();
    }
}

async fn open_directory() -> (Arc<dyn Directory>, Keep) {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(&folder);
    let directory: Arc<dyn Directory> = Arc::clone(&stores.directory) as _;
    (directory, Keep { _stores: stores, _folder: folder })
}

mod directory {
    klatch_tests::directory_conforms!(super::open_directory);
    klatch_tests::owed_commands_conform!(super::open_directory);
}

mod projections {
    klatch_tests::projections_conform!(super::open_directory);
}
