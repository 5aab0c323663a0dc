//! The same history leaves the same logs, whatever is gathered into one batch.

use std::sync::Arc;

use klatch_bus::in_process;
use klatch_store::{Directory, sqlite};
use klatch_tests::{
    asked,
    history::{History, Parts, play},
};

const ROUNDS: usize = 60;
const WRITES: usize = 40;

async fn embedded(history: &History, shards: u16) -> String {
    let folder = tempfile::tempdir().unwrap();
    let stores = sqlite::open(folder.path(), sqlite::Options { slots: 16, shards, readers: 1 }).unwrap();
    let parts = Parts {
        bus: in_process::bus(in_process::Options::default(), &prometheus::Registry::new()).unwrap(),
        shards: stores.shards.clone(),
        directory: Arc::clone(&stores.directory) as Arc<dyn Directory>,
    };
    play(history, &parts).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_history_leaves_the_same_logs_every_time() {
    let seed = asked::seed("KLATCH_HISTORY_SEED");
    eprintln!("KLATCH_HISTORY_SEED={seed}");
    let history = History::draw(seed, ROUNDS, WRITES);
    let (one, other) = (embedded(&history, 1).await, embedded(&history, 2).await);
    let lines = one.lines().count();
    assert!(lines > ROUNDS * WRITES / 4, "a history in which nothing happens proves nothing: {lines} lines");
    for (line, (one, other)) in one.lines().zip(other.lines()).enumerate() {
        assert_eq!(one, other, "line {line}");
    }
    assert_eq!(lines, other.lines().count());
}
