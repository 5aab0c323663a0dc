//! Fan-out on RabbitMQ: exchanges that somebody declared, and one queue of its own for each subscriber.
//!
//! At most once by design: nothing outlives the broker or the connection of whoever receives. So that loss is seen, every
//! publisher numbers what it sends to each target ([`number`]), and says every second how far it has come; a subscriber that
//! misses a number (the first of a stream too), overflows, gets a new queue or no longer hears of a process that published
//! marks a gap ([`track`]). The broker confirms numbers ([`outlet`]), and whoever would forget what it has said waits for that
//! first: after it the publisher's death hides no loss.

mod number;
mod outlet;
mod subscribe;
mod track;

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use klatch_domain::{Event, Incarnation, RoomId, Slot};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    number::{Numbered, Numbers},
    outlet::Outlet,
    subscribe::{Receiver, Subscriber, Subscription},
};
use super::{
    link::Link,
    metrics::{Metrics, counter},
    names::Names,
    options::Options,
};
use crate::{
    EventPublisher, EventReceiver, Events, Receipt, Target,
    payload::events::{self, StreamTarget},
};

/// How often a publisher says how far its streams have come: within that time, and a little, a loss is seen.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long the last messages may take to reach the queues of this process when its bus shuts down.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Everyone who holds one can still publish; the last to go closes the streams.
pub(super) struct Fanout {
    /// This process, as long as it publishes.
    life: Incarnation,
    /// It was said that it lives.
    introduced: AtomicBool,
    /// It was said that it goes.
    left: AtomicBool,
    names: Names,
    options: Options,
    consuming: Vec<Arc<Link>>,
    outlets: Vec<Arc<Outlet>>,
    metrics: Arc<Metrics>,
    runtime: Handle,
    next_publisher: AtomicU64,
    publishers: Mutex<Vec<Weak<tokio::sync::Mutex<Numbers>>>>,
    subscribers: Mutex<HashMap<Incarnation, (Weak<Subscriber>, CancellationToken)>>,
    _stop: DropGuard,
}

pub(super) struct RabbitmqEvents(Arc<Fanout>);

impl RabbitmqEvents {
    /// `publishing` and `consuming` are the brokers' connections.
    pub(super) async fn open(
        options: &Options,
        names: &Names,
        (publishing, consuming): (&[Arc<Link>], &[Arc<Link>]),
        metrics: &Arc<Metrics>,
    ) -> Self {
        let stop = CancellationToken::new();
        let mut outlets = Vec::with_capacity(publishing.len());
        for link in publishing {
            outlets.push(Outlet::open(Arc::clone(link), options.confirm_timeout, stop.clone()).await);
        }
        let fanout = Arc::new(Fanout {
            life: Incarnation::now(),
            introduced: AtomicBool::new(false),
            left: AtomicBool::new(false),
            names: names.clone(),
            options: options.clone(),
            consuming: consuming.to_vec(),
            outlets,
            metrics: Arc::clone(metrics),
            runtime: Handle::current(),
            next_publisher: AtomicU64::new(events::LIFE + 1),
            publishers: Mutex::default(),
            subscribers: Mutex::default(),
            _stop: stop.clone().drop_guard(),
        });
        tokio::spawn(beat(Arc::downgrade(&fanout), stop));
        Self(fanout)
    }

    /// Says goodbye where whoever ends right after must know that it was heard: silence would be a gap to every subscriber. Nothing
    /// is published afterwards.
    pub(super) async fn leave(self) {
        if let Some((everyone, body)) = self.0.goodbye() {
            self.0.left.store(true, Ordering::Relaxed);
            say_life(&self.0.outlets, &everyone, &body).await;
        }
        for outlet in &self.0.outlets {
            outlet.flush(&self.0.names.dead_letters()).await;
        }
    }

    /// What can publish for as long as somebody else keeps the streams open.
    pub(super) fn downgrade(&self) -> Weak<Fanout> {
        Arc::downgrade(&self.0)
    }
}

#[async_trait]
impl Events for RabbitmqEvents {
    fn publisher(&self, incarnation: Incarnation) -> Box<dyn EventPublisher> {
        self.0.publisher(incarnation)
    }

    /// A second subscription of an incarnation takes the place of the first, which ends.
    async fn subscribe(&self, incarnation: Incarnation, lanes: bool) -> Box<dyn EventReceiver> {
        // What was published here before reaches the exchanges first: a subscriber starts with what comes from now on.
        for outlet in &self.0.outlets {
            outlet.flush(&self.0.names.dead_letters()).await;
        }
        let leave = CancellationToken::new();
        let options = &self.0.options;
        let subscriber = Arc::new(Subscriber::new(options, self.0.outlets.len(), Arc::clone(&self.0.metrics)));
        let former = self.0.subscribers.lock().insert(incarnation, (Arc::downgrade(&subscriber), leave.child_token()));
        if let Some((former, leave)) = former {
            leave.cancel();
            if let Some(former) = former.upgrade() {
                former.close();
            }
        }
        for (broker, link) in self.0.consuming.iter().enumerate() {
            let subscription = Subscription {
                link: Arc::clone(link),
                broker,
                bindings: self.0.bindings(broker, incarnation, lanes),
                arguments: super::topology::subscriber_arguments(options),
                subscriber: Arc::clone(&subscriber),
            };
            subscription.start(leave.child_token()).await;
        }
        Box::new(Receiver::new(subscriber, leave))
    }
}

