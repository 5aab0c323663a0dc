//! A subscriber: on every broker a queue of its own, read by a task into one bounded queue inside this process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    super::{
        backoff::Backoff,
        link::{Link, LinkError},
        metrics::{Metrics, counter, gauge},
        options::Options,
    },
    HEARTBEAT,
    outlet::Outlet,
    track::Track,
};
use crate::{
    EventReceiver, Received,
    event_queue::{Closed, EventQueue, Put},
    payload::events,
    size,
};

/// The message by which a process ends its own subscription, behind everything it has sent.
const END: &str = "end";

/// What waits for one subscriber.
pub(super) struct Subscriber {
    queue: EventQueue,
    /// Its queue's name on each broker, while there is one.
    names: Mutex<Vec<Option<String>>>,
    feeds: AtomicUsize,
    closed: watch::Sender<bool>,
    metrics: Arc<Metrics>,
}

impl Subscriber {
    pub(super) fn new(options: &Options, brokers: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            queue: EventQueue::new(options.event_local_events, options.event_local_bytes),
            names: Mutex::new(vec![None; brokers]),
            feeds: AtomicUsize::new(brokers),
            closed: watch::Sender::new(false),
            metrics,
        }
    }

    /// What waits is still handed out, then the end.
    pub(super) fn close(&self) {
        self.queue.close();
        self.closed.send_replace(true);
    }

    /// Lets every queue end behind what was sent to it.
    pub(super) async fn end_through(&self, outlets: &[Arc<Outlet>]) {
        let names = self.names.lock().clone();
        for (outlet, name) in outlets.iter().zip(names) {
            let sent = match name {
                // The default exchange leads to the queue of that name.
                Some(name) => outlet.send("", &name, END, &[], None).await,
                None => false,
            };
            if !sent {
                self.end_one();
            }
        }
    }

    /// One of the queues has ended; the last closes.
    fn end_one(&self) {
        if self.feeds.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    pub(super) async fn ended(&self) {
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    fn gap(&self) {
        self.metrics.gaps.inc_by(u64::from(self.queue.gap()));
    }

    /// Takes one message from a broker.
    fn take(&self, track: &mut Track, body: &[u8]) {
        let message = match events::decode(body) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "a message of events cannot be read");
                self.metrics.unreadable.with_label_values(&["events"]).inc();
                return self.gap();
            }
        };
        self.metrics.unreadable.with_label_values(&["events"]).inc_by(counter(message.skipped));
        if track.misses(&message, Instant::now()) {
            self.gap();
        }
        let count = message.events.len();
        if count == 0 {
            return;
        }
        let bytes = size::of_events(&message.events);
        let events = message.events;
        let put = self.queue.put(count, bytes, |queued| {
            if queued.is_empty() {
                *queued = events;
            } else {
                queued.extend(events);
            }
        });
        match put {
            Put::Kept => self.metrics.queued.with_label_values(&["events"]).add(gauge(count)),
            Put::Dropped { new_gap } => {
                self.metrics.dropped.with_label_values(&["events"]).inc_by(counter(count));
                self.metrics.gaps.inc_by(u64::from(new_gap));
            }
            Put::Closed => {}
        }
        self.metrics.received.inc_by(counter(count));
    }
}

/// A subscriber's end on one broker.
pub(super) struct Subscription {
    pub(super) link: Arc<Link>,
    pub(super) broker: usize,
    /// Exchange and routing key of each.
    pub(super) bindings: Vec<(String, String)>,
    pub(super) arguments: FieldTable,
    pub(super) subscriber: Arc<Subscriber>,
}

/// A queue, bound and consumed.
struct Attached {
    /// Closed when it is dropped.
    _channel: Channel,
    consumer: Consumer,
}

/// Why a queue is no longer read.
enum End {
    /// The subscriber is gone.
    Left,
    /// The bus has shut down.
    Ended,
    Lost(String),
}

impl Subscription {
    /// Binds, and reads in a task of its own until `leave`. Without a broker it goes on trying, and marks a gap.
    pub(super) async fn start(self, leave: CancellationToken) {
        let attached = self.attach().await;
        let attached = attached.inspect_err(|error| tracing::warn!(%error, "cannot subscribe to events yet"));
        tokio::spawn(self.run(attached.ok(), leave));
    }

