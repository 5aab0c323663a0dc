//! What the Redis twin counts. Names and meanings stand at [`connect`](super::connect).

use prometheus::{
    Error, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Upper bounds of `klatch_redis_call_seconds`: from a loopback answer to the response timeout and beyond.
const SECONDS: &[f64] = &[0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

#[derive(Clone)]
pub(super) struct Metrics {
    pub(super) up: IntGaugeVec,
    calls: HistogramVec,
    failed: IntCounterVec,
    pub(super) live: IntGauge,
    pub(super) registry_lost: IntCounter,
    pub(super) recent_unreadable: IntCounter,
    pub(super) signals_queued: IntGauge,
    signals_dropped: IntCounterVec,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let metrics = Self {
            up: IntGaugeVec::new(Opts::new("klatch_redis_up", "Whether a link to Redis is open"), &["link"])?,
            calls: HistogramVec::new(
                HistogramOpts::new("klatch_redis_call_seconds", "Time until Redis answered, by call")
                    .buckets(SECONDS.to_vec()),
                &["call"],
            )?,
            failed: IntCounterVec::new(
                Opts::new("klatch_redis_failed_total", "Calls without an answer, by call"),
                &["call"],
            )?,
            live: IntGauge::new("klatch_redis_presence_gateways", "Gateways that hold a lease, as read last")?,
            registry_lost: IntCounter::new(
                "klatch_redis_presence_lost_total",
                "Leases, or pieces of the registry, that a gateway found gone",
            )?,
            recent_unreadable: IntCounter::new(
                "klatch_redis_recent_unreadable_total",
                "Recent entries that cannot be read",
            )?,
            signals_queued: IntGauge::new("klatch_redis_signals_queued", "Signals waiting, over all subscribers")?,
            signals_dropped: IntCounterVec::new(
                Opts::new("klatch_redis_signals_dropped_total", "Signals dropped, by where"),
                &["where"],
            )?,
        };
        registry.register(Box::new(metrics.up.clone()))?;
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.failed.clone()))?;
        registry.register(Box::new(metrics.live.clone()))?;
        registry.register(Box::new(metrics.registry_lost.clone()))?;
        registry.register(Box::new(metrics.recent_unreadable.clone()))?;
        registry.register(Box::new(metrics.signals_queued.clone()))?;
        registry.register(Box::new(metrics.signals_dropped.clone()))?;
        Ok(metrics)
    }

    pub(super) fn call(&self, call: &str) -> Call {
        Call { seconds: self.calls.with_label_values(&[call]), failed: self.failed.with_label_values(&[call]) }
    }

    pub(super) fn dropped(&self, place: &str) -> IntCounter {
        self.signals_dropped.with_label_values(&[place])
    }
}

/// Metrics of one kind of call.
pub(super) struct Call {
    seconds: prometheus::Histogram,
    failed: IntCounter,
}

impl Call {
    /// Waits for an answer and counts it.
    pub(super) async fn watch<T, E>(&self, answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let asked = tokio::time::Instant::now();
        let answer = answer.await;
        match &answer {
            Ok(_) => self.seconds.observe(asked.elapsed().as_secs_f64()),
            Err(_) => self.failed.inc(),
        }
        answer
    }
}
