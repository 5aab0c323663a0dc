//! Following the numbers of the streams that reach a queue, and the lives of the processes they come from.

use std::{collections::HashMap, num::NonZeroUsize, time::Duration};

use klatch_domain::Incarnation;
use lru::LruCache;
use tokio::time::Instant;

use crate::payload::events::{LIFE, Message, Stream, StreamTarget};

/// Streams followed at once: publishers times targets, of all that live; those of dead ones are the oldest.
const MOST_STREAMS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// Processes whose lives are followed at once. More than ever publish; whoever is beyond is not followed.
const MOST_LIVES: usize = 1_024;
/// How long after its binding a queue learns which streams there are: some heartbeats, each of which names every stream that
/// goes to many. What is met by then in the middle is doubted once for all.
const LEARNS_FOR: Duration = Duration::from_secs(3);
/// Without a heartbeat for so long a process has died, or stands still: ten times as often as it beats, so that a slow
/// machine is not taken for a dead one.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// What was seen of each stream since the queue was bound.
pub(super) struct Track {
    last: LruCache<Stream, u64>,
    /// The queue is the subscriber's first: whatever was sent to it alone came later.
    first: bool,
    learns_until: Instant,
    /// Something may have been lost between the binding and what was met first of a stream.
    doubtful: bool,
    /// Processes that publish, and when each was last heard of.
    lives: HashMap<Incarnation, Instant>,
}

impl Track {
    pub(super) fn new(first: bool, now: Instant) -> Self {
        Self {
            last: LruCache::new(MOST_STREAMS),
            first,
            learns_until: now + LEARNS_FOR,
            doubtful: false,
            lives: HashMap::new(),
        }
    }

    /// Takes a message's number, or a heartbeat's. Whether something is missing before it.
    pub(super) fn misses(&mut self, message: &Message, now: Instant) -> bool {
        let Message { stream, number, .. } = *message;
        if stream.publisher == LIFE {
            self.hear_life(stream.from, message.last, now);
            return false;
        }
        let is_heartbeat = message.events.is_empty() && message.skipped == 0;
        let first = u64::from(!is_heartbeat);
        match self.last.get_mut(&stream) {
            // A heartbeat that a message overtook.
            Some(last) if is_heartbeat && number < *last => false,
            Some(last) => {
                let expected = *last + first;
                *last = number;
                // Lower: a publisher that has forgotten the stream counts anew.
                number != expected
            }
            None => {
                self.last.put(stream, number);
                number != first && self.doubts(&stream, now)
            }
        }
    }

    /// A stream is met in its middle. It may have come here before the queue did; or what came first is lost.
    fn doubts(&mut self, stream: &Stream, now: Instant) -> bool {
        let is_ours_alone = self.first && stream.to == StreamTarget::One;
        if is_ours_alone || now >= self.learns_until {
            return true;
        }
        self.doubtful = true;
        false
    }

    fn hear_life(&mut self, from: Incarnation, last: bool, now: Instant) {
        if last {
            self.lives.remove(&from);
        } else if self.lives.len() < MOST_LIVES || self.lives.contains_key(&from) {
            self.lives.insert(from, now);
        }
    }

    /// To be asked every second. Whether something may be missing that no number shows.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let doubtful = self.doubtful && now >= self.learns_until;
        self.doubtful &= !doubtful;
        let before = self.lives.len();
        self.lives.retain(|_, heard| now.duration_since(*heard) < SILENT_AFTER);
        doubtful || self.lives.len() < before
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::{Event, RoomId};

    use super::*;

    const FROM: Incarnation = Incarnation::from_bytes([1; 16]);

    struct Scene {
        track: Track,
        now: Instant,
    }

    impl Scene {
        fn new(first: bool) -> Self {
            let now = Instant::now();
            Self { track: Track::new(first, now), now }
        }

        /// One that has learned which streams there are.
        fn settled(first: bool) -> Self {
            let mut scene = Self::new(first);
            assert!(!scene.after(LEARNS_FOR));
            scene
        }

        fn after(&mut self, time: Duration) -> bool {
            self.now += time;
            self.track.look(self.now)
        }

