//! Streams of very large rooms: one channel a room, heard by the gateways that want it and nobody else.
//!
//! Numbered like every stream of events: who hears one sees what is missing. No process opens one yet: which rooms go this
//! way is a property of the room that its log decides, and no log does so far.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
};

use async_trait::async_trait;
use klatch_domain::{Event, Incarnation, RoomId};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    payload::events::{Stream, StreamTarget},
    size,
};

/// Rooms one subscriber hears at once: each costs a subscription, and a gateway has no more viewers of large rooms.
pub const JOINED_ROOMS: usize = 4_096;
/// Events that wait for one subscriber: a second of many busy rooms. Later than that, asking for heads is cheaper.
pub const ROOM_EVENTS: usize = 16_384;
/// Bytes that wait for one subscriber (estimated).
pub const ROOM_EVENT_BYTES: usize = 32 * 1024 * 1024;
/// Publishers of one room that are followed: its writer, and those before it. Beyond, all are met anew.
const PUBLISHERS: usize = 64;
/// Rooms whose streams one publisher counts at once. One that comes again after that many others begins anew, which its
/// subscribers see as a gap.
const MOST_ROOMS: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// Nothing was sent, or nobody knows: use a lane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stream of a room cannot be used: {0}")]
pub struct StreamUnknown(pub String);

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomNews {
    /// Events of one room, in their publisher's order.
    Events(RoomId, Vec<Event>),
    /// Something of this room was missed here: ask where it ends.
    Gap(RoomId),
}

/// Fan-out is at most once: a full queue drops, a lost connection loses, and the subscriber learns of both.
#[async_trait]
pub trait RoomStreams: Send + Sync + 'static {
    /// Opens the numbered streams of one publishing process.
    fn publisher(&self, from: Incarnation) -> Box<dyn RoomPublisher>;

    /// A subscriber that hears no room yet.
    fn subscribe(&self) -> Box<dyn RoomSubscriber>;
}

/// One publisher's numbered streams. Order per room holds.
#[async_trait]
pub trait RoomPublisher: Send {
    /// Sends to all who hear this room.
    ///
    /// # Errors
    /// [`StreamUnknown`]. Subscribers that hear a later publish see that this one is missing.
    async fn publish(&mut self, room: RoomId, events: Vec<Event>) -> Result<(), StreamUnknown>;
}

/// A subscriber's end. Dropping it ends its subscriptions.
#[async_trait]
pub trait RoomSubscriber: Send + Sync {
    /// What is published of this room after this has returned is heard, or a gap is. Joining again changes nothing.
    ///
    /// # Errors
    /// [`StreamUnknown`]: it hears [`JOINED_ROOMS`] already, or there is no connection just now; in that case the room is
    /// joined all the same, and a gap says when from.
    async fn join(&self, room: RoomId) -> Result<(), StreamUnknown>;

    /// Hears nothing more of this room.
    async fn leave(&self, room: RoomId);

    /// What comes next; `None` when the streams have shut down. Cancel safe.
    async fn receive(&self) -> Option<RoomNews>;
}

/// The numbers one publisher gives to what it publishes of each room.
pub(crate) struct Numbers {
    pub(crate) stream: Stream,
    last: LruCache<RoomId, u64>,
}

impl Numbers {
    pub(crate) fn new(from: Incarnation, publisher: u64) -> Self {
        let stream = Stream { from, publisher, to: StreamTarget::Everyone };
        Self { stream, last: LruCache::new(MOST_ROOMS) }
    }

    pub(crate) fn next(&mut self, room: RoomId) -> u64 {
        let last = self.last.get_or_insert_mut(room, || 0);
        *last += 1;
        *last
    }
}

/// What waits for one subscriber: bounded, in order, with a mark of its room wherever something was lost.
#[derive(Default)]
pub(crate) struct RoomQueue {
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomId, Heard>,
    waiting: VecDeque<RoomNews>,
    events: usize,
    bytes: usize,
    closed: bool,
}

