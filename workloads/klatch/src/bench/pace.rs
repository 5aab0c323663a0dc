//! When messages are due, and which rate to try next.

/// An open loop: message `k` is due at `start + k / rate`, whatever became of those before it.
#[derive(Debug)]
pub(super) struct Pace {
    start: u64,
    nanos_each: f64,
    next: u64,
    count: u64,
}

impl Pace {
    /// `rate` messages a second for this many seconds, from `start` (nanoseconds of the generator's clock).
    pub(super) fn new(start: u64, rate: f64, seconds: f64) -> Self {
        Self { start, nanos_each: 1e9 / rate, next: 0, count: (rate * seconds).ceil().max(1.0) as u64 }
    }

    /// Number and time of the next message, if it is due at `now`.
    pub(super) fn next_due(&mut self, now: u64) -> Option<(u64, u64)> {
        let due = self.start + (self.next as f64 * self.nanos_each) as u64;
        if self.next >= self.count || due > now {
            return None;
        }
        self.next += 1;
        Some((self.next - 1, due))
    }

    /// All were due.
    pub(super) const fn is_over(&self) -> bool {
        self.next >= self.count
    }
}

/// Finds the highest rate that passes: doubles until one fails, then halves the distance (by ratio) a few times.
#[derive(Debug)]
pub(super) struct Search {
    next: f64,
    passed: Option<f64>,
    failed: Option<f64>,
    refinements: u32,
}

/// Steps after the first failure: the answer is within 2^(1/16), 4 %.
const REFINEMENTS: u32 = 4;
/// Rates below this are not worth a try: nothing passes.
const LOWEST_RATE: f64 = 1.0;

impl Search {
    /// Starts at this rate.
    pub(super) const fn from(rate: f64) -> Self {
        Self { next: rate, passed: None, failed: None, refinements: 0 }
    }

    /// The rate to try now; `None` when the answer is known.
    pub(super) fn rate(&self) -> Option<f64> {
        let refined = self.passed.is_some() && self.failed.is_some() && self.refinements >= REFINEMENTS;
        (!refined && self.next >= LOWEST_RATE).then_some(self.next)
    }

    /// How the rate tried last did.
    pub(super) fn tell(&mut self, passed: bool) {
        if self.passed.is_some() && self.failed.is_some() {
            self.refinements += 1;
        }
        if passed {
            self.passed = Some(self.next);
        } else {
            self.failed = Some(self.next);
        }
        self.next = match (self.passed, self.failed) {
            (Some(passed), Some(failed)) => (passed * failed).sqrt(),
            (Some(passed), None) => passed * 2.0,
            (None, _) => self.next / 2.0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_whatever_became_of_those_before() {
        let mut pace = Pace::new(1_000, 1_000.0, 0.003);
        assert_eq!(pace.next_due(999), None);
        assert_eq!(pace.next_due(1_000), Some((0, 1_000)));
        assert_eq!(pace.next_due(1_000), None);
        // A generator that overslept sends both, each from its own time.
        assert_eq!(pace.next_due(9_000_000), Some((1, 1_001_000)));
        assert_eq!(pace.next_due(9_000_000), Some((2, 2_001_000)));
        assert!(pace.is_over() && pace.next_due(u64::MAX).is_none());
    }

    #[test]
    fn the_highest_passing_rate_is_found() {
        for limit in [7.0, 1_000.0, 123_456.0] {
            let (mut search, mut best, mut steps) = (Search::from(500.0), 0.0_f64, 0);
            while let Some(rate) = search.rate() {
                let passed = rate <= limit;
                if passed {
                    best = best.max(rate);
                }
                search.tell(passed);
                steps += 1;
            }
            assert!(best <= limit && best > limit * 0.95, "{best} of {limit}");
            assert!(steps < 20);
        }
        let mut hopeless = Search::from(500.0);
        while hopeless.rate().is_some() {
            hopeless.tell(false);
        }
    }
}
