//! What notification-service counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets};

use crate::decide::Decision;

/// Everything notification-service shows under `/metrics`; the help texts are its documentation.
pub(crate) struct Metrics {
    pub(crate) decisions: IntCounterVec,
    pub(crate) pushed: IntCounter,
    pub(crate) repeats: IntCounter,
    pub(crate) retries: IntCounter,
    pub(crate) held: IntGauge,
    pub(crate) age_seconds: Histogram,
}

impl Metrics {
    /// # Errors
    /// When the registry holds these metrics already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let decisions = IntCounterVec::new(
            Opts::new("klatch_notifications_decisions_total", "Decisions, one a message and member, by what they were"),
            &["decision"],
        )?;
        // All there from the start: a rate begins at 0.
        Decision::ALL.iter().for_each(|decision| drop(decisions.with_label_values(&[decision.name()])));
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let held = IntGauge::new("klatch_notifications_held", "Messages that wait to be decided on")?;
        let age = HistogramOpts::new("klatch_notifications_age_seconds", "Age of a message when it is decided on")
            .buckets(exponential_buckets(0.1, 2.0, 14)?);
        let age_seconds = Histogram::with_opts(age)?;
        registry.register(Box::new(decisions.clone()))?;
        registry.register(Box::new(held.clone()))?;
        registry.register(Box::new(age_seconds.clone()))?;
        Ok(Self {
            decisions,
            pushed: counter("klatch_notifications_pushed_total", "Notifications handed to an adapter")?,
            repeats: counter("klatch_notifications_repeats_total", "Messages that came again after their decision")?,
            retries: counter(
                "klatch_notifications_retries_total",
                "Look-ups of members that failed and were repeated",
            )?,
            held,
            age_seconds,
        })
    }

    pub(crate) fn decided(&self, decision: Decision, count: u64) {
        self.decisions.with_label_values(&[decision.name()]).inc_by(count);
    }
}
