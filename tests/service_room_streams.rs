//! Streams of very large rooms over Redis: on one server and on a cluster, and through what Redis may do.

use std::{sync::Arc, time::Duration};

use klatch_bus::{
    RoomNews, RoomStreams, RoomSubscriber,
    redis::{self, Options},
};
use klatch_domain::{Incarnation, RoomId};
use klatch_tests::{
    conformance_bus::event,
    conformance_room_streams::{next, numbers},
    services::{
        redis::{Redis, Start, shared},
        redis_cluster::RedisCluster,
    },
};
use prometheus::Registry;

async fn streams(options: Options) -> Arc<dyn RoomStreams> {
    redis::room_streams(options, &Registry::new()).await.unwrap()
}

mod standalone {
    use super::*;

    async fn open() -> Arc<dyn RoomStreams> {
        streams(shared()).await
    }

    klatch_tests::room_stream_conformance!(open);
}

mod cluster {
    use std::sync::OnceLock;

    use super::*;

    async fn open() -> Arc<dyn RoomStreams> {
        static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| RedisCluster::start(3));
        streams(Options { prefix: format!("rooms-{}", RoomId::now()), ..cluster.options() }).await
    }

    klatch_tests::room_stream_conformance!(open);
}

/// Publishes until something is heard again, and answers what.
async fn heard(streams: &dyn RoomStreams, subscriber: &dyn RoomSubscriber, room: RoomId) -> Vec<RoomNews> {
    let mut publisher = streams.publisher(Incarnation::now());
    let mut news = Vec::new();
    while !news.iter().any(|one| matches!(one, RoomNews::Events(..))) {
        // Refused while there is no connection.
        let _ = publisher.publish(room, vec![event(1)]).await;
        if let Ok(one) = tokio::time::timeout(Duration::from_millis(20), subscriber.receive()).await {
            news.push(one.expect("the streams are open"));
        }
    }
    news
}

async fn comes_back(mut server: Redis) {
    let streams = streams(server.options()).await;
    let subscriber = streams.subscribe();
    let rooms = [RoomId::now(), RoomId::now()];
    for room in rooms {
        subscriber.join(room).await.unwrap();
    }
    let mut publisher = streams.publisher(Incarnation::now());
    publisher.publish(rooms[0], vec![event(7)]).await.unwrap();
    assert_eq!(numbers(&*subscriber, rooms[0], 1).await, [7]);
    server.kill();
    let refused = async { while publisher.publish(rooms[0], vec![event(8)]).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), refused).await.expect("a refusal");
    server.restart();
    let back = heard(&*streams, &*subscriber, rooms[0]);
    let news = tokio::time::timeout(Duration::from_secs(60), back).await.expect("events again");
    // Each room's gap stands before whatever is heard of it again.
    let first = |room| news.iter().position(|one| *one == RoomNews::Gap(room)).expect("a gap");
    let events = news.iter().position(|one| matches!(one, RoomNews::Events(..))).unwrap();
    assert!(first(rooms[0]) < events && first(rooms[1]) < events, "{news:?}");
}

#[tokio::test]
async fn a_killed_redis_is_a_gap_of_every_room_and_heard_again() {
    comes_back(Redis::start(Start::default())).await;
}

#[tokio::test]
async fn a_killed_cluster_is_a_gap_of_every_room_and_heard_again() {
    comes_back(Redis::start(Start { cluster: true, ..Start::default() })).await;
}

#[tokio::test]
async fn a_subscription_that_redis_cuts_off_is_a_gap() {
    let server = Redis::start(Start::default());
    let (hearing, sending) = (streams(server.options()).await, streams(server.options()).await);
    let subscriber = hearing.subscribe();
    let room = RoomId::now();
    subscriber.join(room).await.unwrap();
    // As for a subscriber whose output buffer has grown too large.
    assert!(server.ask("CLIENT KILL TYPE pubsub").contains(":1"));
    assert_eq!(next(&*subscriber).await, RoomNews::Gap(room));
    sending.publisher(Incarnation::now()).publish(room, vec![event(3)]).await.unwrap();
    assert_eq!(numbers(&*subscriber, room, 1).await, [3], "heard again before the gap was told");
}

#[tokio::test]
async fn an_emptied_redis_costs_nothing() {
    let server = Redis::start(Start::default());
    let streams = streams(server.options()).await;
    let subscriber = streams.subscribe();
    let room = RoomId::now();
    subscriber.join(room).await.unwrap();
    server.empty();
    streams.publisher(Incarnation::now()).publish(room, vec![event(3)]).await.unwrap();
    assert_eq!(numbers(&*subscriber, room, 1).await, [3]);
}

#[tokio::test]
async fn a_room_that_nobody_hears_any_more_is_no_subscription() {
    let server = Redis::start(Start { cluster: true, ..Start::default() });
    let streams = streams(server.options()).await;
    let (one, other) = (streams.subscribe(), streams.subscribe());
    let room = RoomId::now();
    one.join(room).await.unwrap();
    other.join(room).await.unwrap();
    let channels = || server.ask("PUBSUB SHARDCHANNELS");
    assert!(channels().contains(&room.to_string()));
    one.leave(room).await;
    assert!(channels().contains(&room.to_string()), "the other one hears it");
    other.leave(room).await;
    assert!(!channels().contains(&room.to_string()), "{}", channels());
}
