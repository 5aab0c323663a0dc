//! Rate limits, counted per user or address in bounded memory.

use std::{hash::Hash, num::NonZeroUsize};

use lru::LruCache;
use parking_lot::Mutex;

/// Users or addresses that are counted at a time; the one unseen for longest is forgotten. Some 100 bytes each.
const COUNTED: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// A generic cell rate algorithm (ITU-T I.371): a steady rate with a burst, one number a key.
pub(crate) struct Rates<K> {
    /// Microseconds that one unit takes.
    unit: u64,
    /// Microseconds that may be used ahead.
    burst: u64,
    /// When each key's last unit is paid for, microseconds since 1970. `None`: no limits.
    paid_until: Option<Mutex<LruCache<K, u64>>>,
}

impl<K: Hash + Eq> Rates<K> {
    /// `units` in `seconds`, all of them at once if they come so.
    pub(crate) fn new(enabled: bool, units: u32, seconds: u32) -> Self {
        let period = u64::from(seconds) * 1_000_000;
        let unit = period / u64::from(units.max(1));
        Self { unit, burst: period, paid_until: enabled.then(|| Mutex::new(LruCache::new(COUNTED))) }
    }

    /// Takes units for a key, or answers how many milliseconds to wait for them. A refusal takes nothing.
    pub(crate) fn take(&self, key: K, units: u32, now_micros: u64) -> Result<(), u64> {
        let Some(paid_until) = &self.paid_until else { return Ok(()) };
        let mut paid_until = paid_until.lock();
        // A clock that was set back must not make anybody wait for longer than the whole burst.
        let paid = paid_until.get(&key).copied().unwrap_or(0).clamp(now_micros, now_micros + self.burst);
        // More than a whole burst at once is let pass when nothing else was used.
        let cost = (self.unit * u64::from(units)).min(self.burst);
        let next = paid + cost;
        if next > now_micros + self.burst {
            paid_until.put(key, paid);
            return Err((next - now_micros - self.burst).div_ceil(1_000));
        }
        paid_until.put(key, next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000;

    #[test]
    fn a_burst_then_the_rate() {
        let rates = Rates::new(true, 10, 1);
        for _ in 0..10 {
            rates.take("a", 1, NOW).unwrap();
        }
        assert_eq!(rates.take("a", 1, NOW), Err(100));
        assert_eq!(rates.take("b", 1, NOW), Ok(()));
        assert_eq!(rates.take("a", 1, NOW + 99_999), Err(1));
        assert_eq!(rates.take("a", 1, NOW + 100_000), Ok(()));
        assert_eq!(rates.take("a", 1, NOW + 100_000), Err(100));
    }

    #[test]
    fn a_clock_set_back_blocks_nobody_for_long() {
        let rates = Rates::new(true, 10, 1);
        for _ in 0..10 {
            rates.take("a", 1, NOW).unwrap();
        }
        let earlier = NOW - 3_600_000_000;
        assert_eq!(rates.take("a", 1, earlier), Err(100));
        assert_eq!(rates.take("a", 1, earlier + 100_000), Ok(()));
    }

    #[test]
    fn costly_calls_take_more_and_no_limit_is_none() {
        let rates = Rates::new(true, 10, 1);
        assert_eq!(rates.take("a", 1_000, NOW), Ok(()));
        assert_eq!(rates.take("a", 1, NOW), Err(100));
        let lifted = Rates::new(false, 1, 60);
        assert!((0..100).all(|_| lifted.take("a", 1, NOW).is_ok()));
    }
}
