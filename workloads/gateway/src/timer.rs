//! Time that passes: never goes back, whatever happens to the clock.

use std::time::Instant;

/// Counts from when the gateway started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer(Instant);

impl Timer {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn millis(self) -> u64 {
        // 580 million years fit.
        self.0.elapsed().as_millis() as u64
    }

    pub(crate) fn micros(self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}
