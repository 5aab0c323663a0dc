//! What the api counts. Names are part of what dashboards hold on to.

use http::{Method, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// Upper bounds of `klatch_http_request_seconds`: from a cached answer to a handler's bound.
const SECONDS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// Counters of one api.
pub(crate) struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    /// Calls under way.
    pub(crate) in_flight: IntGauge,
    /// Calls refused by a limit: `address`, `user`, `sign_in`.
    pub(crate) limited: IntCounterVec,
    /// Commands whose outcome somebody waits for.
    pub(crate) waiting: IntGauge,
    /// Commands published again because their outcome did not come.
    pub(crate) republished: prometheus::IntCounter,
    /// Commands owed by changes of the directory that were refused for good.
    pub(crate) owed_refused: prometheus::IntCounter,
    /// Questions about limits over all replicas without an answer.
    pub(crate) rate_limits_unknown: prometheus::IntCounter,
    /// Pages asked of the recent entries that are kept: `hit`, `stale` (the head has moved), `miss`.
    pub(crate) recent: IntCounterVec,
    /// Sessions ended within the lifetime of an access token.
    pub(crate) revoked: IntGauge,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("klatch_http_requests_total", "Answered HTTP calls by route, method and status."),
                &["route", "method", "status"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new("klatch_http_request_seconds", "Time to answer HTTP calls, by route and method.")
                    .buckets(SECONDS.to_vec()),
                &["route", "method"],
            )?,
            in_flight: IntGauge::new("klatch_http_requests_in_flight", "HTTP calls under way.")?,
            limited: IntCounterVec::new(
                Opts::new("klatch_http_rate_limited_total", "HTTP calls refused by a rate limit, by limit."),
                &["limit"],
            )?,
            waiting: IntGauge::new("klatch_api_waiting_commands", "Commands whose outcome a call waits for.")?,
            republished: prometheus::IntCounter::new(
                "klatch_api_republished_commands_total",
                "Commands published again because their outcome did not come.",
            )?,
            owed_refused: prometheus::IntCounter::new(
                "klatch_api_owed_commands_refused_total",
                "Notices and blocks owed by a change that were refused for good.",
            )?,
            rate_limits_unknown: prometheus::IntCounter::new(
                "klatch_api_rate_limits_unknown_total",
                "Questions about limits over all replicas without an answer.",
            )?,
            recent: IntCounterVec::new(
                Opts::new("klatch_api_recent_entries_total", "Pages asked of the recent entries that are kept."),
                &["outcome"],
            )?,
            revoked: IntGauge::new(
                "klatch_api_revoked_sessions",
                "Ended sessions whose access tokens may still live.",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.limited.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.republished.clone()))?;
        registry.register(Box::new(metrics.owed_refused.clone()))?;
        registry.register(Box::new(metrics.rate_limits_unknown.clone()))?;
        registry.register(Box::new(metrics.recent.clone()))?;
        registry.register(Box::new(metrics.revoked.clone()))?;
        Ok(metrics)
    }

    /// A call was answered. `route` is the pattern, never the path: its values would be without bound.
    pub(crate) fn answered(&self, route: &str, method: &Method, status: StatusCode, seconds: f64) {
        let method = known(method);
        self.requests.with_label_values(&[route, method, status.as_str()]).inc();
        self.seconds.with_label_values(&[route, method]).observe(seconds);
    }

    pub(crate) fn limited(&self, limit: &str) {
        self.limited.with_label_values(&[limit]).inc();
    }
}

/// Methods have no bound either: anybody may invent one.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.iter().find(|name| **name == method.as_str()).copied().unwrap_or("other")
}
