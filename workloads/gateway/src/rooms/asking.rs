//! What waits for an answer about a room: entries in order, and frames of clients.

use std::{collections::VecDeque, mem::take, sync::Arc, time::Duration};

use bytes::Bytes;
use klatch_bus::{Signal, WatermarkMove};
use klatch_domain::{Seq, UserId};

use super::{CannotAsk, Delivery, Head};
use crate::connection::Connection;

/// Entries of one room that wait: a second of a busy room. Beyond it `position` says that something was missed.
const DELIVERIES: usize = 256;
/// Frames of clients that wait for one room: everyone of a large room opening it at once gets an answer.
const FRAMES: usize = 4_096;
/// Bytes that wait over all rooms: what an outage of the queries may cost.
const TOTAL_BYTES: usize = 64 * 1024 * 1024;
/// Beside its content, an entry takes about this many bytes.
const ENTRY_BYTES: usize = 512;
/// Beside a signal's line and payload, a frame takes about this many bytes.
const FRAME_BYTES: usize = 256;

/// Bytes that wait, over all rooms.
#[derive(Debug, Default)]
pub(super) struct Budget {
    bytes: usize,
}

/// A frame that waits until it is known whether its user is a member.
pub(crate) enum Waiting {
    /// `watch` of a room.
    Watch(Arc<Connection>),
    /// `signal`: for the watchers here, and for the other gateways.
    Signal {
        /// Who sent it.
        from: Arc<Connection>,
        /// The frame for the watchers, a whole line.
        line: Bytes,
        /// The same for the others.
        signal: Signal,
        /// Worthless from then on, milliseconds of the timer.
        until_ms: u64,
    },
    /// A signal from another gateway.
    Remote {
        /// Who sent it.
        user: UserId,
        /// The frame for the watchers, a whole line.
        line: Bytes,
    },
    /// `watermark`.
    Watermark(Arc<Connection>, WatermarkMove),
}

impl Waiting {
    fn bytes(&self) -> usize {
        FRAME_BYTES
            + match self {
                // The payload is held twice: in the line, and for the other gateways.
                Self::Signal { line, .. } => 2 * line.len(),
                Self::Remote { line, .. } => line.len(),
                Self::Watch(_) | Self::Watermark(..) => 0,
            }
    }

    /// Whose membership decides.
    fn user(&self) -> Option<UserId> {
        match self {
            Self::Remote { user, .. } => Some(*user),
            Self::Watch(connection) | Self::Watermark(connection, _) | Self::Signal { from: connection, .. } => {
                connection.identity().map(|identity| identity.user.id)
            }
        }
    }
}

/// Whether a frame's user is a member: `None` when no answer came.
pub(crate) type Decided = (Waiting, Option<bool>);

#[derive(Default)]
pub(super) struct Asking {
    /// Of the question that is on its way.
    round: u32,
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    /// The newest version an event named.
    needed: Seq,
    pub(super) missed: Option<Head>,
    /// With the round whose answer decides against them: it must have been asked after they came.
    waiting: Vec<(u32, Waiting)>,
    failed: bool,
}

impl Asking {
    pub(super) fn has_deliveries(&self) -> bool {
        !self.deliveries.is_empty()
    }

    /// An entry waits. Answers how many entries were dropped, this one or none.
    pub(super) fn postpone(&mut self, delivery: Delivery, budget: &mut Budget) -> usize {
        let appended = &delivery.appended;
        let bytes = ENTRY_BYTES + appended.entry.content.as_str().len();
        self.needed = self.needed.max(appended.members_version);
        if self.deliveries.len() >= DELIVERIES || budget.bytes + bytes > TOTAL_BYTES {
            self.miss((appended.entry.position, appended.entry.ordinal));
            // What comes later is delivered again only behind a position.
            return 1 + self.miss_deliveries(budget);
        }
        budget.bytes += bytes;
        self.bytes += bytes;
        self.deliveries.push_back(delivery);
        0
    }

    fn miss_deliveries(&mut self, budget: &mut Budget) -> usize {
        if let Some(last) = self.deliveries.back() {
            let head = (last.appended.entry.position, last.appended.entry.ordinal);
            self.miss(head);
        }
        self.drop_deliveries(budget)
    }

    pub(super) fn drop_deliveries(&mut self, budget: &mut Budget) -> usize {
        self.take_deliveries(budget).len()
    }

    pub(super) fn take_deliveries(&mut self, budget: &mut Budget) -> VecDeque<Delivery> {
        budget.bytes = budget.bytes.saturating_sub(take(&mut self.bytes));
        take(&mut self.deliveries)
    }

