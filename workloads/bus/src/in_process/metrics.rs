//! What the embedded bus counts. Names and meanings stand at [`bus`](super::bus).

use prometheus::{Error, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// All metrics of one bus; each part takes out its own once, so that counting is one atomic addition.
pub(super) struct BusMetrics {
    ingest_commands: IntGaugeVec,
    ingest_bytes: IntGaugeVec,
    ingest_refused: IntCounterVec,
    ingest_redelivered: IntCounterVec,
    queued: IntGaugeVec,
    dropped: IntCounterVec,
    pub(super) unknown_target: IntCounter,
    pub(super) gaps: IntCounter,
    pub(super) presence_gateways: IntGauge,
    pub(super) presence_users: IntGauge,
}

/// Metrics of one ingest queue.
pub(super) struct IngestMetrics {
    pub(super) commands: IntGauge,
    pub(super) bytes: IntGauge,
    pub(super) refused: IntCounter,
    pub(super) redelivered: IntCounter,
}

/// Metrics of the queues of one kind.
pub(super) struct QueueMetrics {
    pub(super) queued: IntGauge,
    pub(super) dropped: IntCounter,
}

impl BusMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let label = ["queue"];
        let metrics = Self {
            ingest_commands: IntGaugeVec::new(
                Opts::new("klatch_bus_ingest_commands", "Commands waiting or not yet acknowledged"),
                &label,
            )?,
            ingest_bytes: IntGaugeVec::new(
                Opts::new("klatch_bus_ingest_bytes", "Their size in bytes, estimated"),
                &label,
            )?,
            ingest_refused: IntCounterVec::new(
                Opts::new("klatch_bus_ingest_refused_commands_total", "Commands refused as the queue was full"),
                &label,
            )?,
            ingest_redelivered: IntCounterVec::new(
                Opts::new("klatch_bus_ingest_redelivered_total", "Deliveries that came back from a consumer"),
                &label,
            )?,
            queued: IntGaugeVec::new(Opts::new("klatch_bus_queued", "Waiting, over all subscribers"), &label)?,
            dropped: IntCounterVec::new(
                Opts::new("klatch_bus_dropped_total", "Dropped as a queue was full, each for one subscriber"),
                &label,
            )?,
            unknown_target: IntCounter::new(
                "klatch_bus_unknown_target_events_total",
                "Events to a process that has not subscribed",
            )?,
            gaps: IntCounter::new("klatch_bus_gaps_total", "Gaps that subscribers were told of")?,
            presence_gateways: IntGauge::new("klatch_bus_presence_gateways", "Gateways that hold a lease")?,
            presence_users: IntGauge::new("klatch_bus_presence_users", "Users connected to any gateway")?,
        };
        metrics.register_all(registry)?;
        Ok(metrics)
    }

    fn register_all(&self, registry: &Registry) -> Result<(), Error> {
        registry.register(Box::new(self.ingest_commands.clone()))?;
        registry.register(Box::new(self.ingest_bytes.clone()))?;
        registry.register(Box::new(self.ingest_refused.clone()))?;
        registry.register(Box::new(self.ingest_redelivered.clone()))?;
        registry.register(Box::new(self.queued.clone()))?;
        registry.register(Box::new(self.dropped.clone()))?;
        registry.register(Box::new(self.unknown_target.clone()))?;
        registry.register(Box::new(self.gaps.clone()))?;
        registry.register(Box::new(self.presence_gateways.clone()))?;
        registry.register(Box::new(self.presence_users.clone()))
    }

    pub(super) fn ingest(&self, queue: u16) -> Result<IngestMetrics, Error> {
        let queue = queue.to_string();
        let label = [queue.as_str()];
        Ok(IngestMetrics {
            commands: self.ingest_commands.get_metric_with_label_values(&label)?,
            bytes: self.ingest_bytes.get_metric_with_label_values(&label)?,
            refused: self.ingest_refused.get_metric_with_label_values(&label)?,
            redelivered: self.ingest_redelivered.get_metric_with_label_values(&label)?,
        })
    }

    pub(super) fn queue(&self, kind: &str) -> Result<QueueMetrics, Error> {
        Ok(QueueMetrics {
            queued: self.queued.get_metric_with_label_values(&[kind])?,
            dropped: self.dropped.get_metric_with_label_values(&[kind])?,
        })
    }
}

/// A number of things as a gauge takes it.
pub(super) fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A number of things as a counter takes it.
pub(super) fn counter(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
