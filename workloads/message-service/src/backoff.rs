//! Pauses between tries.

use std::time::Duration;

/// The first pause: a lock or a restart of a few milliseconds passes unseen.
const FIRST: Duration = Duration::from_millis(100);
/// The longest: how late a recovery may be noticed.
const LONGEST: Duration = Duration::from_secs(2);

/// Doubles from [`FIRST`] to [`LONGEST`].
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(FIRST)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }
}