/// A room that is heard.
#[derive(Default)]
struct Heard {
    last: HashMap<(Incarnation, u64), u64>,
    /// A gap of it waits, and nothing of it behind that.
    gap_waits: bool,
}

/// Counted of one arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) kept: usize,
    pub(crate) dropped: usize,
    pub(crate) gaps: usize,
}

impl RoomQueue {
    /// Whether the room is heard now and was not before.
    pub(crate) fn join(&self, room: RoomId) -> Result<bool, StreamUnknown> {
        let rooms = &mut self.state.lock().rooms;
        if rooms.contains_key(&room) {
            return Ok(false);
        }
        if rooms.len() >= JOINED_ROOMS {
            return Err(StreamUnknown(format!("{JOINED_ROOMS} rooms are heard already")));
        }
        rooms.insert(room, Heard::default());
        Ok(true)
    }

    /// How many of its events waited, if the room was heard.
    pub(crate) fn leave(&self, room: RoomId) -> Option<usize> {
        let mut state = self.state.lock();
        let State { waiting, events, bytes, .. } = &mut *state;
        let before = *events;
        waiting.retain(|news| match news {
            RoomNews::Events(one, lost) if *one == room => {
                *events -= lost.len();
                *bytes -= size::of_events(lost);
                false
            }
            RoomNews::Gap(one) => *one != room,
            RoomNews::Events(..) => true,
        });
        let left = before - *events;
        state.rooms.remove(&room).map(|_| left)
    }

    pub(crate) fn rooms(&self) -> Vec<RoomId> {
        self.state.lock().rooms.keys().copied().collect()
    }

    /// Takes what was published of a room, under its number in the stream.
    pub(crate) fn take(&self, room: RoomId, stream: &Stream, number: u64, events: &[Event]) -> Taken {
        let mut taken = Taken::default();
        {
            let mut state = self.state.lock();
            if state.closed || events.is_empty() {
                return taken;
            }
            let Some(heard) = state.rooms.get_mut(&room) else { return taken };
            if heard.misses((stream.from, stream.publisher), number) {
                taken.gaps += usize::from(state.mark(room));
            }
            let bytes = size::of_events(events);
            if state.events + events.len() > ROOM_EVENTS || state.bytes + bytes > ROOM_EVENT_BYTES {
                taken.dropped = events.len();
                taken.gaps += usize::from(state.mark(room));
            } else {
                taken.kept = events.len();
                state.append(room, events, bytes);
            }
        }
        self.wake.notify_one();
        taken
    }

    /// Something may have been missed of every room. Answers how many gaps that began.
    pub(crate) fn miss_all(&self) -> usize {
        let begun = {
            let mut state = self.state.lock();
            let rooms: Vec<_> = state.rooms.keys().copied().collect();
            rooms.into_iter().filter(|room| state.mark(*room)).count()
        };
        self.wake.notify_one();
        begun
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    /// Events that wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().events
    }

