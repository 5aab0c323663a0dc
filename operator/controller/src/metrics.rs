//! What the operator counts.

use std::time::Duration;

use prometheus::{Error, Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

use crate::client::{Call, Guard, Refused};

/// Counters of a process; clones share them.
#[derive(Clone)]
pub struct OperatorMetrics {
    passes: IntCounterVec,
    seconds: Histogram,
    calls: IntCounterVec,
    /// 1 while this process has the lease.
    pub leader: IntGauge,
}

impl OperatorMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let metrics = Self {
            passes: IntCounterVec::new(
                Opts::new("klatch_operator_passes_total", "Passes over a ChatCluster, by how they ended"),
                &["outcome"],
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new("klatch_operator_pass_seconds", "Duration of a pass")
                    .buckets(vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]),
            )?,
            calls: IntCounterVec::new(
                Opts::new("klatch_operator_calls_total", "Calls to the apiserver and to brokers"),
                &["verb", "kind"],
            )?,
            leader: IntGauge::new("klatch_operator_leader", "1 while this process has the lease")?,
        };
        registry.register(Box::new(metrics.passes.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.leader.clone()))?;
        Ok(metrics)
    }

    /// A pass is over.
    pub fn passed(&self, outcome: &str, duration: Duration) {
        self.passes.with_label_values(&[outcome]).inc();
        self.seconds.observe(duration.as_secs_f64());
    }
}

impl Guard for OperatorMetrics {
    fn before(&self, call: &Call) -> Result<(), Refused> {
        self.calls.with_label_values(&[call.verb.as_str(), call.kind.as_str()]).inc();
        Ok(())
    }
}
