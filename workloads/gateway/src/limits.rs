//! Rate limits: the generic cell rate algorithm (ITU-T I.371), one word of state for each who is limited.

use std::sync::atomic::{AtomicU64, Ordering};

const MICROS_PER_SECOND: u64 = 1_000_000;

/// How often something may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Microseconds that one event costs.
    cost: u64,
    /// Microseconds that may be owed at once: the burst.
    credit: u64,
}

/// When the next event would come if all came evenly, microseconds of the gateway's timer. 0: at rest.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Pace {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let cost = MICROS_PER_SECOND / u64::from(per_second.max(1));
        Self { cost, credit: cost * u64::from(burst.max(1)) }
    }

    /// Once in so many seconds, and `burst` at once.
    pub(crate) fn slow(seconds: u64, burst: u64) -> Self {
        let cost = MICROS_PER_SECOND * seconds.max(1);
        Self { cost, credit: cost * burst.max(1) }
    }

    /// Lets one event pass, or says how many microseconds to wait.
    pub(crate) fn check(self, cell: &Cell, now_micros: u64) -> Result<(), u64> {
        let mut wait = 0;
        let passed = cell.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
            let due = due.max(now_micros) + self.cost;
            wait = due.saturating_sub(now_micros).saturating_sub(self.credit);
            (wait == 0).then_some(due)
        });
        passed.map(drop).map_err(|_| wait)
    }
}

impl Cell {
    /// Nothing is remembered any more: forgetting the cell changes nothing.
    pub(crate) fn at_rest(&self, now_micros: u64) -> bool {
        self.0.load(Ordering::Relaxed) <= now_micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_pace_holds() {
        let (pace, cell) = (Pace::new(50, 500), Cell::default());
        let now = 7_000_000;
        assert_eq!((0..500).filter(|_| pace.check(&cell, now).is_ok()).count(), 500);
        assert_eq!(pace.check(&cell, now), Err(20_000));
        assert!(pace.check(&cell, now + 20_000).is_ok());
        assert_eq!(pace.check(&cell, now + 20_000), Err(20_000));
        assert!(!cell.at_rest(now + 9_000_000));
        assert!(cell.at_rest(now + 10_020_000));
    }
}
