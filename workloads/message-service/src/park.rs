//! A track whose shard is unavailable: its commands wait in order, unacknowledged, and the gateways are told.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// The gateways are told this often while it lasts.
const TELL_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Park {
    pub(crate) since: Instant,
    pub(crate) next_try: Instant,
    backoff: Backoff,
    told_at: Option<Instant>,
}

impl Park {
    pub(crate) fn new(now: Instant) -> Self {
        let mut backoff = Backoff::new();
        Self { since: now, next_try: now + backoff.next(), backoff, told_at: None }
    }

    /// Another try failed.
    pub(crate) fn again(&mut self, now: Instant) {
        self.next_try = now + self.backoff.next();
    }

    /// Whether it is time to tell the gateways; if so, they count as told.
    pub(crate) fn tell(&mut self, now: Instant, busy_after: Duration) -> bool {
        if now < self.tells_at(busy_after) {
            return false;
        }
        self.told_at = Some(now);
        true
    }

    pub(crate) fn tells_at(&self, busy_after: Duration) -> Instant {
        self.told_at.map_or(self.since + busy_after, |told| told + TELL_EVERY)
    }

    pub(crate) fn was_told(&self) -> bool {
        self.told_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_rarer_and_the_gateways_hear_each_second() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut park = Park::new(start);
        assert_eq!(park.next_try, start + ms(100));
        for (tries, pause) in [200, 400, 800, 1_600, 2_000, 2_000].into_iter().enumerate() {
            park.again(start);
            assert_eq!(park.next_try, start + ms(pause), "try {tries}");
        }
        assert!(!park.tell(start + ms(999), ms(1_000)) && !park.was_told());
        assert!(park.tell(start + ms(1_000), ms(1_000)) && park.was_told());
        assert!(!park.tell(start + ms(1_999), ms(1_000)));
        assert!(park.tell(start + ms(2_000), ms(1_000)));
    }
}
