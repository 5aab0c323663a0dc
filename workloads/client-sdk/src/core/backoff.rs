//! How long to wait before the next try: full jitter, so that a thousand clients cut off together do not come back together.

use rand::{RngExt, rngs::Xoshiro256PlusPlus};

/// Ceiling of the first wait, milliseconds (wire contract).
const FIRST_MS: u64 = 500;
/// Ceiling no wait exceeds, milliseconds (wire contract).
const MOST_MS: u64 = 30_000;
/// Doublings after which the ceiling is reached; more would overflow the shift.
const DOUBLINGS: u32 = 6;

/// A row of waits, each drawn evenly from nothing to a ceiling that doubles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait, milliseconds.
    pub(crate) fn next(&mut self, random: &mut Xoshiro256PlusPlus) -> u64 {
        let ceiling = (FIRST_MS << self.tries.min(DOUBLINGS)).min(MOST_MS);
        self.tries = self.tries.saturating_add(1);
        random.random_range(0..=ceiling)
    }

    /// The server's hint if it gave one, else the next wait.
    pub(crate) fn next_or(&mut self, hint: Option<u64>, random: &mut Xoshiro256PlusPlus) -> u64 {
        match hint {
            Some(wait) => {
                self.tries = self.tries.saturating_add(1);
                wait
            }
            None => self.next(random),
        }
    }

    /// It worked: the next wait is a first one.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn ceilings(draws: usize) -> Vec<u64> {
        let mut most = vec![0; 10];
        for seed in 0..draws {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed as u64);
            let mut backoff = Backoff::default();
            for slot in &mut most {
                *slot = (*slot).max(backoff.next(&mut random));
            }
        }
        most
    }

    #[test]
    fn waits_fill_a_ceiling_that_doubles_from_half_a_second_to_thirty() {
        let want = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000];
        for (got, want) in ceilings(2_000).into_iter().zip(want) {
            assert!(got <= want && got > want * 95 / 100, "{got} of {want}");
        }
    }

    #[test]
    fn a_hint_wins_and_still_counts_as_a_try() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next_or(Some(12_345), &mut random), 12_345);
        assert_eq!(backoff.tries, 1);
        backoff.reset();
        assert!(backoff.next(&mut random) <= FIRST_MS);
    }
}
