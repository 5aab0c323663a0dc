//! What was taken from an ingest queue and is not settled: the bound of what a consumer holds, and when to acknowledge.

use std::collections::HashMap;

use crate::item::Origin;

/// Commands taken and not settled, for each ingest queue: some seconds of work, so that a parked shard leaves room for others.
pub(crate) const TAKEN_COMMANDS: usize = 16_384;
/// Their bytes: what a small machine can spare for each of a few queues.
pub(crate) const TAKEN_BYTES: usize = 64 * 1024 * 1024;
/// Deliveries not acknowledged: below the bus's prefetch (512), so that it is this bound that is met, and seen.
pub(crate) const TAKEN_DELIVERIES: usize = 384;

/// Commands of one delivery.
#[derive(Debug)]
struct Open {
    left: usize,
    commands: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: HashMap<Origin, Open>,
    deliveries: usize,
    commands: usize,
    bytes: usize,
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
        let origin = Origin(tag);
        self.open.insert(origin, Open { left: commands, commands, bytes });
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
        self.deliveries -= 1;
        Some(origin.0)
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
}
