//! Streams of very large rooms by pub/sub, one channel a room; sharded in a cluster, so that a room costs the servers of its
//! slot and no others.
//!
//! A connection of its own: a gateway whose subscription is too slow is cut off by Redis, and must not lose its presence
//! with it. Whatever ends the connection, every room is subscribed again first and then marked as missed: what was published
//! meanwhile is asked for, and nothing falls between.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use klatch_domain::{Event, Incarnation, RoomId};
use parking_lot::{Mutex, RwLock};
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use redis::{PushInfo, PushKind, RedisError, Value};
use tokio::{sync::Notify, task::AbortHandle, time::sleep};

use super::{
    ConnectError, Mode, Options,
    client::{Connection, OnPush},
    keys::Keys,
    link::{CallError, Link, Prepare},
};
use crate::{
    RoomNews, RoomPublisher, RoomStreams, RoomSubscriber, StreamUnknown,
    payload::events::{self, Message},
    room_streams::{Numbers, RoomQueue},
};

/// Before a cluster's rooms are subscribed again after that has failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Connects: a connection for the streams of very large rooms, opened again whenever it is lost. A Redis that cannot be
/// reached is no error. Metrics:
///
/// - `klatch_redis_rooms_up{link="rooms"}`: 1 while connected
/// - `klatch_redis_rooms_dropped_total`: events that did not fit, each for one subscriber
/// - `klatch_redis_rooms_queued`: events waiting, over all subscribers
/// - `klatch_redis_rooms_gaps_total`: gaps that subscribers were told of
/// - `klatch_redis_rooms_unsent_total`: events that were not sent, or nobody knows
/// - `klatch_redis_rooms_unreadable_total`: messages or events that were not understood
///
/// # Errors
/// [`ConnectError`].
pub async fn room_streams(options: Options, registry: &Registry) -> Result<Arc<dyn RoomStreams>, ConnectError> {
    options.check()?;
    let metrics = Metrics::register(registry)?;
    let shared = Arc::new(Shared {
        keys: Keys::new(&options.prefix, options.mode),
        mode: options.mode,
        queues: RwLock::default(),
        subscribed: Mutex::default(),
        turn: tokio::sync::Mutex::default(),
        publishers: AtomicU64::new(1),
        cut: Notify::new(),
        metrics,
    });
    let taker = Arc::clone(&shared);
    let on_push: OnPush = Arc::new(move |push| taker.take(push));
    let up = shared.metrics.up.with_label_values(&["rooms"]);
    let link = Arc::new(Link::open("rooms", &options, Rejoin(Arc::clone(&shared)), Some(on_push), up).await);
    let mending = tokio::spawn(mend(Arc::clone(&shared), Arc::clone(&link))).abort_handle();
    Ok(Arc::new(RedisRoomStreams { shared, link, mending }))
}

struct Metrics {
    up: IntGaugeVec,
    queued: IntGauge,
    dropped: IntCounter,
    gaps: IntCounter,
    unsent: IntCounter,
    unreadable: IntCounter,
}

impl Metrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let up = Opts::new("klatch_redis_rooms_up", "Whether the link of large rooms' streams is open");
        let up = IntGaugeVec::new(up, &["link"])?;
        registry.register(Box::new(up.clone()))?;
        let queued = IntGauge::new("klatch_redis_rooms_queued", "Events of large rooms that wait")?;
        registry.register(Box::new(queued.clone()))?;
        Ok(Self {
            up,
            queued,
            dropped: counter("klatch_redis_rooms_dropped_total", "Events of large rooms that did not fit")?,
            gaps: counter("klatch_redis_rooms_gaps_total", "Gaps in streams of large rooms")?,
            unsent: counter("klatch_redis_rooms_unsent_total", "Events of large rooms that were not sent")?,
            unreadable: counter("klatch_redis_rooms_unreadable_total", "Events of large rooms not understood")?,
        })
    }
}

struct RedisRoomStreams {
    shared: Arc<Shared>,
    link: Arc<Link>,
    mending: AbortHandle,
}

struct Shared {
    keys: Keys,
    mode: Mode,
    queues: RwLock<Vec<Arc<RoomQueue>>>,
    /// How many subscribers hear each room.
    subscribed: Mutex<HashMap<RoomId, usize>>,
    /// Subscribing and unsubscribing, one after the other: two of one room could overtake each other.
    turn: tokio::sync::Mutex<()>,
    publishers: AtomicU64,
    /// A server of a cluster is gone, and its connection mends itself.
    cut: Notify,
    metrics: Metrics,
}

/// Subscribes every room on a new connection, then marks all as missed.
struct Rejoin(Arc<Shared>);

#[async_trait]
impl Prepare for Rejoin {
    async fn prepare(&self, connection: &mut Connection) -> Result<(), RedisError> {
        let rooms: Vec<_> = self.0.subscribed.lock().keys().map(|room| self.0.keys.room_channel(*room)).collect();
        if !rooms.is_empty() {
            connection.subscribe(&rooms).await?;
        }
        self.0.miss_all();
        Ok(())
    }
}

/// One room, on the connection that is open.
struct One(String, bool);

#[async_trait]
impl Prepare for One {
    async fn prepare(&self, connection: &mut Connection) -> Result<(), RedisError> {
        let channel = std::slice::from_ref(&self.0);
        if self.1 { connection.subscribe(channel).await } else { connection.unsubscribe(channel).await }
    }
}

