//! What a gateway counts:
//!
//! - `klatch_delivery_seconds`: from when a workload took a message to when it was written to the sockets of this gateway
//! - `klatch_gateway_connections`: sockets; `klatch_gateway_users`: users connected, or limited still;
//!   `klatch_gateway_rooms`: rooms whose members are known
//! - `klatch_gateway_rooms_held`: large rooms with members here, as presence was told; `klatch_gateway_rooms_kept`: 1 while
//!   it gets the events of no others; `klatch_gateway_rooms_failed_total`: times it had to take all of them for a while
//! - `klatch_gateway_frames_in_total{type}`: frames of clients; `type="malformed"` for what is none
//! - `klatch_gateway_bytes_out_total`: bytes written to sockets
//! - `klatch_gateway_publish_commands`: commands of one publish to an ingest queue
//! - `klatch_gateway_refused_total{code}`: sends refused by the gateway itself
//! - `klatch_gateway_closed_total{code}`: connections closed by the gateway; `code="client"`: by the client;
//!   `code="gone"`: connections that broke
//! - `klatch_gateway_turned_away_total{reason}`: upgrades refused
//! - `klatch_gateway_shed_total`: connections asked to come back elsewhere, as others hold fewer
//! - `klatch_gateway_dropped_total{what}`: lossy things that did not fit: `entries` (a `position` follows), `signals_in`,
//!   `signals_out`, `signals` (beyond a connection's limit), `watermarks`, `positions` (of rooms found late to be
//!   large), `presence` (watches that could not be asked about again), `lingering` (sockets whose clients did not close
//!   their side)
//! - `klatch_gateway_gaps_total`: times that something was missed; `klatch_gateway_rooms_asked_again_total`: rooms of which
//!   nobody could say then how far their logs go, each time
//! - `klatch_gateway_queries_failed_total`, `klatch_gateway_presence_failed_total`,
//!   `klatch_gateway_rate_limits_failed_total`: questions without an answer

use klatch_domain::Code;
use klatch_protocol::ClientFrame;
use prometheus::{
    Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};

/// Seconds: the target is a p99 below 0.1.
const DELIVERY_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const PUBLISH_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Counters of frames by type, found without a look-up.
struct FramesIn {
    hello: IntCounter,
    send: IntCounter,
    watermark: IntCounter,
    signal: IntCounter,
    watch: IntCounter,
    unwatch: IntCounter,
    refresh: IntCounter,
    ping: IntCounter,
}

pub(crate) struct Metrics {
    pub(crate) delivery_seconds: Histogram,
    pub(crate) connections: IntGauge,
    pub(crate) users: IntGauge,
    pub(crate) rooms: IntGauge,
    pub(crate) rooms_held: IntGauge,
    pub(crate) rooms_kept: IntGauge,
    pub(crate) rooms_failed: IntCounter,
    pub(crate) malformed: IntCounter,
    pub(crate) bytes_out: IntCounter,
    pub(crate) publish_commands: Histogram,
    pub(crate) closed_by_client: IntCounter,
    pub(crate) gone: IntCounter,
    pub(crate) shed: IntCounter,
    pub(crate) gaps: IntCounter,
    pub(crate) rooms_asked_again: IntCounter,
    pub(crate) queries_failed: IntCounter,
    pub(crate) presence_failed: IntCounter,
    pub(crate) rate_limits_failed: IntCounter,
    frames_in: FramesIn,
    refused: IntCounterVec,
    closed: IntCounterVec,
    turned_away: IntCounterVec,
    dropped: IntCounterVec,
}

