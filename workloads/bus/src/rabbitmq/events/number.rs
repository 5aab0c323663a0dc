//! The numbers a publisher gives, and how far the broker has confirmed them.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use klatch_domain::{Event, Incarnation};
use lru::LruCache;
use prometheus::IntCounter;
use tokio::sync::watch;

use crate::{
    Receipt,
    payload::events::{self, Stream, StreamTarget},
};

/// Processes whose streams are counted at once. One that comes again after that many others begins anew, which its receiver
/// sees as a gap.
const MOST_ONES: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
/// How often a stream to one process is spoken of after its last confirmed message, once a second: its loss must be seen, an
/// idle stream costs nothing. Counted and not timed: a process that was frozen for a minute must still say what it had sent
/// before.
const ONE_BEATS: u32 = 15;

/// One publisher's streams.
pub(super) struct Numbers {
    from: Incarnation,
    publisher: u64,
    /// Processes that were not there any more.
    absent: IntCounter,
    ones: LruCache<Incarnation, One>,
    all: HashMap<StreamTarget, Line>,
}

/// One stream.
#[derive(Default)]
struct Line {
    number: u64,
    known: Arc<Known>,
}

/// What the broker has let know of a stream.
#[derive(Default)]
struct Known {
    /// It holds this number, or a later one: whoever receives that one sees what is missing before it.
    confirmed: watch::Sender<u64>,
    /// The last heartbeat found nobody there.
    absent: AtomicBool,
}

#[derive(Default)]
struct One {
    line: Line,
    /// How often it is still spoken of.
    beats: u32,
}

/// What the broker's confirm of a message proves.
#[derive(Clone)]
pub(super) struct Claim {
    number: u64,
    known: Arc<Known>,
    /// Of a heartbeat to one process: counts those who were not there. Heartbeats alone ask, and messages never: lapin writes
    /// what the broker returns into its log, where the words of people must not stand.
    absent: Option<IntCounter>,
}

/// A message on its way.
pub(super) struct Numbered {
    pub(super) to: StreamTarget,
    pub(super) one: Option<Incarnation>,
    pub(super) body: Vec<u8>,
    pub(super) claim: Claim,
}

impl Line {
    fn claim(&self, absent: Option<&IntCounter>) -> Claim {
        Claim { number: self.number, known: Arc::clone(&self.known), absent: absent.cloned() }
    }

    fn is_confirmed(&self) -> bool {
        *self.known.confirmed.borrow() >= self.number
    }

    fn is_absent(&self) -> bool {
        self.known.absent.load(Ordering::Relaxed)
    }
}

impl Claim {
    /// Whether the broker is to return the message when nobody receives it.
    pub(super) fn asks_who_is_there(&self) -> bool {
        self.absent.is_some()
    }

    /// The broker has confirmed the message; `returned`: and nobody receives it.
    pub(super) fn prove(&self, returned: bool) {
        if returned && let Some(absent) = &self.absent {
            absent.inc();
            self.known.absent.store(true, Ordering::Relaxed);
        }
        self.known.confirmed.send_if_modified(|confirmed| {
            let more = *confirmed < self.number;
            *confirmed = self.number.max(*confirmed);
            more
        });
    }

    async fn proven(self) {
        // Never closed: the sender is held here.
        let _ = self.known.confirmed.subscribe().wait_for(|confirmed| *confirmed >= self.number).await;
    }
}

/// Of these messages, or of later ones of the same streams.
pub(super) fn receipt(claims: Vec<Claim>) -> Receipt {
    Receipt::when(async {
        for claim in claims {
            claim.proven().await;
        }
    })
}

impl Numbers {
    pub(super) fn new(from: Incarnation, publisher: u64, absent: IntCounter) -> Self {
        Self { from, publisher, absent, ones: LruCache::new(MOST_ONES), all: HashMap::new() }
    }

    /// The next message of a stream.
    pub(super) fn next(&mut self, to: StreamTarget, one: Option<Incarnation>, events: &[Event]) -> Numbered {
        let stream = Stream { from: self.from, publisher: self.publisher, to };
        let line = match one {
            Some(one) => {
                let one = self.ones.get_or_insert_mut(one, One::default);
                one.beats = ONE_BEATS;
                one.line.known.absent.store(false, Ordering::Relaxed);
                &mut one.line
            }
            None => self.all.entry(to).or_default(),
        };
        line.number += 1;
        Numbered { to, one, body: events::encode(&stream, line.number, events), claim: line.claim(None) }
    }