    async fn attach(&self) -> Result<Attached, LinkError> {
        let channel = self.link.channel().await?;
        // Named by the broker: the name of a queue whose connection is not known to be dead yet is locked.
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let declaring = channel.queue_declare("".into(), options, self.arguments.clone());
        let name = self.link.answer("declare a queue at", declaring).await?.name().clone();
        for (exchange, key) in &self.bindings {
            let (exchange, key) = (exchange.as_str().into(), key.as_str().into());
            let binding =
                channel.queue_bind(name.clone(), exchange, key, QueueBindOptions::default(), FieldTable::default());
            self.link.answer("bind a queue at", binding).await?;
        }
        let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
        let consuming = channel.basic_consume(name.clone(), "".into(), options, FieldTable::default());
        let consumer = self.link.answer("consume at", consuming).await?;
        if let Some(held) = self.subscriber.names.lock().get_mut(self.broker) {
            *held = Some(name.to_string());
        }
        Ok(Attached { _channel: channel, consumer })
    }

    async fn run(self, mut attached: Option<Attached>, leave: CancellationToken) {
        let mut first = attached.is_some();
        let mut backoff = Backoff::new();
        loop {
            let mut held = match attached.take() {
                Some(held) => held,
                None => match self.attach().await {
                    Ok(held) => held,
                    Err(error) => {
                        tracing::warn!(%error, "cannot subscribe to events");
                        tokio::select! {
                            () = leave.cancelled() => return,
                            () = self.subscriber.ended() => return,
                            () = sleep(backoff.next()) => continue,
                        }
                    }
                },
            };
            if !first {
                // Whatever was sent before the queue was bound.
                self.subscriber.gap();
            }
            let end = self.read(&mut held.consumer, Track::new(first, Instant::now()), &leave, &mut backoff).await;
            if let Some(name) = self.subscriber.names.lock().get_mut(self.broker) {
                *name = None;
            }
            match end {
                End::Left => return,
                End::Ended => return self.subscriber.end_one(),
                End::Lost(reason) => {
                    tracing::warn!(reason, "a subscription to events was lost");
                    // At once: revocations are asked for now, not when the broker is back.
                    self.subscriber.gap();
                    first = false;
                }
            }
        }
    }

    async fn read(
        &self,
        consumer: &mut Consumer,
        mut track: Track,
        leave: &CancellationToken,
        backoff: &mut Backoff,
    ) -> End {
        // Whether a publisher has fallen silent is looked at as often as they beat.
        let mut looks = interval(HEARTBEAT);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                biased;
                () = leave.cancelled() => return End::Left,
                _ = looks.tick() => {
                    if track.look(Instant::now()) {
                        self.subscriber.gap();
                    }
                    continue;
                }
                next = consumer.next() => next,
            };
            match next {
                Some(Ok(delivery)) if is_end(&delivery) => return End::Ended,
                Some(Ok(delivery)) => {
                    *backoff = Backoff::new();
                    self.subscriber.take(&mut track, &delivery.data);
                }
                Some(Err(error)) => return End::Lost(error.to_string()),
                None => return End::Lost("the broker ended the consumer".to_owned()),
            }
        }
    }
}

fn is_end(delivery: &Delivery) -> bool {
    delivery.properties.kind().as_ref().is_some_and(|kind| kind.as_str() == END)
}

/// Who receives.
pub(super) struct Receiver {
    subscriber: Arc<Subscriber>,
    _leave: DropGuard,
}

impl Receiver {
    pub(super) fn new(subscriber: Arc<Subscriber>, leave: CancellationToken) -> Self {
        Self { subscriber, _leave: leave.drop_guard() }
    }

    fn next(&self) -> Result<Option<Received>, Closed> {
        let next = self.subscriber.queue.next();
        if let Ok(Some(Received::Events(events))) = &next {
            self.subscriber.metrics.queued.with_label_values(&["events"]).sub(gauge(events.len()));
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
        let left = self.subscriber.queue.len();
        self.subscriber.metrics.queued.with_label_values(&["events"]).sub(gauge(left));
        self.subscriber.queue.close();
    }
}
