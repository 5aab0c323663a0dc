//! Fan-out in memory: one bounded queue a subscriber. A publisher never waits; what does not fit leaves a gap.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use klatch_domain::{Event, Incarnation};
use parking_lot::RwLock;

use super::{
    Options,
    metrics::{BusMetrics, QueueMetrics, counter, gauge},
};
use crate::{
    EventPublisher, EventReceiver, Events, Receipt, Received, Target,
    event_queue::{Closed, EventQueue, Put},
    size,
};

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
    queue: EventQueue,
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
            subscriber.queue.close();
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
        let queue = EventQueue::new(shared.most_events, shared.most_bytes);
        let subscriber = Arc::new(Subscriber { lanes, queue });
        {
            let mut subscribers = shared.subscribers.write();
            if subscribers.closed {
                subscriber.queue.close();
            }
            if let Some(former) = subscribers.by_incarnation.insert(incarnation, Arc::clone(&subscriber)) {
                former.queue.close();
            }
        }
        Box::new(Receiver { shared, incarnation, subscriber })
    }
}

struct Publisher(Arc<Fanout>);

#[async_trait]
impl EventPublisher for Publisher {
    async fn publish(&mut self, batches: Vec<(Target, Vec<Event>)>) -> Receipt {
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
        // In their queues, or a gap is.
        Receipt::at_once()
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
        match subscriber.queue.put(count, bytes, put) {
            Put::Kept => self.queue.queued.add(gauge(count)),
            Put::Dropped { new_gap } => {
                self.queue.dropped.inc_by(counter(count));
                self.gaps.inc_by(u64::from(new_gap));
            }
            Put::Closed => {}
        }
    }
}

struct Receiver {
    shared: Arc<Shared>,
    incarnation: Incarnation,
    subscriber: Arc<Subscriber>,
}

impl Receiver {
    fn next(&self) -> Result<Option<Received>, Closed> {
        let next = self.subscriber.queue.next();
        if let Ok(Some(Received::Events(events))) = &next {
            self.shared.queue.queued.sub(gauge(events.len()));
        }
        next
    }
}

#[async_trait]
impl EventReceiver for Receiver {
    async fn receive(&mut self) -> Option<Received> {
        loop {
            match self.next() {
                Ok(Some(received)) => return Some(received),
                Ok(None) => self.subscriber.queue.changed().await,
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
        self.shared.queue.queued.sub(gauge(self.subscriber.queue.len()));
    }
}
