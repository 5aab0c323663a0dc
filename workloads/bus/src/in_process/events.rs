//! Fan-out in memory: one bounded queue a subscriber. A publisher never waits; what does not fit leaves a gap.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use klatch_domain::{Event, Incarnation};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::{
    Options,
    metrics::{BusMetrics, QueueMetrics, counter, gauge},
};
use crate::{EventPublisher, EventReceiver, Events, Received, Target, size};

/// Events handed out at once, unless one publish carried more: a receiver comes back to its other work in about a
/// millisecond.
const RECEIVE_EVENTS: usize = 1_024;

/// Everyone who holds one can still publish; the last to go closes the streams.
struct Fanout {
    shared: Arc<Shared>,
}

struct Shared {
    most_events: usize,
    most_bytes: usize,
    queue: QueueMetrics,
    unknown_target: prometheus::IntCounter,
    gaps: prometheus::IntCounter,
    subscribers: RwLock<Subscribers>,
}

#[derive(Default)]
struct Subscribers {
    by_incarnation: HashMap<Incarnation, Arc<Subscriber>>,
    closed: bool,
}

struct Subscriber {
    lanes: bool,
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    parts: VecDeque<Part>,
    events: usize,
    bytes: usize,
    closed: bool,
}

enum Part {
    /// At least one event, and their bytes.
    Events(Vec<Event>, usize),
    Gap,
}

pub(super) struct InProcessEvents(Arc<Fanout>);

impl InProcessEvents {
    pub(super) fn new(options: &Options, metrics: &BusMetrics) -> Result<Self, prometheus::Error> {
        let shared = Arc::new(Shared {
            most_events: options.event_queue_events,
            most_bytes: options.event_queue_bytes,
            queue: metrics.queue("events")?,
            unknown_target: metrics.unknown_target.clone(),
            gaps: metrics.gaps.clone(),
            subscribers: RwLock::default(),
        });
        Ok(Self(Arc::new(Fanout { shared })))
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        let mut subscribers = self.shared.subscribers.write();
        subscribers.closed = true;
        for subscriber in subscribers.by_incarnation.values() {
            subscriber.close();
        }
    }
}

#[async_trait]
impl Events for InProcessEvents {
    fn publisher(&self, _incarnation: Incarnation) -> Box<dyn EventPublisher> {
        // Streams need no numbers here: a queue sees for itself what it drops.
        Box::new(Publisher(Arc::clone(&self.0)))
    }

    /// A second subscription of an incarnation takes the place of the first, which ends.
    async fn subscribe(&self, incarnation: Incarnation, lanes: bool) -> Box<dyn EventReceiver> {
        let shared = Arc::clone(&self.0.shared);
        let subscriber = Arc::new(Subscriber { lanes, wake: Notify::new(), state: Mutex::default() });
        {
            let mut subscribers = shared.subscribers.write();
            subscriber.state.lock().closed = subscribers.closed;
            if let Some(former) = subscribers.by_incarnation.insert(incarnation, Arc::clone(&subscriber)) {
                former.close();
            }
        }
        Box::new(Receiver { shared, incarnation, subscriber })
    }
}

struct Publisher(Arc<Fanout>);

#[async_trait]
impl EventPublisher for Publisher {
    async fn publish(&mut self, batches: Vec<(Target, Vec<Event>)>) {
        let shared = &self.0.shared;
        let subscribers = shared.subscribers.read();
        for (target, events) in batches {
            if events.is_empty() {
                continue;
            }
            match target {
                Target::One(incarnation) => match subscribers.by_incarnation.get(&incarnation) {
                    Some(subscriber) => shared.push(subscriber, events),
                    None => shared.unknown_target.inc_by(counter(events.len())),
                },
                Target::Lane(_) => {
                    shared.push_all(subscribers.by_incarnation.values().filter(|one| one.lanes), events);
                }
                Target::Everyone => shared.push_all(subscribers.by_incarnation.values(), events),
            }
        }
    }
}