impl Fanout {
    pub(super) fn publisher(self: &Arc<Self>, incarnation: Incarnation) -> Box<dyn EventPublisher> {
        let number = self.next_publisher.fetch_add(1, Ordering::Relaxed);
        let numbers = Arc::new(tokio::sync::Mutex::new(Numbers::new(incarnation, number, self.metrics.absent.clone())));
        let mut publishers = self.publishers.lock();
        publishers.retain(|one| one.strong_count() > 0);
        publishers.push(Arc::downgrade(&numbers));
        Box::new(Publisher { fanout: Arc::clone(self), numbers })
    }

    /// The lane of a room.
    fn lane(&self, room: RoomId) -> u16 {
        Slot::of(room, self.options.lanes).0
    }

    /// What a subscriber's queue on this broker is bound to: exchange and routing key.
    fn bindings(&self, broker: usize, incarnation: Incarnation, lanes: bool) -> Vec<(String, String)> {
        let mut bindings = Vec::new();
        if broker == 0 {
            bindings.push((self.names.one(), incarnation.to_string()));
            bindings.push((self.names.everyone(), String::new()));
        }
        if lanes {
            let here = (0..self.options.lanes).filter(|lane| self.options.broker_of(*lane) == broker);
            bindings.extend(here.map(|lane| (self.names.lane(lane), String::new())));
        }
        bindings
    }

    /// Sends one message to where it goes. Whether it left.
    async fn send(&self, message: Numbered) -> bool {
        let Numbered { to, one, body, claim } = message;
        let (broker, exchange, key) = match to {
            StreamTarget::One => (0, self.names.one(), one.map(|one| one.to_string()).unwrap_or_default()),
            StreamTarget::Lane(lane) => (self.options.broker_of(lane), self.names.lane(lane), String::new()),
            StreamTarget::Everyone => (0, self.names.everyone(), String::new()),
        };
        match self.outlets.get(broker) {
            Some(outlet) => outlet.send(&exchange, &key, "events", &body, Some(claim)).await,
            None => false,
        }
    }

    /// Says that this process lives.
    async fn live(&self) {
        say_life(&self.outlets, &self.names.everyone(), &events::encode_life(self.life, false)).await;
    }

    /// Whether anything was ever published here, and may be again.
    fn publishes(&self) -> bool {
        self.next_publisher.load(Ordering::Relaxed) > events::LIFE + 1 && !self.left.load(Ordering::Relaxed)
    }

    /// What is said at the end, and to whom.
    fn goodbye(&self) -> Option<(String, Vec<u8>)> {
        self.publishes().then(|| (self.names.everyone(), events::encode_life(self.life, true)))
    }
}

/// To whoever follows the lives of processes.
async fn say_life(outlets: &[Arc<Outlet>], everyone: &str, body: &[u8]) {
    if let Some(outlet) = outlets.first() {
        outlet.send(everyone, "", "events", body, None).await;
    }
}

struct Publisher {
    fanout: Arc<Fanout>,
    numbers: Arc<tokio::sync::Mutex<Numbers>>,
}

#[async_trait]
impl EventPublisher for Publisher {
    async fn publish(&mut self, batches: Vec<(Target, Vec<Event>)>) -> Receipt {
        // Before its first word: whoever dies right after it is missed, too.
        if !self.fanout.introduced.swap(true, Ordering::Relaxed) {
            self.fanout.live().await;
        }
        // Held while sending: a heartbeat never overtakes what it counts.
        let mut numbers = self.numbers.lock().await;
        let mut claims = Vec::with_capacity(batches.len());
        for (target, events) in batches {
            if events.is_empty() {
                continue;
            }
            let (to, one) = match target {
                Target::One(incarnation) => (StreamTarget::One, Some(incarnation)),
                Target::Lane(room) => (StreamTarget::Lane(self.fanout.lane(room)), None),
                Target::Everyone => (StreamTarget::Everyone, None),
            };
            let message = numbers.next(to, one, &events);
            claims.push(message.claim.clone());
            if !self.fanout.send(message).await {
                self.fanout.metrics.unsent.inc_by(counter(events.len()));
            }
        }
        number::receipt(claims)
    }
}

/// Says every second how far every stream has come, and that this process lives.
async fn beat(fanout: Weak<Fanout>, stop: CancellationToken) {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(fanout) = fanout.upgrade() else { return };
        let publishers: Vec<_> = fanout.publishers.lock().iter().filter_map(Weak::upgrade).collect();
        for numbers in publishers {
            // One that has no end of things to say must not keep the others' streams from being spoken of.
            let Ok(mut numbers) = timeout(HEARTBEAT, numbers.lock()).await else { continue };
            for message in numbers.heartbeats() {
                fanout.send(message).await;
            }
        }
        if fanout.publishes() {
            fanout.live().await;
        }
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        let outlets = self.outlets.clone();
        let subscribers: Vec<_> = self.subscribers.lock().values().filter_map(|(one, _)| one.upgrade()).collect();
        let goodbye = self.goodbye();
        self.runtime.spawn(async move {
            let last = async {
                if let Some((everyone, body)) = goodbye {
                    say_life(&outlets, &everyone, &body).await;
                }
                for subscriber in &subscribers {
                    subscriber.end_through(&outlets).await;
                }
                for subscriber in &subscribers {
                    subscriber.ended().await;
                }
            };
            // A broker that is away, or slow, ends them all the same.
            let _ = timeout(CLOSE_WAIT, last).await;
            for subscriber in subscribers {
                subscriber.close();
            }
        });
    }
}
