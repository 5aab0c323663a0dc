//! Following the numbers of the streams that reach a queue.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::payload::events::{Stream, StreamTarget};

/// Streams followed at once: publishers times targets, of all that live; those of dead ones are the oldest.
const MOST_STREAMS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// What was seen of each stream since the queue was bound.
pub(super) struct Track {
    last: LruCache<Stream, u64>,
    /// The queue is the subscriber's first: whatever was sent to it alone came later.
    first: bool,
}

impl Track {
    pub(super) fn new(first: bool) -> Self {
        Self { last: LruCache::new(MOST_STREAMS), first }
    }

    /// Takes a message's number, or a heartbeat's. Whether something is missing before it.
    pub(super) fn misses(&mut self, stream: Stream, number: u64, is_heartbeat: bool) -> bool {
        match self.last.get_mut(&stream) {
            // A heartbeat that a message overtook.
            Some(last) if is_heartbeat && number < *last => false,
            Some(last) => {
                let expected = if is_heartbeat { *last } else { *last + 1 };
                *last = number;
                // Lower: a publisher that has forgotten the stream counts anew.
                number != expected
            }
            None => {
                self.last.put(stream, number);
                let from_the_start = self.first && stream.to == StreamTarget::One;
                from_the_start && number != u64::from(!is_heartbeat)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::Incarnation;

    use super::*;

    fn stream(to: StreamTarget) -> Stream {
        Stream { from: Incarnation::from_bytes([1; 16]), publisher: 1, to }
    }

    #[test]
    fn a_number_that_is_left_out_is_missed_once() {
        let mut track = Track::new(true);
        let lane = stream(StreamTarget::Lane(0));
        let misses: Vec<_> = [7, 8, 10, 11].map(|number| track.misses(lane, number, false)).into();
        assert_eq!(misses, [false, false, true, false]);
    }

    #[test]
    fn a_heartbeat_shows_that_the_last_message_is_missing() {
        let mut track = Track::new(true);
        let lane = stream(StreamTarget::Lane(0));
        assert!(!track.misses(lane, 7, false));
        assert!(!track.misses(lane, 7, true));
        assert!(track.misses(lane, 9, true));
        assert!(!track.misses(lane, 9, true));
        assert!(!track.misses(lane, 10, false));
        assert!(!track.misses(lane, 9, true), "overtaken by the tenth");
    }

    #[test]
    fn what_is_sent_to_one_process_is_missed_from_the_first_on() {
        let one = stream(StreamTarget::One);
        assert!(!Track::new(true).misses(one, 1, false));
        assert!(Track::new(true).misses(one, 2, false));
        assert!(Track::new(true).misses(one, 1, true));
        assert!(!Track::new(false).misses(one, 5, false), "a new queue comes with a gap of its own");
    }

    #[test]
    fn a_stream_that_begins_anew_is_a_gap() {
        let mut track = Track::new(true);
        let one = stream(StreamTarget::One);
        assert!(!track.misses(one, 1, false));
        assert!(!track.misses(one, 2, false));
        assert!(track.misses(one, 1, false));
        assert!(!track.misses(one, 2, false));
    }
}