impl Shared {
    fn push(&self, subscriber: &Subscriber, events: Vec<Event>) {
        let (count, bytes) = (events.len(), size::of_events(&events));
        self.put(subscriber, count, bytes, |queued| {
            if queued.is_empty() {
                *queued = events;
            } else {
                queued.extend(events);
            }
        });
    }

    fn push_all<'a>(&self, subscribers: impl Iterator<Item = &'a Arc<Subscriber>>, events: Vec<Event>) {
        let bytes = size::of_events(&events);
        for subscriber in subscribers {
            self.put(subscriber, events.len(), bytes, |queued| queued.extend_from_slice(&events));
        }
    }

    /// Lets `put` add its events to the subscriber's queue, or drops them there, all or none.
    fn put(&self, subscriber: &Subscriber, count: usize, bytes: usize, put: impl FnOnce(&mut Vec<Event>)) {
        let was_empty = {
            let mut state = subscriber.state.lock();
            if state.closed {
                return;
            }
            let was_empty = state.parts.is_empty();
            if state.events + count > self.most_events || state.bytes + bytes > self.most_bytes {
                self.queue.dropped.inc_by(counter(count));
                // Losses in a row are one gap.
                if !matches!(state.parts.back(), Some(Part::Gap)) {
                    self.gaps.inc();
                    state.parts.push_back(Part::Gap);
                }
            } else {
                state.append(count, bytes, put);
                self.queue.queued.add(gauge(count));
            }
            was_empty
        };
        if was_empty {
            subscriber.wake.notify_one();
        }
    }
}

impl State {
    /// Lets `put` add `count` events, of `bytes`, to the last part, or to a new one behind it.
    fn append(&mut self, count: usize, bytes: usize, put: impl FnOnce(&mut Vec<Event>)) {
        let (mut events, held) = match self.parts.pop_back() {
            Some(Part::Events(events, held)) if events.len() + count <= RECEIVE_EVENTS => (events, held),
            last => {
                self.parts.extend(last);
                (Vec::new(), 0)
            }
        };
        put(&mut events);
        self.parts.push_back(Part::Events(events, held + bytes));
        self.events += count;
        self.bytes += bytes;
    }
}

impl Subscriber {
    fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }
}

struct Receiver {
    shared: Arc<Shared>,
    incarnation: Incarnation,
    subscriber: Arc<Subscriber>,
}

impl Receiver {
    /// `Err` when nothing will come any more.
    fn next(&self) -> Result<Option<Received>, Closed> {
        let mut state = self.subscriber.state.lock();
        match state.parts.pop_front() {
            Some(Part::Events(events, bytes)) => {
                state.events -= events.len();
                state.bytes -= bytes;
                self.shared.queue.queued.sub(gauge(events.len()));
                Ok(Some(Received::Events(events)))
            }
            Some(Part::Gap) => Ok(Some(Received::Gap)),
            None if state.closed => Err(Closed),
            None => Ok(None),
        }
    }
}

struct Closed;

#[async_trait]
impl EventReceiver for Receiver {
    async fn receive(&mut self) -> Option<Received> {
        loop {
            match self.next() {
                Ok(Some(received)) => return Some(received),
                Ok(None) => self.subscriber.wake.notified().await,
                Err(Closed) => return None,
            }
        }
    }

    fn try_receive(&mut self) -> Option<Received> {
        self.next().ok().flatten()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        {
            let mut subscribers = self.shared.subscribers.write();
            // A later subscription of this incarnation may have taken the place.
            if subscribers.by_incarnation.get(&self.incarnation).is_some_and(|one| Arc::ptr_eq(one, &self.subscriber)) {
                subscribers.by_incarnation.remove(&self.incarnation);
            }
        }
        let state = self.subscriber.state.lock();
        self.shared.queue.queued.sub(gauge(state.events));
    }
}