        fn take(&mut self, to: StreamTarget, number: u64, events: usize) -> bool {
            let event = Event::RoomDeleted { room: RoomId::from_bytes([7; 16]) };
            let stream = Stream { from: FROM, publisher: 1, to };
            let message = Message { stream, number, events: vec![event; events], skipped: 0, last: false };
            self.track.misses(&message, self.now)
        }

        fn message(&mut self, to: StreamTarget, number: u64) -> bool {
            self.take(to, number, 1)
        }

        fn heartbeat(&mut self, to: StreamTarget, number: u64) -> bool {
            self.take(to, number, 0)
        }

        fn life(&mut self, last: bool) {
            let stream = Stream { from: FROM, publisher: LIFE, to: StreamTarget::Everyone };
            let message = Message { stream, number: 0, events: Vec::new(), skipped: 0, last };
            assert!(!self.track.misses(&message, self.now));
        }
    }

    const LANE: StreamTarget = StreamTarget::Lane(0);

    #[test]
    fn a_number_that_is_left_out_is_missed_once() {
        let mut scene = Scene::new(true);
        let misses: Vec<_> = [7, 8, 10, 11].map(|number| scene.message(LANE, number)).into();
        assert_eq!(misses, [false, false, true, false]);
    }

    #[test]
    fn a_heartbeat_shows_that_the_last_message_is_missing() {
        let mut scene = Scene::new(true);
        assert!(!scene.message(LANE, 7));
        assert!(!scene.heartbeat(LANE, 7));
        assert!(scene.heartbeat(LANE, 9));
        assert!(!scene.heartbeat(LANE, 9));
        assert!(!scene.message(LANE, 10));
        assert!(!scene.heartbeat(LANE, 9), "overtaken by the tenth");
    }

    #[test]
    fn what_is_sent_to_one_process_is_missed_from_the_first_on() {
        let one = StreamTarget::One;
        assert!(!Scene::new(true).message(one, 1));
        assert!(Scene::new(true).message(one, 2));
        assert!(Scene::new(true).heartbeat(one, 1));
        assert!(!Scene::new(true).heartbeat(one, 0));
    }

    #[test]
    fn the_first_of_a_stream_is_missed_wherever_it_goes_once_the_streams_are_known() {
        for to in [LANE, StreamTarget::Everyone, StreamTarget::One] {
            for first in [true, false] {
                assert!(!Scene::settled(first).message(to, 1), "a stream begins");
                assert!(Scene::settled(first).message(to, 2), "{to:?}: the first is missing");
                assert!(Scene::settled(first).heartbeat(to, 1), "{to:?}: the only one is missing");
            }
        }
    }

    #[test]
    fn streams_that_are_older_than_the_queue_are_doubted_once_for_all() {
        for to in [LANE, StreamTarget::Everyone, StreamTarget::One] {
            let mut scene = Scene::new(false);
            assert!(!scene.heartbeat(to, 5), "a new queue comes with a gap of its own");
            assert!(!scene.message(to, 6));
            assert!(!scene.after(LEARNS_FOR / 2));
            assert!(scene.after(LEARNS_FOR), "what was lost between the binding and the fifth");
            assert!(!scene.after(LEARNS_FOR));
        }
    }

    #[test]
    fn a_stream_that_begins_anew_is_a_gap() {
        let mut scene = Scene::new(true);
        assert!(!scene.message(StreamTarget::One, 1));
        assert!(!scene.message(StreamTarget::One, 2));
        assert!(scene.message(StreamTarget::One, 1));
        assert!(!scene.message(StreamTarget::One, 2));
    }

    #[test]
    fn a_process_that_falls_silent_is_one_gap_and_one_that_says_goodbye_is_none() {
        let mut scene = Scene::settled(true);
        scene.life(false);
        assert!(!scene.after(SILENT_AFTER - Duration::from_secs(1)));
        scene.life(false);
        assert!(!scene.after(SILENT_AFTER - Duration::from_secs(1)));
        assert!(scene.after(Duration::from_secs(1)));
        assert!(!scene.after(SILENT_AFTER), "told once");
        scene.life(false);
        scene.life(true);
        assert!(!scene.after(SILENT_AFTER));
    }
}
