//! The numbers a publisher gives.

use std::{collections::HashMap, num::NonZeroUsize};

use klatch_domain::{Event, Incarnation};
use lru::LruCache;

use crate::payload::events::{self, Stream, StreamTarget};

/// Processes whose streams are counted at once. One that comes again after that many others begins anew, which its receiver
/// sees as a gap.
const MOST_ONES: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
/// How often a stream to one process is spoken of after its last message, once a second: its loss must be seen, an idle stream
/// costs nothing. Counted and not timed: a process that was frozen for a minute must still say what it had sent before.
const ONE_BEATS: u32 = 15;

/// One publisher's streams.
pub(super) struct Numbers {
    from: Incarnation,
    publisher: u64,
    ones: LruCache<Incarnation, Line>,
    all: HashMap<StreamTarget, u64>,
}

struct Line {
    number: u64,
    /// How often it is still spoken of.
    beats: u32,
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
                let line = self.ones.get_or_insert_mut(one, || Line { number: 0, beats: 0 });
                line.number += 1;
                line.beats = ONE_BEATS;
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
        let all = self.all.iter().map(|(to, number)| (*to, None, events::encode(&self.stream(*to), *number, &[])));
        let mut beats: Vec<_> = all.collect();
        let ones = self.ones.iter_mut().filter_map(|(to, line)| {
            line.beats = line.beats.checked_sub(1)?;
            Some((StreamTarget::One, Some(*to), events::encode(&one, line.number, &[])))
        });
        beats.extend(ones);
        beats
    }
}
