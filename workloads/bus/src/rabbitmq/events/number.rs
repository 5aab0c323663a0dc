//! The numbers a publisher gives.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use klatch_domain::{Event, Incarnation};
use lru::LruCache;

use crate::payload::events::{self, Stream, StreamTarget};

/// Processes whose streams are counted at once. One that comes again after that many others begins anew, which its receiver
/// sees as a gap.
const MOST_ONES: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
/// For how long a stream to one process is spoken of after its last message: its loss must be seen, an idle stream costs
/// nothing.
const ONE_FOR: Duration = Duration::from_secs(10);

/// One publisher's streams.
pub(super) struct Numbers {
    from: Incarnation,
    publisher: u64,
    ones: LruCache<Incarnation, Line>,
    all: HashMap<StreamTarget, u64>,
}

struct Line {
    number: u64,
    sent_at: Instant,
}

impl Numbers {
    pub(super) fn new(from: Incarnation, publisher: u64) -> Self {
        Self { from, publisher, ones: LruCache::new(MOST_ONES), all: HashMap::new() }
    }

    fn stream(&self, to: StreamTarget) -> Stream {
        Stream { from: self.from, publisher: self.publisher, to }
    }

    /// The next message of a stream.
    pub(super) fn next(&mut self, to: StreamTarget, one: Option<Incarnation>, events: &[Event]) -> Vec<u8> {
        let number = match one {
            Some(one) => {
                let line = self.ones.get_or_insert_mut(one, || Line { number: 0, sent_at: Instant::now() });
                line.number += 1;
                line.sent_at = Instant::now();
                line.number
            }
            None => {
                let number = self.all.entry(to).or_default();
                *number += 1;
                *number
            }
        };
        events::encode(&self.stream(to), number, events)
    }

    /// What to say of every stream that may have lost its last message.
    pub(super) fn heartbeats(&mut self) -> Vec<(StreamTarget, Option<Incarnation>, Vec<u8>)> {
        let one = self.stream(StreamTarget::One);
        let spoken_of = self.ones.iter().filter(|(_, line)| line.sent_at.elapsed() < ONE_FOR);
        let ones = spoken_of.map(|(to, line)| (StreamTarget::One, Some(*to), events::encode(&one, line.number, &[])));
        let all = self.all.iter().map(|(to, number)| (*to, None, events::encode(&self.stream(*to), *number, &[])));
        ones.chain(all).collect()
    }
}