/// Subscribes a cluster's rooms again after a cut, whose own connection does so too, but does not say when it has.
async fn mend(shared: Arc<Shared>, link: Arc<Link>) {
    loop {
        shared.cut.notified().await;
        while let Err(error) = link.prepare(&Rejoin(Arc::clone(&shared))).await {
            tracing::debug!(%error, "cannot subscribe to the streams of large rooms yet");
            sleep(PAUSE).await;
        }
    }
}

impl Drop for RedisRoomStreams {
    fn drop(&mut self) {
        self.mending.abort();
        self.shared.queues.read().iter().for_each(|queue| queue.close());
    }
}

impl RoomStreams for RedisRoomStreams {
    fn publisher(&self, from: Incarnation) -> Box<dyn RoomPublisher> {
        let (shared, link) = (Arc::clone(&self.shared), Arc::clone(&self.link));
        let publisher = shared.publishers.fetch_add(1, Ordering::Relaxed);
        Box::new(Publisher { shared, link, numbers: Numbers::new(from, publisher) })
    }

    fn subscribe(&self) -> Box<dyn RoomSubscriber> {
        let queue = Arc::new(RoomQueue::default());
        self.shared.queues.write().push(Arc::clone(&queue));
        Box::new(Subscriber { shared: Arc::clone(&self.shared), link: Arc::clone(&self.link), queue })
    }
}

impl Shared {
    /// Called by the connection's task: must not wait.
    fn take(&self, push: PushInfo) {
        if push.kind == PushKind::Disconnection {
            self.miss_all();
            return self.cut.notify_one();
        }
        if !matches!(push.kind, PushKind::Message | PushKind::SMessage) {
            return;
        }
        let mut data = push.data.into_iter();
        let (Some(Value::BulkString(channel)), Some(Value::BulkString(message))) = (data.next(), data.next()) else {
            return;
        };
        let read = Keys::room_of_channel(&channel).zip(events::decode(&message).ok());
        let Some((room, Message { stream, number, events, skipped, last: _ })) = read else {
            return self.metrics.unreadable.inc();
        };
        self.metrics.unreadable.inc_by(skipped as u64);
        for queue in self.queues.read().iter() {
            let taken = queue.take(room, &stream, number, &events);
            self.metrics.queued.add(taken.kept as i64);
            self.metrics.dropped.inc_by(taken.dropped as u64);
            self.metrics.gaps.inc_by(taken.gaps as u64);
        }
    }

    fn miss_all(&self) {
        let begun: usize = self.queues.read().iter().map(|queue| queue.miss_all()).sum();
        self.metrics.gaps.inc_by(begun as u64);
    }

    /// One subscriber more hears a room. Answers whether it is the first.
    fn add(&self, room: RoomId) -> bool {
        let mut subscribed = self.subscribed.lock();
        let count = subscribed.entry(room).or_default();
        *count += 1;
        *count == 1
    }

    /// One fewer. Answers whether it was the last.
    fn remove(&self, room: RoomId) -> bool {
        let mut subscribed = self.subscribed.lock();
        let Some(count) = subscribed.get_mut(&room) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            subscribed.remove(&room);
        }
        last
    }
}

struct Publisher {
    shared: Arc<Shared>,
    link: Arc<Link>,
    numbers: Numbers,
}

#[async_trait]
impl RoomPublisher for Publisher {
    async fn publish(&mut self, room: RoomId, events: Vec<Event>) -> Result<(), StreamUnknown> {
        let number = self.numbers.next(room);
        let mut command = redis::cmd(match self.shared.mode {
            Mode::Standalone => "PUBLISH",
            Mode::Cluster => "SPUBLISH",
        });
        command.arg(self.shared.keys.room_channel(room)).arg(events::encode(&self.numbers.stream, number, &events));
        self.link.one(&command).await.map(drop).map_err(|error: CallError| {
            self.shared.metrics.unsent.inc_by(events.len() as u64);
            StreamUnknown(error.to_string())
        })
    }
}

struct Subscriber {
    shared: Arc<Shared>,
    link: Arc<Link>,
    queue: Arc<RoomQueue>,
}

#[async_trait]
impl RoomSubscriber for Subscriber {
    async fn join(&self, room: RoomId) -> Result<(), StreamUnknown> {
        let _turn = self.shared.turn.lock().await;
        if !self.queue.join(room)? {
            return Ok(());
        }
        if !self.shared.add(room) {
            return Ok(());
        }
        let subscribe = One(self.shared.keys.room_channel(room), true);
        // Without a connection: the next one is subscribed, and the room marked, before it is used.
        self.link.prepare(&subscribe).await.map_err(|error| StreamUnknown(error.to_string()))
    }

    async fn leave(&self, room: RoomId) {
        let _turn = self.shared.turn.lock().await;
        let Some(waited) = self.queue.leave(room) else { return };
        self.shared.metrics.queued.sub(waited as i64);
        if self.shared.remove(room) {
            // Without a connection there is nothing to end.
            let _ = self.link.prepare(&One(self.shared.keys.room_channel(room), false)).await;
        }
    }

    async fn receive(&self) -> Option<RoomNews> {
        let news = self.queue.receive().await;
        if let Some(RoomNews::Events(_, events)) = &news {
            self.shared.metrics.queued.sub(events.len() as i64);
        }
        news
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.shared.queues.write().retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.shared.metrics.queued.sub(self.queue.len() as i64);
        let (shared, link, rooms) = (Arc::clone(&self.shared), Arc::clone(&self.link), self.queue.rooms());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let _turn = shared.turn.lock().await;
            for room in rooms {
                if shared.remove(room) {
                    let _ = link.prepare(&One(shared.keys.room_channel(room), false)).await;
                }
            }
        });
    }
}
