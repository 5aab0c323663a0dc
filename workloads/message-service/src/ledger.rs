//! What was taken from an ingest queue and is not settled: the bound of what a consumer holds, and when to acknowledge.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::item::Origin;

/// Commands taken and not settled, for each ingest queue: some seconds of work, so that a parked shard leaves room for others.
pub(crate) const TAKEN_COMMANDS: usize = 16_384;
/// Their bytes: what a small machine can spare for each of a few queues.
pub(crate) const TAKEN_BYTES: usize = 64 * 1024 * 1024;
/// Deliveries not acknowledged: below the bus's prefetch (512), so that it is this bound that is met, and seen.
pub(crate) const TAKEN_DELIVERIES: usize = 384;

/// Commands of one delivery or job.
#[derive(Debug)]
struct Open {
    left: usize,
    commands: usize,
    bytes: usize,
    done: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: HashMap<Origin, Open>,
    deliveries: usize,
    commands: usize,
    bytes: usize,
    jobs: u64,
}

impl Ledger {
    /// Whether another delivery may be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.commands < TAKEN_COMMANDS && self.bytes < TAKEN_BYTES && self.deliveries < TAKEN_DELIVERIES
    }

    /// Half of any bound is used. What comes for a parked shard from here on is sent back, so that the other half stays free
    /// for the shards that work.
    pub(crate) fn is_half_full(&self) -> bool {
        self.commands >= TAKEN_COMMANDS / 2 || self.bytes >= TAKEN_BYTES / 2 || self.deliveries >= TAKEN_DELIVERIES / 2
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn open_delivery(&mut self, tag: u64, commands: usize, bytes: usize) -> Origin {
        self.deliveries += 1;
        self.commands += commands;
        self.bytes += bytes;
        let origin = Origin::Delivery(tag);
        self.open.insert(origin, Open { left: commands, commands, bytes, done: None });
        origin
    }

    /// Jobs are taken whatever the bounds say: what they settle makes room. Their number is bounded by the commands they
    /// follow from, one at a time for each.
    pub(crate) fn open_job(&mut self, commands: usize, done: oneshot::Sender<()>) -> Origin {
        self.jobs += 1;
        let origin = Origin::Job(self.jobs);
        self.open.insert(origin, Open { left: commands, commands: 0, bytes: 0, done: Some(done) });
        origin
    }

    /// So many commands of this origin are settled; answers the delivery to acknowledge when those were the last.
    pub(crate) fn settle(&mut self, origin: Origin, count: usize) -> Option<u64> {
        let open = self.open.get_mut(&origin)?;
        open.left = open.left.saturating_sub(count);
        if open.left > 0 {
            return None;
        }
        let open = self.open.remove(&origin)?;
        self.commands -= open.commands;
        self.bytes -= open.bytes;
        match origin {
            Origin::Delivery(tag) => {
                self.deliveries -= 1;
                Some(tag)
            }
            Origin::Job(_) => {
                // The work that waited for it may be gone with an earlier life.
                let _ = open.done.map(|done| done.send(()));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_acknowledged_when_all_its_commands_are_settled() {
        let mut ledger = Ledger::default();
        let one = ledger.open_delivery(1, 3, 300);
        let other = ledger.open_delivery(2, 1, 100);
        assert_eq!(ledger.settle(one, 2), None);
        assert_eq!(ledger.settle(other, 1), Some(2));
        assert_eq!(ledger.settle(one, 1), Some(1));
        assert_eq!(ledger.settle(one, 1), None, "never twice");
        assert!(ledger.is_empty() && ledger.commands == 0 && ledger.bytes == 0 && ledger.deliveries == 0);
    }

    #[test]
    fn every_bound_stops_taking() {
        for (commands, bytes, deliveries) in [(TAKEN_COMMANDS, 1, 1), (1, TAKEN_BYTES, 1), (1, 1, TAKEN_DELIVERIES)] {
            let mut ledger = Ledger::default();
            for tag in 0..deliveries as u64 {
                assert!(ledger.has_room());
                ledger.open_delivery(tag, commands, bytes);
            }
            assert!(!ledger.has_room() && ledger.is_half_full());
        }
    }

    #[test]
    fn a_job_says_when_it_is_done_and_uses_no_room() {
        let mut ledger = Ledger::default();
        let (done, mut settled) = oneshot::channel();
        let job = ledger.open_job(2, done);
        ledger.settle(job, 1);
        assert!(settled.try_recv().is_err());
        assert_eq!(ledger.settle(job, 1), None);
        assert!(settled.try_recv().is_ok() && ledger.commands == 0);
    }
}
