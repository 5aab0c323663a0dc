//! What waits for one subscriber of events: bounded, in order, with a mark wherever something was lost.

use std::collections::VecDeque;

use klatch_domain::Event;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Received;

/// Events handed out at once, unless one message carried more: a receiver comes back to its other work in about a
/// millisecond.
const RECEIVE_EVENTS: usize = 1_024;

/// One subscriber's queue. Whoever fills it never waits: what does not fit leaves a gap.
pub(crate) struct EventQueue {
    most_events: usize,
    most_bytes: usize,
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

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// They wait.
    Kept,
    /// They did not fit; this began a gap, or belongs to the one before it.
    Dropped {
        /// It began one.
        new_gap: bool,
    },
    /// Nobody receives any more.
    Closed,
}

/// Nothing will come any more.
pub(crate) struct Closed;

impl EventQueue {
    pub(crate) fn new(most_events: usize, most_bytes: usize) -> Self {
        Self { most_events, most_bytes, wake: Notify::new(), state: Mutex::default() }
    }

    /// Lets `put` add its `count` events, of `bytes`, or drops them, all or none.
    pub(crate) fn put(&self, count: usize, bytes: usize, put: impl FnOnce(&mut Vec<Event>)) -> Put {
        let (was_empty, outcome) = {
            let mut state = self.state.lock();
            if state.closed {
                return Put::Closed;
            }
            let was_empty = state.parts.is_empty();
            if state.events + count > self.most_events || state.bytes + bytes > self.most_bytes {
                (was_empty, Put::Dropped { new_gap: state.mark() })
            } else {
                state.append(count, bytes, put);
                (was_empty, Put::Kept)
            }
        };
        if was_empty {
            self.wake.notify_one();
        }
        outcome
    }

    /// Something was lost here. Whether that began a gap: losses in a row are one.
    pub(crate) fn gap(&self) -> bool {
        let (was_empty, new) = {
            let mut state = self.state.lock();
            let was_empty = state.parts.is_empty();
            (was_empty, !state.closed && state.mark())
        };
        if was_empty {
            self.wake.notify_one();
        }
        new
    }

    /// What comes next, if it is there.
    pub(crate) fn next(&self) -> Result<Option<Received>, Closed> {
        let mut state = self.state.lock();
        match state.parts.pop_front() {
            Some(Part::Events(events, bytes)) => {
                state.events -= events.len();
                state.bytes -= bytes;
                Ok(Some(Received::Events(events)))
            }
            Some(Part::Gap) => Ok(Some(Received::Gap)),
            None if state.closed => Err(Closed),
            None => Ok(None),
        }
    }

    /// Something may have come. Cancel safe: a wake between looking and waiting is kept.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// What waits is still handed out, then the end.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    /// Events that wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().events
    }
}

impl State {
    fn mark(&mut self) -> bool {
        let new = !matches!(self.parts.back(), Some(Part::Gap));
        if new {
            self.parts.push_back(Part::Gap);
        }
        new
    }

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
