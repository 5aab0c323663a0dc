//! The scenarios, one a file. Each has a server, accounts and options, and answers one figure with what led to it.

pub(super) mod ack;
pub(super) mod connect;
pub(super) mod idle;
mod pairs;
pub(super) mod room;
mod sender;
pub(super) mod signals;
pub(super) mod stored;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{accounts::Accounts, options::Options, server::Server, step::Step};

/// What a scenario works with.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    pub(super) server: &'a Server,
    pub(super) accounts: &'a Accounts,
    pub(super) options: &'a Options,
}

/// What a scenario found.
#[derive(Debug)]
pub(super) struct Found {
    /// In the unit of its budget.
    pub(super) value: f64,
    /// The generator had no time to spare, so the server may do better.
    pub(super) generator_bound: bool,
    /// Share of a core the server used meanwhile.
    pub(super) server_cpu: Option<f64>,
    /// Seconds of CPU each part used for one arrival at the rate found.
    pub(super) parts_cpu: BTreeMap<String, f64>,
    /// For people, one line.
    pub(super) remark: String,
    /// Everything, for programs.
    pub(super) detail: Value,
}

/// The figure of a search: arrivals per second of the best step, 0 when none passed.
fn of_search(best: Option<&Step>, steps: &[Step], remark: String, mut detail: Value) -> anyhow::Result<Found> {
    detail["steps"] = serde_json::to_value(steps)?;
    // The first rate that failed shows what stopped it.
    let decisive = best.or(steps.last());
    Ok(Found {
        value: best.map_or(0.0, |step| step.arrivals_per_second),
        generator_bound: decisive.is_some_and(Step::is_generator_bound)
            || steps.iter().any(|step| best.is_none_or(|best| step.rate > best.rate) && step.is_generator_bound()),
        server_cpu: decisive.and_then(|step| step.server_cpu),
        parts_cpu: decisive.map(|step| step.parts_cpu.clone()).unwrap_or_default(),
        remark,
        detail,
    })
}
