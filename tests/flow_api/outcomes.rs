//! Waiting for the writer: what is lost on the way is asked for again, what does not come is `busy`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use klatch_api::{Api, Parts};
use klatch_bus::{Bus, CommandConsumer, Commands, PublishError};
use klatch_domain::Command;
use klatch_domain::MessageId;
use klatch_service_kit::Clock;
use klatch_store::Directory;
use serde_json::json;

use super::world::{Call, World, unlimited};

/// Ingest queues that answer as told, a number of times, before they work.
struct Troubled {
    inner: Arc<dyn Commands>,
    fail: AtomicUsize,
    error: PublishError,
    /// Take what they call lost.
    takes_all_the_same: bool,
}

#[async_trait]
impl Commands for Troubled {
    fn queues(&self) -> u16 {
        self.inner.queues()
    }
    fn durable(&self) -> bool {
        self.inner.durable()
    }
    async fn publish(&self, queue: u16, batch: Vec<Command>) -> Result<(), PublishError> {
        let failing = self.fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if !failing {
            return self.inner.publish(queue, batch).await;
        }
        if self.takes_all_the_same {
            self.inner.publish(queue, batch).await?;
        }
        Err(self.error.clone())
    }
    async fn consume(&self, queue: u16) -> Result<Box<dyn CommandConsumer>, PublishError> {
        self.inner.consume(queue).await
    }
}

async fn api_with(world: &World, troubled: Troubled) -> Api {
    let bus = Bus { commands: Arc::new(troubled), ..world.bus.clone() };
    let now = world.now();
    let started = Api::start(Parts {
        settings: unlimited(),
        bus,
        shards: world.shards.clone(),
        directory: Arc::clone(&world.directory) as Arc<dyn Directory>,
        keys: Arc::clone(&world.keys),
        registry: prometheus::Registry::new(),
        clock: Clock::from_fn(move || u64::try_from(now.as_millis()).unwrap() * 1_000),
    });
    started.await.unwrap()
}

#[tokio::test]
async fn a_full_queue_is_busy_with_its_own_wait() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let error = PublishError::Full { retry_after_ms: 2_500 };
    let inner = Arc::clone(&world.bus.commands);
    let api = api_with(&world, Troubled { inner, fail: AtomicUsize::new(1), error, takes_all_the_same: false }).await;
    let body = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "hi"}});
    let send =
        || Call::new(api.router(), "POST", format!("/v1/rooms/{room}/messages")).token(&ada.token).json(&body).send();
    let answer = send().await.is(503, "full").fails("busy");
    assert_eq!(answer.headers["retry-after"], "3");
    send().await.is(201, "the same id again");
    api.stop().await;
    world.end().await;
}

#[tokio::test]
async fn an_unconfirmed_publish_is_repeated_and_stored_once() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    for takes_all_the_same in [true, false] {
        let error = PublishError::Unknown("no confirm".to_owned());
        let inner = Arc::clone(&world.bus.commands);
        let api = api_with(&world, Troubled { inner, fail: AtomicUsize::new(2), error, takes_all_the_same }).await;
        let id = MessageId::now();
        let body = json!({"message_id": id, "kind": "text", "content": {"text": "once"}});
        let send = Call::new(api.router(), "POST", format!("/v1/rooms/{room}/messages")).token(&ada.token).json(&body);
        let answer = send.send().await;
        assert!(answer.status == 201 || answer.status == 200, "{}", answer.text);
        let log = world.get(&bob, format!("/v1/rooms/{room}/messages")).await;
        let stored = log["entries"].as_array().unwrap().iter().filter(|entry| entry["message_id"] == json!(id)).count();
        assert_eq!(stored, 1);
        api.stop().await;
    }
    world.end().await;
}

#[tokio::test]
async fn news_that_a_full_queue_refused_come_later() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let error = PublishError::Full { retry_after_ms: 10 };
    // One for each inbox.
    let troubled = Troubled {
        inner: Arc::clone(&world.bus.commands),
        fail: AtomicUsize::new(2),
        error,
        takes_all_the_same: false,
    };
    let api = api_with(&world, troubled).await;
    let path = format!("/v1/friends/{}", bob.user);
    Call::new(api.router(), "PUT", path).token(&ada.token).send().await.is(200, "the change is made");
    for (person, status) in [(&ada, "requested"), (&bob, "incoming")] {
        let told = world.inbox_of(person, 1).await;
        assert_eq!((told.len(), &told[0].1["status"]), (1, &json!(status)));
    }
    api.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_broker_that_never_confirms_is_busy() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let error = PublishError::Unknown("away".to_owned());
    let inner = Arc::clone(&world.bus.commands);
    let api = api_with(&world, Troubled { inner, fail: AtomicUsize::new(5), error, takes_all_the_same: false }).await;
    let body = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "hi"}});
    let send = Call::new(api.router(), "POST", format!("/v1/rooms/{room}/messages")).token(&ada.token).json(&body);
    send.send().await.is(503, "away").fails("busy");
    api.stop().await;
    world.end().await;
}

#[tokio::test]
async fn many_at_once_are_all_answered() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..200 {
        let body = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": number.to_string()}});
        let call = world.call("POST", format!("/v1/rooms/{room}/messages")).token(&ada.token).json(&body);
        sends.spawn(call.send());
    }
    let mut seqs: Vec<_> = sends
        .join_all()
        .await
        .into_iter()
        .map(|answer| answer.is(201, "send").body["position"]["seq"].as_u64().unwrap())
        .collect();
    seqs.sort_unstable();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let text = prometheus::TextEncoder::new().encode_to_string(&world.registry.gather()).unwrap();
    let line = r#"klatch_http_requests_total{method="POST",route="/v1/rooms/{id}/messages",status="201"} 200"#;
    assert!(text.contains(line), "{text}");
    assert!(text.contains("klatch_api_waiting_commands 0") && text.contains("klatch_http_requests_in_flight 0"));
    world.end().await;
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let body = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "last"}});
    let call = world.call("POST", format!("/v1/rooms/{room}/messages")).token(&ada.token).json(&body);
    let (answer, ()) =
        tokio::join!(call.send(), tokio::time::timeout(Duration::from_secs(30), world.api.stop()).map_ok());
    answer.is(201, "under way");
    world.call("GET", "/").send().await.is(503, "stopped").fails("busy");
    world.end().await;
}

trait MapOk {
    async fn map_ok(self);
}

impl<F: Future<Output = Result<(), tokio::time::error::Elapsed>>> MapOk for F {
    async fn map_ok(self) {
        self.await.expect("a stop ends in time");
    }
}
