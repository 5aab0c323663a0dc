//! Latencies from the time something was due, and what a run of them came to.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency told apart, microseconds: a minute.
const LONGEST_MICROS: u64 = 60_000_000;

/// Latencies in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

/// A run of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
}

impl Latencies {
    /// Two significant digits: 1 % is far below what differs from run to run.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_MICROS, 2)?))
    }

    /// Counts `count` events that took this long.
    pub(super) fn record(&mut self, nanos: u64, count: u64) {
        let micros = (nanos / 1_000).clamp(1, LONGEST_MICROS);
        // The value was clamped to the histogram's bounds.
        let _ = self.0.record_n(micros, count);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What it came to.
    pub(super) fn summary(&self) -> Summary {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        if self.0.is_empty() {
            return Summary::default();
        }
        Summary {
            count: self.0.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: at(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_events() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(1_000_000, 98);
        latencies.record(50_000_000, 2);
        let summary = latencies.summary();
        assert_eq!(summary.count, 100);
        assert!((summary.p50_ms - 1.0).abs() < 0.02 && (summary.p99_ms - 50.0).abs() < 0.5, "{summary:?}");
        latencies.clear();
        assert_eq!(latencies.summary(), Summary::default());
    }
}
