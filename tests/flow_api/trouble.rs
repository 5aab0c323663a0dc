//! What the api does about lost events, busy slots and its own faults.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use klatch_api::{Api, Parts};
use klatch_bus::{
    Bus, CommandConsumer, Commands, EventPublisher, EventReceiver, Events, PublishError, Received, Target,
};
use klatch_domain::{Command, Event, Incarnation, MessageId, Slot};
use klatch_service_kit::Clock;
use klatch_store::{
    Directory,
    directory::{Revoke, Sessions},
};
use klatch_tests::person::PATIENCE;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{
    faulty_directory::Fault,
    world::{Call, World, unlimited},
};

/// An event stream that can be made deaf, and that learns of a gap when told.
#[derive(Default)]
struct Ears {
    deaf: AtomicBool,
    gap: Notify,
    /// Publishes of commands.
    published: AtomicUsize,
}

struct Gapped {
    inner: Arc<dyn Events>,
    ears: Arc<Ears>,
}

struct GappedReceiver {
    inner: Box<dyn EventReceiver>,
    ears: Arc<Ears>,
}

#[async_trait]
impl Events for Gapped {
    fn publisher(&self, incarnation: Incarnation) -> Box<dyn EventPublisher> {
        self.inner.publisher(incarnation)
    }
    async fn subscribe(&self, incarnation: Incarnation, lanes: bool) -> Box<dyn EventReceiver> {
        let inner = self.inner.subscribe(incarnation, lanes).await;
        Box::new(GappedReceiver { inner, ears: Arc::clone(&self.ears) })
    }
}

#[async_trait]
impl EventReceiver for GappedReceiver {
    async fn receive(&mut self) -> Option<Received> {
        loop {
            let received = tokio::select! {
                received = self.inner.receive() => received,
                () = self.ears.gap.notified() => return Some(Received::Gap),
            };
            if received.is_none() || !self.ears.deaf.load(Ordering::SeqCst) {
                return received;
            }
        }
    }
    fn try_receive(&mut self) -> Option<Received> {
        None
    }
}

struct Counted {
    inner: Arc<dyn Commands>,
    ears: Arc<Ears>,
}

#[async_trait]
impl Commands for Counted {
    fn queues(&self) -> u16 {
        self.inner.queues()
    }
    fn durable(&self) -> bool {
        self.inner.durable()
    }
    async fn publish(&self, queue: u16, batch: Vec<Command>) -> Result<(), PublishError> {
        self.ears.published.fetch_add(1, Ordering::SeqCst);
        self.inner.publish(queue, batch).await
    }
    async fn consume(&self, queue: u16) -> Result<Box<dyn CommandConsumer>, PublishError> {
        self.inner.consume(queue).await
    }
}

async fn api_with(world: &World, ears: &Arc<Ears>) -> Api {
    let events = Arc::new(Gapped { inner: Arc::clone(&world.bus.events), ears: Arc::clone(ears) });
    let commands = Arc::new(Counted { inner: Arc::clone(&world.bus.commands), ears: Arc::clone(ears) });
    let now = world.now();
    let started = Api::start(Parts {
        settings: unlimited(),
        bus: Bus { events, commands, ..world.bus.clone() },
        shards: world.shards.clone(),
        directory: Arc::clone(&world.directory) as Arc<dyn Directory>,
        keys: Arc::clone(&world.keys),
        registry: prometheus::Registry::new(),
        clock: Clock::from_fn(move || u64::try_from(now.as_millis()).unwrap() * 1_000),
    });
    started.await.unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_gap_publishes_what_waits_again() {
    /// More than its own patience would publish: it tries three times in all.
    const GAPS: usize = 5;
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let ears = Arc::new(Ears::default());
    let api = api_with(&world, &ears).await;
    ears.deaf.store(true, Ordering::SeqCst);
    let body = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "hi"}});
    let send = Call::new(api.router(), "POST", format!("/v1/rooms/{room}/messages")).token(&ada.token).json(&body);
    let answer = tokio::spawn(send.send());
    until("the command is published", async || ears.published.load(Ordering::SeqCst) == 1).await;
    for gap in 1..=GAPS {
        ears.gap.notify_one();
        until("published again", async || ears.published.load(Ordering::SeqCst) > gap).await;
    }
    ears.deaf.store(false, Ordering::SeqCst);
    ears.gap.notify_one();
    let answer = answer.await.unwrap();
    assert!([200, 201].contains(&answer.status), "{}", answer.text);
    assert_eq!(answer.body["position"]["seq"].as_u64().unwrap(), {
        let history = world.get(&bob, format!("/v1/rooms/{room}/messages")).await;
        let texts: Vec<_> =
            history["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "text").collect();
        assert_eq!(texts.len(), 1, "stored once");
        texts[0]["position"]["seq"].as_u64().unwrap()
    });
    api.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_gap_reads_the_ended_sessions_again() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, _) = world.device(ada.user).await;
    let ears = Arc::new(Ears::default());
    let api = api_with(&world, &ears).await;
    let at = || Call::new(api.router(), "GET", "/v1/users/me".to_owned()).token(&phone.token).send();
    world.directory.revoke_sessions(ada.user, Revoke::Only(&[phone.session]), world.now()).await.unwrap();
    at().await.is(200, "nobody has told it");
    // The first reading fails, too.
    world.directory.fail("revoked_since", Fault::Before);
    ears.gap.notify_one();
    until("it is refused", async || at().await.status == 401).await;
    at().await.fails("session_revoked");
    api.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_panic_costs_one_call_and_no_more() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (method, step, body) in
        [("GET", "users", Value::Null), ("PATCH", "change_profile", json!({"display_name": "Ada"}))]
    {
        world.directory.fail(step, Fault::Panic);
        let call = world.call(method, "/v1/users/me").token(&ada.token).header("traceparent", trace);
        let answer = if body.is_null() { call.send().await } else { call.json(&body).send().await };
        let answer = answer.is(500, step).fails("internal");
        assert_eq!(answer.body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(!answer.text.contains("told to panic"), "{}", answer.text);
        world.get(&ada, "/v1/users/me").await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_is_no_longer_counted_as_under_way() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let under_way = || {
        let families = world.registry.gather();
        let family = families.iter().find(|family| family.name() == "klatch_http_requests_in_flight").unwrap();
        family.get_metric()[0].get_gauge().get_value()
    };
    world.directory.fail("users", Fault::Silence);
    let call = tokio::spawn(world.call("GET", "/v1/users/me").token(&ada.token).send());
    until("the call is under way", async || under_way() == 1.0).await;
    call.abort();
    assert!(call.await.is_err());
    assert_eq!(under_way(), 0.0);
    world.end().await;
}

#[tokio::test]
async fn busy_slots_are_refused_with_their_wait_until_they_are_free() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let mut publisher = world.bus.events.publisher(Incarnation::now());
    let slots: Vec<_> = (0..16).map(Slot).collect();
    let mut tell = async |retry_after_ms| {
        let event = Event::SlotsBusy { slots: slots.clone().into(), retry_after_ms };
        publisher.publish(vec![(Target::Everyone, vec![event])]).await;
    };
    tell(30_000).await;
    until("busy", async || world.say(&ada, room, "busy?").await.status == 503).await;
    let answer = world.say(&ada, room, "busy?").await.fails("busy");
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((2..=30).contains(&wait), "the slot's own wait, not the usual second: {wait}");
    // Reading goes on.
    world.get(&ada, format!("/v1/rooms/{room}/messages")).await;
    tell(0).await;
    until("free", async || world.say(&ada, room, "free?").await.status == 201).await;
    world.end().await;
}