    /// What comes next; `None` at the end. Cancel safe: a wake between looking and waiting is kept.
    pub(crate) async fn receive(&self) -> Option<RoomNews> {
        loop {
            {
                let mut state = self.state.lock();
                if let Some(news) = state.waiting.pop_front() {
                    state.handed_out(&news);
                    if !state.waiting.is_empty() {
                        self.wake.notify_one();
                    }
                    return Some(news);
                }
                if state.closed {
                    self.wake.notify_one();
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }
}

impl Heard {
    fn misses(&mut self, stream: (Incarnation, u64), number: u64) -> bool {
        if !self.last.contains_key(&stream) && self.last.len() >= PUBLISHERS {
            self.last.clear();
        }
        // The first that is heard of a publisher is where hearing it begins.
        self.last.insert(stream, number).is_some_and(|last| number != last + 1)
    }
}

impl State {
    fn mark(&mut self, room: RoomId) -> bool {
        let Some(heard) = self.rooms.get_mut(&room).filter(|heard| !heard.gap_waits) else { return false };
        heard.gap_waits = true;
        self.waiting.push_back(RoomNews::Gap(room));
        true
    }

    fn append(&mut self, room: RoomId, events: &[Event], bytes: usize) {
        self.events += events.len();
        self.bytes += bytes;
        if let Some(heard) = self.rooms.get_mut(&room) {
            heard.gap_waits = false;
        }
        match self.waiting.back_mut() {
            Some(RoomNews::Events(last, waiting)) if *last == room => waiting.extend_from_slice(events),
            _ => self.waiting.push_back(RoomNews::Events(room, events.to_vec())),
        }
    }

    fn handed_out(&mut self, news: &RoomNews) {
        match news {
            RoomNews::Events(_, events) => {
                self.events -= events.len();
                self.bytes -= size::of_events(events);
            }
            RoomNews::Gap(room) => {
                if let Some(heard) = self.rooms.get_mut(room) {
                    heard.gap_waits = false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId::from_bytes([1; 16]);
    const OTHER: RoomId = RoomId::from_bytes([2; 16]);

    fn stream(publisher: u64) -> Stream {
        Stream { from: Incarnation::from_bytes([7; 16]), publisher, to: StreamTarget::Everyone }
    }

    fn events(count: usize) -> Vec<Event> {
        vec![Event::RoomDeleted { room: ROOM }; count]
    }

    fn drain(queue: &RoomQueue) -> Vec<RoomNews> {
        queue.close();
        let mut news = Vec::new();
        while let Some(Some(one)) = futures_util::FutureExt::now_or_never(queue.receive()) {
            news.push(one);
        }
        news
    }

    #[test]
    fn a_number_left_out_is_a_gap_of_its_room_only() {
        let queue = RoomQueue::default();
        assert_eq!((queue.join(ROOM), queue.join(OTHER), queue.join(ROOM)), (Ok(true), Ok(true), Ok(false)));
        queue.take(ROOM, &stream(1), 7, &events(1));
        queue.take(OTHER, &stream(1), 3, &events(1));
        assert_eq!(queue.take(ROOM, &stream(1), 9, &events(2)), Taken { kept: 2, dropped: 0, gaps: 1 });
        queue.take(ROOM, &stream(2), 40, &events(1));
        assert_eq!(
            drain(&queue),
            [
                RoomNews::Events(ROOM, events(1)),
                RoomNews::Events(OTHER, events(1)),
                RoomNews::Gap(ROOM),
                RoomNews::Events(ROOM, events(3)),
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_one_gap_in_its_place() {
        let queue = RoomQueue::default();
        queue.join(ROOM).unwrap();
        assert_eq!(queue.take(ROOM, &stream(1), 1, &events(ROOM_EVENTS)).kept, ROOM_EVENTS);
        assert_eq!(queue.take(ROOM, &stream(1), 2, &events(1)), Taken { kept: 0, dropped: 1, gaps: 1 });
        assert_eq!(queue.take(ROOM, &stream(1), 3, &events(1)), Taken { kept: 0, dropped: 1, gaps: 0 });
        assert_eq!(queue.miss_all(), 0);
        assert_eq!(drain(&queue).last(), Some(&RoomNews::Gap(ROOM)));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_room_that_was_left_leaves_nothing_behind() {
        let queue = RoomQueue::default();
        queue.join(ROOM).unwrap();
        queue.take(ROOM, &stream(1), 1, &events(3));
        queue.miss_all();
        assert_eq!((queue.leave(ROOM), queue.leave(ROOM)), (Some(3), None));
        assert_eq!(queue.take(ROOM, &stream(1), 2, &events(1)), Taken::default());
        assert_eq!((queue.len(), drain(&queue)), (0, vec![]));
        let full = RoomQueue::default();
        for number in 0..JOINED_ROOMS {
            full.join(RoomId::from_bytes((number as u128).to_be_bytes())).unwrap();
        }
        assert!(full.join(RoomId::from_bytes([9; 16])).is_err());
    }
}
