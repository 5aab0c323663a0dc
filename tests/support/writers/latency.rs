//! How long acknowledgements took, for people who compare by eye.

use std::time::Duration;

/// How many, the median and the 99th percentile.
#[must_use]
pub fn latencies(mut acknowledged: Vec<Duration>) -> String {
    acknowledged.sort_unstable();
    let [half, most] = [50, 99].map(|percent| percentile(&acknowledged, percent));
    format!("{} acks, p50 {half:.0?}, p99 {most:.0?}", acknowledged.len())
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}
