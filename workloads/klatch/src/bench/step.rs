//! One rate tried, and the search for the highest that passes.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use serde::Serialize;

use super::{
    generator::{Driven, GENERATOR_BOUND, Generator},
    latency::{Latencies, Summary},
    pace::Search,
};

/// A rate passes while 99 of 100 arrive within this.
const P99_MS: f64 = 100.0;

/// What connections of a scenario count together.
pub(super) struct Tally {
    generator: Rc<Generator>,
    latencies: RefCell<Latencies>,
    arrived: Cell<u64>,
    refused: Cell<u64>,
    /// Nothing that was due before belongs to this step.
    since: Cell<u64>,
    last: Cell<u64>,
}

impl Tally {
    /// Counts nothing yet.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub(super) fn new(generator: &Rc<Generator>) -> anyhow::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            generator: Rc::clone(generator),
            latencies: RefCell::new(Latencies::new()?),
            arrived: Cell::new(0),
            refused: Cell::new(0),
            since: Cell::new(0),
            last: Cell::new(0),
        }))
    }

    /// A new step: what comes late from the one before is not counted.
    pub(super) fn restart(&self) {
        self.latencies.borrow_mut().clear();
        self.arrived.set(0);
        self.refused.set(0);
        self.since.set(self.generator.now());
        self.last.set(self.generator.now());
    }

    /// `count` of what was due at `due` arrived now.
    pub(super) fn arrived(&self, due: u64, count: u64) {
        if due < self.since.get() {
            return;
        }
        let now = self.generator.now();
        self.latencies.borrow_mut().record(now.saturating_sub(due), count);
        self.arrived.set(self.arrived.get() + count);
        self.last.set(now);
    }

    /// One was refused.
    pub(super) fn refused(&self) {
        self.refused.set(self.refused.get() + 1);
    }

    /// How many arrived or were refused.
    pub(super) fn settled(&self) -> u64 {
        self.arrived.get() + self.refused.get()
    }

    /// How many arrived.
    pub(super) fn arrivals(&self) -> u64 {
        self.arrived.get()
    }

    /// How long they took.
    pub(super) fn latency(&self) -> Summary {
        self.latencies.borrow().summary()
    }

    /// The step that ends now. Each message of `driven` was to arrive `fan_out` times.
    pub(super) fn step(&self, rate: f64, seconds: f64, driven: Driven, fan_out: u64, lost: u64) -> Step {
        let took = self.last.get().saturating_sub(driven.started) as f64 / 1e9;
        Step {
            rate,
            sent: driven.sent,
            expected: driven.sent * fan_out,
            arrived: self.arrived.get(),
            refused: self.refused.get(),
            connections_lost: lost,
            arrivals_per_second: self.arrived.get() as f64 / took.max(seconds),
            latency: self.latency(),
            generator_busy: driven.busy,
            generator_late_p99_ms: driven.late_p99_ms,
            server_cpu: None,
            parts_cpu: BTreeMap::new(),
        }
    }
}

/// One rate, and how it went.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Step {
    /// Messages due a second.
    pub(super) rate: f64,
    pub(super) sent: u64,
    pub(super) expected: u64,
    pub(super) arrived: u64,
    pub(super) refused: u64,
    pub(super) connections_lost: u64,
    pub(super) arrivals_per_second: f64,
    pub(super) latency: Summary,
    pub(super) generator_busy: f64,
    pub(super) generator_late_p99_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_cpu: Option<f64>,
    /// Seconds of CPU each part has used for one arrival.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) parts_cpu: BTreeMap<String, f64>,
}

impl Step {
    /// Nothing refused or lost, as good as everything arrived, in time. (Of signals one in a thousand may get lost.)
    pub(super) fn passes(&self, lossy: bool) -> bool {
        let missing = self.expected.saturating_sub(self.arrived);
        let allowed = if lossy { self.expected / 1_000 } else { 0 };
        self.refused == 0 && self.connections_lost == 0 && missing <= allowed && self.latency.p99_ms < P99_MS
    }

    /// The generator had no time to spare, so the server may do more.
    pub(super) fn is_generator_bound(&self) -> bool {
        self.generator_busy > GENERATOR_BOUND || self.generator_late_p99_ms > P99_MS / 2.0
    }
}

/// Tries rates until the highest that passes is found. Answers it, if any passed, and every step. A rate fails when it does so
/// twice: one pause of a shared disk or core is not the server's. The first attempt counts for nothing: with it caches fill,
/// statements are planned and connections made, and a first rate that fails for that sends the search the wrong way.
///
/// # Errors
/// What `attempt` could not measure.
pub(super) async fn highest(
    first: f64,
    lossy: bool,
    mut attempt: impl AsyncFnMut(f64) -> anyhow::Result<Step>,
) -> anyhow::Result<(Option<Step>, Vec<Step>)> {
    attempt(first).await?;
    let mut search = Search::from(first);
    let (mut best, mut steps): (Option<Step>, _) = (None, Vec::new());
    while let Some(rate) = search.rate() {
        let mut step = attempt(rate).await?;
        if !step.passes(lossy) {
            super::report::progress(&step, false);
            steps.push(step);
            step = attempt(rate).await?;
        }
        let passed = step.passes(lossy);
        super::report::progress(&step, passed);
        search.tell(passed);
        if passed && best.as_ref().is_none_or(|best| best.rate < step.rate) {
            best = Some(step.clone());
        }
        steps.push(step);
    }
    Ok((best, steps))
}
