//! How fast messages may leave: the generic cell rate algorithm (ITU-T I.371) on the pace `welcome` announces.

use super::settings::BURST_SECONDS;

const MICROS: u64 = 1_000_000;

/// One leaky bucket, in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    /// Microseconds per send; 0: no limit.
    interval: u64,
    /// When the bucket will be empty.
    empty_at: u64,
}

impl Pace {
    /// The server's sustained pace; 0 is none at all.
    pub(crate) fn set(&mut self, per_second: u64) {
        self.interval = MICROS.checked_div(per_second).unwrap_or(0);
    }

    /// When the next send may leave, milliseconds; in the past: now.
    pub(crate) fn ready_at(&self) -> u64 {
        self.empty_at.saturating_sub(BURST_SECONDS * MICROS).div_ceil(1_000)
    }

    /// One left.
    pub(crate) fn sent(&mut self, now: u64) {
        self.empty_at = self.empty_at.max(now.saturating_mul(1_000)).saturating_add(self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_leaves_at_once_and_then_the_pace_holds() {
        let mut pace = Pace::default();
        pace.set(50);
        let mut sent = 0;
        for now in 10_000..20_000_u64 {
            while pace.ready_at() <= now {
                pace.sent(now);
                sent += 1;
            }
            if now == 10_000 {
                assert!((250..=251).contains(&sent), "{sent}");
            }
        }
        assert!((749..=752).contains(&sent), "250 at once and 50 a second for 10 s: {sent}");
    }

    #[test]
    fn no_pace_is_no_limit() {
        let mut pace = Pace::default();
        pace.set(0);
        for _ in 0..10_000 {
            assert!(pace.ready_at() <= 5);
            pace.sent(5);
        }
    }
}