impl Metrics {
    /// # Errors
    /// When the registry holds a gateway's metrics already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &str, help: &str| keep(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| keep(registry, IntGauge::new(name, help)?);
        let counters =
            |name: &str, help: &str, label: &str| keep(registry, IntCounterVec::new(Opts::new(name, help), &[label])?);
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            keep(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
        };
        let closed = counters("klatch_gateway_closed_total", "Connections closed.", "code")?;
        let frames = counters("klatch_gateway_frames_in_total", "Frames of clients.", "type")?;
        Ok(Self {
            delivery_seconds: histogram("klatch_delivery_seconds", "From taken to written.", DELIVERY_BUCKETS)?,
            connections: gauge("klatch_gateway_connections", "Sockets.")?,
            users: gauge("klatch_gateway_users", "Users connected, or limited still.")?,
            rooms: gauge("klatch_gateway_rooms", "Rooms whose members are known.")?,
            rooms_held: gauge("klatch_gateway_rooms_held", "Large rooms with members here.")?,
            rooms_kept: gauge("klatch_gateway_rooms_kept", "1: it has said which large rooms it holds.")?,
            rooms_failed: counter("klatch_gateway_rooms_failed_total", "Times it could not say so.")?,
            malformed: frames.with_label_values(&["malformed"]),
            bytes_out: counter("klatch_gateway_bytes_out_total", "Bytes written to sockets.")?,
            publish_commands: histogram("klatch_gateway_publish_commands", "Commands of a publish.", PUBLISH_BUCKETS)?,
            closed_by_client: closed.with_label_values(&["client"]),
            gone: closed.with_label_values(&["gone"]),
            shed: counter("klatch_gateway_shed_total", "Connections asked to come back elsewhere.")?,
            gaps: counter("klatch_gateway_gaps_total", "Times that something was missed.")?,
            rooms_asked_again: counter(
                "klatch_gateway_rooms_asked_again_total",
                "Rooms without an answer after a gap.",
            )?,
            queries_failed: counter("klatch_gateway_queries_failed_total", "Questions to api without an answer.")?,
            presence_failed: counter("klatch_gateway_presence_failed_total", "Calls of presence that failed.")?,
            rate_limits_failed: counter("klatch_gateway_rate_limits_failed_total", "Sends not counted elsewhere.")?,
            frames_in: FramesIn {
                hello: frames.with_label_values(&["hello"]),
                send: frames.with_label_values(&["send"]),
                watermark: frames.with_label_values(&["watermark"]),
                signal: frames.with_label_values(&["signal"]),
                watch: frames.with_label_values(&["watch"]),
                unwatch: frames.with_label_values(&["unwatch"]),
                refresh: frames.with_label_values(&["refresh"]),
                ping: frames.with_label_values(&["ping"]),
            },
            refused: counters("klatch_gateway_refused_total", "Sends refused by the gateway.", "code")?,
            turned_away: counters("klatch_gateway_turned_away_total", "Upgrades refused.", "reason")?,
            dropped: counters("klatch_gateway_dropped_total", "Lossy things that did not fit.", "what")?,
            closed,
        })
    }

    pub(crate) fn frame_in(&self, frame: &ClientFrame) -> &IntCounter {
        let frames = &self.frames_in;
        match frame {
            ClientFrame::Hello(_) => &frames.hello,
            ClientFrame::Send(_) => &frames.send,
            ClientFrame::Watermark(_) => &frames.watermark,
            ClientFrame::Signal(_) => &frames.signal,
            ClientFrame::Watch(_) => &frames.watch,
            ClientFrame::Unwatch(_) => &frames.unwatch,
            ClientFrame::Refresh(_) => &frames.refresh,
            ClientFrame::Ping(_) => &frames.ping,
        }
    }

    pub(crate) fn refused(&self, code: Code) -> IntCounter {
        self.refused.with_label_values(&[code.name()])
    }

    pub(crate) fn closed(&self, code: u16) -> IntCounter {
        self.closed.with_label_values(&[&code.to_string()])
    }

    pub(crate) fn turned_away(&self, reason: &str) -> IntCounter {
        self.turned_away.with_label_values(&[reason])
    }

    pub(crate) fn dropped(&self, what: &str) -> IntCounter {
        self.dropped.with_label_values(&[what])
    }
}

fn keep<T: Collector + Clone + 'static>(registry: &Registry, metric: T) -> Result<T, Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
