//! Streams of very large rooms in memory.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use klatch_domain::{Event, Incarnation, RoomId};
use parking_lot::RwLock;
use prometheus::{IntCounter, IntGauge, Registry};

use crate::{
    RoomNews, RoomPublisher, RoomStreams, RoomSubscriber, StreamUnknown,
    room_streams::{Numbers, RoomQueue},
};

/// Opens streams of very large rooms in memory. Their metrics:
///
/// - `klatch_bus_room_events_dropped_total`: events that did not fit, each for one subscriber
/// - `klatch_bus_room_events_queued`: waiting, over all subscribers
/// - `klatch_bus_room_gaps_total`: gaps that subscribers were told of
///
/// # Errors
/// When `registry` holds them already.
pub fn room_streams(registry: &Registry) -> Result<Arc<dyn RoomStreams>, prometheus::Error> {
    let dropped = IntCounter::new("klatch_bus_room_events_dropped_total", "Events of large rooms that did not fit")?;
    let gaps = IntCounter::new("klatch_bus_room_gaps_total", "Gaps in streams of large rooms")?;
    let queued = IntGauge::new("klatch_bus_room_events_queued", "Events of large rooms that wait")?;
    registry.register(Box::new(queued.clone()))?;
    registry.register(Box::new(dropped.clone()))?;
    registry.register(Box::new(gaps.clone()))?;
    Ok(Arc::new(InProcessRoomStreams(Arc::new(Shared {
        queues: RwLock::default(),
        publishers: AtomicU64::new(1),
        queued,
        dropped,
        gaps,
    }))))
}

struct InProcessRoomStreams(Arc<Shared>);

struct Shared {
    queues: RwLock<Vec<Arc<RoomQueue>>>,
    publishers: AtomicU64,
    queued: IntGauge,
    dropped: IntCounter,
    gaps: IntCounter,
}

impl Drop for InProcessRoomStreams {
    fn drop(&mut self) {
        self.0.queues.read().iter().for_each(|queue| queue.close());
    }
}

impl RoomStreams for InProcessRoomStreams {
    fn publisher(&self, from: Incarnation) -> Box<dyn RoomPublisher> {
        let publisher = self.0.publishers.fetch_add(1, Ordering::Relaxed);
        Box::new(Publisher { shared: Arc::clone(&self.0), numbers: Numbers::new(from, publisher) })
    }

    fn subscribe(&self) -> Box<dyn RoomSubscriber> {
        let queue = Arc::new(RoomQueue::default());
        self.0.queues.write().push(Arc::clone(&queue));
        Box::new(Subscriber { shared: Arc::clone(&self.0), queue })
    }
}

struct Publisher {
    shared: Arc<Shared>,
    numbers: Numbers,
}

#[async_trait]
impl RoomPublisher for Publisher {
    async fn publish(&mut self, room: RoomId, events: Vec<Event>) -> Result<(), StreamUnknown> {
        let number = self.numbers.next(room);
        for queue in self.shared.queues.read().iter() {
            let taken = queue.take(room, &self.numbers.stream, number, &events);
            self.shared.queued.add(taken.kept as i64);
            self.shared.dropped.inc_by(taken.dropped as u64);
            self.shared.gaps.inc_by(taken.gaps as u64);
        }
        Ok(())
    }
}

struct Subscriber {
    shared: Arc<Shared>,
    queue: Arc<RoomQueue>,
}

#[async_trait]
impl RoomSubscriber for Subscriber {
    async fn join(&self, room: RoomId) -> Result<(), StreamUnknown> {
        self.queue.join(room).map(drop)
    }

    async fn leave(&self, room: RoomId) {
        self.shared.queued.sub(self.queue.leave(room).unwrap_or(0) as i64);
    }

    async fn receive(&self) -> Option<RoomNews> {
        let news = self.queue.receive().await;
        if let Some(RoomNews::Events(_, events)) = &news {
            self.shared.queued.sub(events.len() as i64);
        }
        news
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.shared.queues.write().retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.shared.queued.sub(self.queue.len() as i64);
    }
}
