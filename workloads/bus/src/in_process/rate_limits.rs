//! Rate limits in memory, for all gateways and apis of one process.

use std::{num::NonZeroUsize, time::Duration};

use async_trait::async_trait;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{MonotonicClock, Options};
use crate::{Limited, RateLimits, RatesUnknown, Take, rate_limits::Act};

/// What is counted at a time; the one unseen for longest is forgotten. Some 100 bytes each.
const COUNTED: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

pub(super) struct InProcessRateLimits {
    monotonic: MonotonicClock,
    began: Instant,
    /// Until when everything is paid for, microseconds since the beginning.
    paid_until: Mutex<LruCache<Limited, u64>>,
}

impl InProcessRateLimits {
    pub(super) fn new(options: &Options) -> Self {
        let began = (options.monotonic)();
        // A bound given at once would be allocated at once.
        Self { monotonic: options.monotonic.clone(), began, paid_until: Mutex::new(LruCache::unbounded()) }
    }

    fn apply(&self, act: Act, takes: &[Take]) -> Vec<Duration> {
        let now = (self.monotonic)().saturating_duration_since(self.began);
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX / 2);
        let mut paid_until = self.paid_until.lock();
        let apply = |take: &Take| {
            let paid = paid_until.get(&take.limited).copied().unwrap_or(0);
            let (paid, wait) = take.rate.apply(act, take.units, paid, now);
            paid_until.put(take.limited.clone(), paid);
            if paid_until.len() > COUNTED.get() {
                paid_until.pop_lru();
            }
            Duration::from_micros(wait)
        };
        takes.iter().map(apply).collect()
    }
}

#[async_trait]
impl RateLimits for InProcessRateLimits {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Duration>, RatesUnknown> {
        Ok(self.apply(Act::Take, takes))
    }

    async fn charge(&self, takes: &[Take]) -> Result<Vec<Duration>, RatesUnknown> {
        Ok(self.apply(Act::Charge, takes))
    }

    async fn give_back(&self, takes: &[Take]) -> Result<(), RatesUnknown> {
        self.apply(Act::GiveBack, takes);
        Ok(())
    }
}