    /// What to say of every stream that may have lost its last message.
    pub(super) fn heartbeats(&mut self) -> Vec<Numbered> {
        let stream = |to| Stream { from: self.from, publisher: self.publisher, to };
        let beat = |to, one: Option<Incarnation>, line: &Line| Numbered {
            to,
            one,
            body: events::encode(&stream(to), line.number, &[]),
            claim: line.claim(one.map(|_| &self.absent)),
        };
        let mut beats: Vec<_> = self.all.iter().map(|(to, line)| beat(*to, None, line)).collect();
        for (to, one) in &mut self.ones {
            if one.line.is_confirmed() {
                let left = if one.line.is_absent() { None } else { one.beats.checked_sub(1) };
                one.beats = left.unwrap_or_default();
                if left.is_none() {
                    continue;
                }
            }
            beats.push(beat(StreamTarget::One, Some(*to), &one.line));
        }
        beats
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use klatch_domain::RoomId;

    use super::*;

    const GATEWAY: Incarnation = Incarnation::from_bytes([2; 16]);

    fn numbers() -> Numbers {
        Numbers::new(Incarnation::from_bytes([1; 16]), 1, IntCounter::new("absent", "absent").unwrap())
    }

    fn say(numbers: &mut Numbers, one: Option<Incarnation>) -> Numbered {
        let to = if one.is_some() { StreamTarget::One } else { StreamTarget::Lane(0) };
        numbers.next(to, one, &[Event::RoomDeleted { room: RoomId::from_bytes([3; 16]) }])
    }

    fn is_there(receipt: &mut Receipt) -> bool {
        pin!(receipt).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn a_receipt_waits_for_all_its_streams() {
        let mut numbers = numbers();
        let (lane, one) = (say(&mut numbers, None), say(&mut numbers, Some(GATEWAY)));
        let mut receipt = receipt(vec![lane.claim.clone(), one.claim.clone()]);
        assert!(!is_there(&mut receipt));
        one.claim.prove(false);
        assert!(!is_there(&mut receipt));
        lane.claim.prove(false);
        assert!(is_there(&mut receipt));
    }

    #[test]
    fn what_comes_later_in_a_stream_proves_what_was_lost_before_it_and_never_the_other_way_round() {
        let mut numbers = numbers();
        let (lost, next) = (say(&mut numbers, None), say(&mut numbers, None));
        let (mut of_lost, mut of_next) = (receipt(vec![lost.claim.clone()]), receipt(vec![next.claim.clone()]));
        lost.claim.prove(false);
        assert!(is_there(&mut of_lost) && !is_there(&mut of_next));
        let beats = numbers.heartbeats();
        assert_eq!(beats.len(), 1);
        beats[0].claim.prove(false);
        assert!(is_there(&mut of_next));
        // A confirm that comes late takes nothing back.
        lost.claim.prove(false);
        assert!(is_there(&mut receipt(vec![next.claim])));
    }

    #[test]
    fn a_stream_to_one_process_is_spoken_of_until_it_is_confirmed_and_some_times_after() {
        let mut numbers = numbers();
        let said = say(&mut numbers, Some(GATEWAY));
        for _ in 0..3 * ONE_BEATS {
            assert_eq!(numbers.heartbeats().len(), 1, "nothing says yet that it has left");
        }
        said.claim.prove(false);
        for _ in 0..ONE_BEATS {
            assert_eq!(numbers.heartbeats().len(), 1);
        }
        assert!(numbers.heartbeats().is_empty());
        say(&mut numbers, None);
        for _ in 0..3 * ONE_BEATS {
            assert_eq!(numbers.heartbeats().len(), 1, "what goes to many is spoken of for ever");
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_counted_once_and_spoken_of_again_when_there_is_something_to_say() {
        let mut numbers = numbers();
        let said = say(&mut numbers, Some(GATEWAY));
        assert!(!said.claim.asks_who_is_there(), "what people say is never returned into a log");
        said.claim.prove(false);
        let beats = numbers.heartbeats();
        assert!(beats[0].claim.asks_who_is_there());
        beats[0].claim.prove(true);
        assert!(numbers.heartbeats().is_empty());
        assert_eq!(numbers.absent.get(), 1);
        say(&mut numbers, Some(GATEWAY)).claim.prove(false);
        assert_eq!(numbers.heartbeats().len(), 1);
    }
}
