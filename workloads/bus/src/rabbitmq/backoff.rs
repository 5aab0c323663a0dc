//! How long to wait before trying a broker again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// A broker that restarts is there again within seconds; trying every few of them costs it nothing.
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from a tenth of a second to five.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    pub(super) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST);
        now
    }
}
