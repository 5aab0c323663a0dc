//! What the writer counts.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, core::Collector,
    exponential_buckets,
};

/// Everything message-service shows under `/metrics`; the help texts are its documentation.
pub(crate) struct Metrics {
    pub(crate) rounds: IntCounter,
    pub(crate) batch_commands: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) accepted_to_committed_seconds: Histogram,
    pub(crate) entries: IntCounter,
    pub(crate) repeats: IntCounter,
    pub(crate) refusals: IntCounterVec,
    pub(crate) replans: IntCounterVec,
    pub(crate) parked_commands: IntGaugeVec,
    pub(crate) parked_seconds: IntGaugeVec,
    pub(crate) follow_ups: IntCounter,
    pub(crate) follow_up_retries: IntCounter,
    pub(crate) projection_retries: IntCounter,
    pub(crate) dead_letters: IntCounter,
    pub(crate) reopened: IntCounterVec,
    pub(crate) lanes: IntCounter,
    pub(crate) presence_unknown: IntCounter,
    pub(crate) watermarks_moved: IntCounter,
    pub(crate) watermarks_dropped: IntCounter,
    pub(crate) expired: IntCounter,
}

impl Metrics {
    /// # Errors
    /// When the registry holds a writer's metrics already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| keep(registry, IntCounter::new(name, help)?);
        let labelled =
            |name: &str, help: &str, label: &str| keep(registry, IntCounterVec::new(Opts::new(name, help), &[label])?);
        let gauge = |name: &str, help: &str| keep(registry, IntGaugeVec::new(Opts::new(name, help), &["queue"])?);
        // 0.1 ms to 13 s, doubling.
        let seconds = |name: &str, help: &str| {
            let buckets = exponential_buckets(0.0001, 2.0, 18)?;
            keep(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?)
        };
        let batch = HistogramOpts::new("klatch_writer_batch_commands", "Commands of one round")
            .buckets(exponential_buckets(1.0, 2.0, 12)?);
        Ok(Self {
            rounds: counter("klatch_writer_rounds_total", "Rounds: batches planned and written")?,
            batch_commands: keep(registry, Histogram::with_opts(batch)?)?,
            commit_seconds: seconds("klatch_writer_commit_seconds", "Time one append to a shard took")?,
            accepted_to_committed_seconds: seconds(
                "klatch_writer_accepted_to_committed_seconds",
                "From the moment a workload took a command until its entry was on disk",
            )?,
            entries: counter("klatch_writer_entries_total", "Entries written")?,
            repeats: counter("klatch_writer_repeats_total", "Commands that were stored already")?,
            refusals: labelled("klatch_writer_refusals_total", "Refused commands", "code")?,
            replans: labelled("klatch_writer_replans_total", "Batches planned again, by what stopped them", "reason")?,
            parked_commands: gauge(
                "klatch_writer_parked_commands",
                "Commands that wait for a shard that is unavailable",
            )?,
            parked_seconds: gauge("klatch_writer_parked_seconds", "Age of the oldest park")?,
            follow_ups: counter("klatch_writer_follow_ups_total", "Notices to inboxes that followed from commands")?,
            follow_up_retries: counter(
                "klatch_writer_follow_up_retries_total",
                "Notices an ingest queue did not take at first",
            )?,
            projection_retries: counter(
                "klatch_writer_projection_retries_total",
                "Times the directory did not take what the logs had decided",
            )?,
            dead_letters: counter(
                "klatch_writer_dead_letters_total",
                "Commands given up; the log names them: look into each",
            )?,
            reopened: labelled("klatch_writer_reopened_total", "Channels closed and opened again", "reason")?,
            lanes: counter(
                "klatch_writer_lane_events_total",
                "Events that went to a room's lane instead of to single gateways",
            )?,
            presence_unknown: counter(
                "klatch_writer_presence_unknown_total",
                "Fan-outs by lane as presence could not say",
            )?,
            watermarks_moved: counter("klatch_writer_watermarks_moved_total", "Watermarks moved")?,
            watermarks_dropped: counter(
                "klatch_writer_watermarks_dropped_total",
                "Watermark moves dropped at their bound",
            )?,
            expired: counter("klatch_writer_expired_total", "Entries emptied as their time had passed")?,
        })
    }
}

fn keep<T: Collector + Clone + 'static>(registry: &Registry, metric: T) -> Result<T, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
