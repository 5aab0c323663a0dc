//! Gateways on an embedded bus, on loopback, with a scripted writer and scripted answers: the test says what message-service
//! and api would say.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "for tests only")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use klatch_bus::{
    Bus, CommandConsumer, EventPublisher, Target,
    in_process::{self, Options},
};
use klatch_domain::{
    Action, Appended, Audience, Command, Content, Draft, Entry, Event, Incarnation, Kind, MessageId, Ordinal, Outcome,
    OutcomeEvent, Position, RoomId, Sender, Seq, SessionId, Stored, Timestamp, UserId,
};
use klatch_gateway::{Gateway, Parts};
use klatch_identity::Keys;
use klatch_service_kit::Clock;
use klatch_settings::GatewaySettings;
use tokio::{net::TcpListener, sync::Mutex, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::gateway_queries::ScriptedQueries;

/// How long anything that must happen may take: far more than it does on the busiest machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must happen.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A signed-in device.
#[derive(Clone, Copy)]
pub struct Device {
    pub user: UserId,
    pub session: SessionId,
}

impl Device {
    pub fn new() -> Self {
        Self { user: UserId::now(), session: SessionId::now() }
    }

    /// Another device of the same user.
    pub fn other(self) -> Self {
        Self { user: self.user, session: SessionId::now() }
    }

    pub fn sender(self) -> Sender {
        Sender { user: self.user, session: self.session }
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

/// A bus, keys, a clock that can be moved, and what stands in for message-service and api.
pub struct World {
    pub bus: Bus,
    pub keys: Arc<Keys>,
    pub queries: Arc<ScriptedQueries>,
    /// Milliseconds the gateways' clock is ahead.
    ahead: Arc<AtomicI64>,
    publisher: Mutex<Box<dyn EventPublisher>>,
    commands: Mutex<Box<dyn CommandConsumer>>,
    waiting: Mutex<std::collections::VecDeque<Command>>,
}

/// A gateway that listens.
pub struct Running {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub metrics: prometheus::Registry,
    _server: AbortOnDropHandle<()>,
}

impl Running {
    /// The value of a metric; 0 when it has not been counted yet.
    pub fn metric(&self, name: &str) -> f64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.metrics.gather()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let options = Options { ingest_queues: 1, ..options };
        let bus = in_process::bus(options, &prometheus::Registry::new()).unwrap();
        Self::on(bus).await
    }

    pub async fn on(bus: Bus) -> Self {
        Self {
            keys: Keys::ephemeral().unwrap(),
            queries: Arc::default(),
            ahead: Arc::default(),
            publisher: Mutex::new(bus.events.publisher(Incarnation::now())),
            commands: Mutex::new(bus.commands.consume(0).await.unwrap()),
            waiting: Mutex::default(),
            bus,
        }
    }

    pub async fn gateway(&self) -> Running {
        self.gateway_with(|_| {}).await
    }

    pub async fn gateway_with(&self, set: impl FnOnce(&mut GatewaySettings)) -> Running {
        let mut settings = GatewaySettings::default();
        set(&mut settings);
        let metrics = prometheus::Registry::new();
        let ahead = Arc::clone(&self.ahead);
        let system = Clock::system();
        let clock =
            Clock::from_fn(move || system.micros().saturating_add_signed(ahead.load(Ordering::Relaxed) * 1_000));
        let gateway = Gateway::start(Parts {
            settings,
            bus: self.bus.clone(),
            queries: Arc::clone(&self.queries) as Arc<dyn klatch_bus::Queries>,
            keys: self.keys.clone(),
            registry: metrics.clone(),
            clock,
        })
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = gateway.router();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Running { gateway, address, metrics, _server: AbortOnDropHandle::new(server) }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(Clock::system().millis() + self.ahead.load(Ordering::Relaxed))
    }

    /// Moves the gateways' clock.
    pub fn pass(&self, time: Duration) {
        self.ahead.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub fn token(&self, device: Device) -> String {
        self.keys.issue(device.user, device.session, self.now()).unwrap()
    }

    /// The next command that comes out of the ingest queue.
    pub async fn command(&self) -> Command {
        soon("a command", async {
            loop {
                if let Some(command) = self.waiting.lock().await.pop_front() {
                    return command;
                }
                let mut consumer = self.commands.lock().await;
                let delivery = consumer.receive().await.unwrap();
                consumer.acknowledge(delivery.tag).await.unwrap();
                self.waiting.lock().await.extend(delivery.commands.iter().cloned());
            }
        })
        .await
    }

    pub async fn publish(&self, events: Vec<Event>) {
        self.publisher.lock().await.publish(vec![(Target::Everyone, events)]).await;
    }
}

/// A room whose log the test writes.
pub struct Room {
    pub id: RoomId,
    pub members: Vec<UserId>,
    pub version: Seq,
    pub seq: u64,
    /// Events name the members, as those of small rooms do.
    pub small: bool,
}

impl Room {
    pub fn small(members: &[Device]) -> Self {
        Self::new(members, true)
    }

    /// Events leave it to the gateway to know the members.
    pub fn large(members: &[Device]) -> Self {
        Self::new(members, false)
    }

    fn new(members: &[Device], small: bool) -> Self {
        let mut members: Vec<_> = members.iter().map(|device| device.user).collect();
        members.sort_unstable();
        members.dedup();
        Self { id: RoomId::now(), members, version: Seq(1), seq: 1, small }
    }

    pub fn head(&self) -> (Position, Ordinal) {
        (Position::first(self.seq), Ordinal(self.seq))
    }

    /// Removes a member: the entry that says so is the next one.
    pub fn remove(&mut self, user: UserId, by: Device) -> Event {
        self.members.retain(|member| *member != user);
        self.version = Seq(self.seq + 1);
        let content = Content::of(&serde_json::json!({"user": user})).unwrap();
        let mut appended = self.entry(by, MessageId::now(), Kind::MemberLeft, content);
        appended.removed = Some(user);
        Event::Appended(Arc::new(appended))
    }

    /// The next entry.
    pub fn say(&mut self, from: Device, text: &str) -> Event {
        self.say_as(from, MessageId::now(), text)
    }

    pub fn say_as(&mut self, from: Device, message_id: MessageId, text: &str) -> Event {
        let content = Content::text(text).unwrap();
        Event::Appended(Arc::new(self.entry(from, message_id, Kind::Text, content)))
    }

    pub fn note(&mut self, from: Device, kind: Kind, content: &serde_json::Value) -> Event {
        Event::Appended(Arc::new(self.entry(from, MessageId::now(), kind, Content::of(content).unwrap())))
    }

    fn entry(&mut self, from: Device, message_id: MessageId, kind: Kind, content: Content) -> Appended {
        self.seq += 1;
        let audience = if self.small { Audience::Members(self.members.clone().into()) } else { Audience::Room };
        Appended {
            room: self.id,
            entry: Entry::of(
                &Draft::new(kind, content),
                Position::first(self.seq),
                Ordinal(self.seq),
                message_id,
                from.sender(),
                Timestamp::from_millis(1_800_000_000_000),
            ),
            members_version: self.version,
            audience,
            removed: None,
            accepted_micros: Clock::system().micros(),
            trace: None,
        }
    }

    /// The entry a command asks for.
    pub fn store(&mut self, command: &Command) -> Event {
        let Action::Append(draft) = &command.action else { panic!("not an append: {command:?}") };
        let from = Device { user: command.sender.user, session: command.sender.session };
        Event::Appended(Arc::new(self.entry(from, command.message_id, draft.kind.clone(), draft.content.clone())))
    }

    /// "It is in the log", for the command's sender; at the end of the log.
    pub fn stored(&self, command: &Command) -> Event {
        let (position, ordinal) = self.head();
        let at = Timestamp::from_millis(1_800_000_000_000);
        outcome(command, Outcome::Stored(Stored { position, ordinal, at, repeat: false }))
    }
}

/// What became of a command.
pub fn outcome(command: &Command, outcome: Outcome) -> Event {
    Event::Outcome(OutcomeEvent {
        reply: command.reply.unwrap(),
        message_id: command.message_id,
        room: command.room,
        outcome,
    })
}
