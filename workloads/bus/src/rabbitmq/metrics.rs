//! What the RabbitMQ twin counts. Names and meanings stand at [`connect`](super::connect).

use prometheus::{Error, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// All metrics of one twin.
pub(super) struct Metrics {
    /// Messages that wait at the broker.
    pub(super) waiting: IntGaugeVec,
    /// Milliseconds since what came last was handed to the bus.
    pub(super) age: IntGaugeVec,
    pub(super) refused: IntCounterVec,
    pub(super) unknown: IntCounterVec,
    pub(super) redelivered: IntCounterVec,
    pub(super) ownership_lost: IntCounterVec,
    pub(super) dropped: IntCounterVec,
    pub(super) queued: IntGaugeVec,
    pub(super) received: IntCounter,
    pub(super) unsent: IntCounter,
    pub(super) absent: IntCounter,
    pub(super) gaps: IntCounter,
    pub(super) unreadable: IntCounterVec,
    pub(super) reconnects: IntCounter,
}

impl Metrics {
    pub(super) fn unregistered() -> Result<Self, Error> {
        let queue = ["queue"];
        let counters = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &queue);
        let gauges = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &queue);
        Ok(Self {
            waiting: gauges("klatch_rabbitmq_waiting_messages", "Messages that wait at the broker")?,
            age: gauges("klatch_rabbitmq_age_milliseconds", "How old what was received last was")?,
            refused: counters("klatch_rabbitmq_refused_total", "Entries of batches refused as the queue was full")?,
            unknown: counters("klatch_rabbitmq_unknown_total", "Publishes without a confirm: perhaps taken")?,
            redelivered: counters("klatch_rabbitmq_redelivered_total", "Deliveries that had been handed out before")?,
            ownership_lost: counters("klatch_rabbitmq_ownership_lost_total", "Channels lost while consuming")?,
            dropped: counters("klatch_rabbitmq_dropped_total", "Dropped: the queue was full, or there was no broker")?,
            queued: gauges("klatch_rabbitmq_queued", "Waiting inside this process")?,
            received: IntCounter::new("klatch_rabbitmq_received_events_total", "Events that reached subscribers here")?,
            unsent: IntCounter::new("klatch_rabbitmq_unsent_events_total", "Events not sent: there was no broker")?,
            absent: IntCounter::new(
                "klatch_rabbitmq_absent_total",
                "Processes that were gone when something had been sent to them",
            )?,
            gaps: IntCounter::new("klatch_rabbitmq_gaps_total", "Gaps that subscribers were told of")?,
            unreadable: counters("klatch_rabbitmq_unreadable_total", "What this version could not read")?,
            reconnects: IntCounter::new("klatch_rabbitmq_reconnects_total", "Connections made again")?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), Error> {
        for gauges in [&self.waiting, &self.age, &self.queued] {
            registry.register(Box::new(gauges.clone()))?;
        }
        for counters in
            [&self.refused, &self.unknown, &self.redelivered, &self.ownership_lost, &self.dropped, &self.unreadable]
        {
            registry.register(Box::new(counters.clone()))?;
        }
        for counter in [&self.received, &self.unsent, &self.absent, &self.gaps, &self.reconnects] {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(())
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
