//! One history, played through the embedded parts and through PostgreSQL, RabbitMQ and Redis, leaves the same logs, byte for byte.

use std::sync::Arc;

use klatch_bus::{Bus, in_process, rabbitmq, redis};
use klatch_store::{Directory, sqlite};
use klatch_tests::{
    asked,
    history::{History, Parts, play},
    services::{
        postgres::{Cluster, Postgres},
        rabbitmq as rabbitmq_server, redis as redis_server,
    },
};
use prometheus::Registry;

const ROUNDS: usize = 40;
const WRITES: usize = 40;

async fn embedded(history: &History) -> String {
    let folder = tempfile::tempdir().unwrap();
    let stores = sqlite::open(folder.path(), sqlite::Options { slots: 16, shards: 2, readers: 1 }).unwrap();
    let parts = Parts {
        bus: in_process::bus(in_process::Options::default(), &Registry::new()).unwrap(),
        shards: stores.shards.clone(),
        directory: Arc::clone(&stores.directory) as Arc<dyn Directory>,
    };
    play(history, &parts).await
}

async fn real(history: &History) -> String {
    let (server, place) = tokio::task::block_in_place(|| (Postgres::shared(), rabbitmq_server::fresh()));
    let stores = Cluster::made(server, 2).await.open().await;
    let brokers = rabbitmq::connect(place.options(), &Registry::new()).await.unwrap();
    let cache = redis::connect(redis_server::shared(), &Registry::new()).await.unwrap();
    let bus = Bus {
        commands: brokers.commands,
        events: brokers.events,
        watermarks: brokers.watermarks,
        notifications: brokers.notifications,
        signals: cache.signals,
        presence: cache.presence,
        rate_limits: cache.rate_limits,
        recent: cache.recent,
    };
    let directory = Arc::clone(&stores.directory) as Arc<dyn Directory>;
    let logs = play(history, &Parts { bus, shards: stores.shards.clone(), directory }).await;
    stores.close().await;
    logs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_and_real_parts_leave_the_same_logs() {
    let seed = asked::seed("KLATCH_HISTORY_SEED");
    eprintln!("KLATCH_HISTORY_SEED={seed}");
    let history = History::draw(seed, ROUNDS, WRITES);
    let (embedded, real) = (embedded(&history).await, real(&history).await);
    let lines = embedded.lines().count();
    assert!(lines > ROUNDS * WRITES / 4, "a history in which nothing happens proves nothing: {lines} lines");
    for (line, (embedded, real)) in embedded.lines().zip(real.lines()).enumerate() {
        assert_eq!(embedded, real, "line {line}");
    }
    assert_eq!(embedded.len(), real.len());
}