    pub(super) fn miss(&mut self, head: Head) {
        self.missed = Some(self.missed.map_or(head, |known| if known.0 < head.0 { head } else { known }));
    }

    /// A frame waits for an answer. The question on its way may have been answered before the frame came, unless it is
    /// `fresh`.
    pub(super) fn wait(&mut self, waiting: Waiting, fresh: bool, budget: &mut Budget) -> Result<(), CannotAsk> {
        if self.waiting.len() >= FRAMES || budget.bytes + waiting.bytes() > TOTAL_BYTES {
            return Err(CannotAsk);
        }
        budget.bytes += waiting.bytes();
        self.waiting.push((self.round + u32::from(!fresh), waiting));
        Ok(())
    }

    /// A `watch` that waits is taken back.
    pub(super) fn unwatch(&mut self, connection: &Connection, budget: &mut Budget) {
        self.waiting.retain(|(_, waiting)| {
            let keep = !matches!(waiting, Waiting::Watch(watcher) if watcher.id == connection.id);
            if !keep {
                budget.bytes = budget.bytes.saturating_sub(waiting.bytes());
                connection.end_asking();
            }
            keep
        });
    }

    pub(super) fn is_answered_by(&self, version: Seq) -> bool {
        version >= self.needed
    }

    /// Takes the frames this answer decides.
    pub(super) fn decide(&mut self, is_member: impl Fn(UserId) -> bool, budget: &mut Budget) -> Vec<Decided> {
        self.failed = false;
        let (mut decided, mut undecided) = (Vec::new(), Vec::new());
        for (round, waiting) in take(&mut self.waiting) {
            let member = waiting.user().is_some_and(&is_member);
            if member || round <= self.round {
                budget.bytes = budget.bytes.saturating_sub(waiting.bytes());
                decided.push((waiting, Some(member)));
            } else {
                undecided.push((round, waiting));
            }
        }
        self.waiting = undecided;
        decided
    }

    /// No answer: the entries that waited are missed.
    pub(super) fn fail(&mut self, budget: &mut Budget) -> usize {
        self.failed = true;
        self.miss_deliveries(budget)
    }

    /// Takes all frames, with one answer for all.
    pub(super) fn give_up(&mut self, member: Option<bool>, budget: &mut Budget) -> Vec<Decided> {
        let waiting = take(&mut self.waiting).into_iter();
        waiting
            .map(|(_, waiting)| {
                budget.bytes = budget.bytes.saturating_sub(waiting.bytes());
                (waiting, member)
            })
            .collect()
    }

    /// There is still something to be asked.
    pub(super) fn goes_on(&self) -> bool {
        self.missed.is_some() || !self.waiting.is_empty()
    }

    /// How long the next question waits: not at all, unless the last one failed.
    pub(super) fn next_round(&mut self, after_failure: Duration) -> Duration {
        self.round += 1;
        if self.failed { after_failure } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(byte: u8) -> Waiting {
        Waiting::Remote { user: UserId::from_bytes([byte; 16]), line: Bytes::from_static(b"{}\n") }
    }

    #[test]
    fn an_answer_decides_against_those_only_who_came_before_it_was_asked_for() {
        let (mut asking, mut budget) = (Asking::default(), Budget::default());
        asking.wait(remote(1), true, &mut budget).unwrap();
        asking.wait(remote(2), false, &mut budget).unwrap();
        asking.wait(remote(3), false, &mut budget).unwrap();
        let is_third = |user: UserId| user == UserId::from_bytes([3; 16]);
        // Whoever is a member by an early answer is one.
        let decided: Vec<_> = asking.decide(is_third, &mut budget).into_iter().map(|(_, member)| member).collect();
        assert_eq!(decided, [Some(false), Some(true)]);
        assert!(asking.goes_on());
        assert_eq!(asking.next_round(Duration::from_secs(2)), Duration::ZERO);
        assert_eq!(asking.decide(is_third, &mut budget).len(), 1);
        assert!(!asking.goes_on());
        assert_eq!(budget.bytes, 0);
        asking.fail(&mut budget);
        assert_eq!(asking.next_round(Duration::from_secs(2)), Duration::from_secs(2));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut asking, mut budget) = (Asking::default(), Budget::default());
        for _ in 0..FRAMES {
            asking.wait(remote(1), true, &mut budget).unwrap();
        }
        assert_eq!(asking.wait(remote(1), true, &mut budget), Err(CannotAsk));
        assert_eq!(asking.give_up(None, &mut budget).len(), FRAMES);
        assert_eq!(budget.bytes, 0);
        budget.bytes = TOTAL_BYTES;
        assert_eq!(asking.wait(remote(1), true, &mut budget), Err(CannotAsk));
    }
}
