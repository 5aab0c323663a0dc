//! The workloads, each started from its settings and what it stands on. `klatch up` starts all of them in one process on the
//! embedded twins, `klatch gateway` and its like one of them on the real parts: both from here.

pub(crate) mod api;
pub(crate) mod gateway;
pub(crate) mod message_service;
pub(crate) mod notification_service;

use std::sync::Arc;

use anyhow::Context;
use klatch_service_kit::{Clock, health::Health, metrics::Metrics, panic, shutdown::Shutdown};
use klatch_store::{Directory, Shards};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

/// What is one of in a process, whatever runs in it.
pub(crate) struct Base {
    /// Takes everyone's metrics.
    pub(crate) registry: Registry,
    /// The time of day.
    pub(crate) clock: Clock,
    /// Whether it is ready for work.
    pub(crate) health: Health,
    /// Cancelled when the process is to stop.
    pub(crate) stop: CancellationToken,
}

/// The stores, whatever keeps them.
#[derive(Clone)]
pub(crate) struct Stores {
    /// Users, sessions, projections.
    pub(crate) directory: Arc<dyn Directory>,
    /// The logs.
    pub(crate) shards: Shards,
}

impl Base {
    /// Panics are counted from here on, and the process is ready only while it is not told to stop.
    pub(crate) fn new(shutdown: &Shutdown) -> anyhow::Result<Self> {
        let registry = Registry::new();
        panic::install(&registry).context("cannot register metrics")?;
        let health = Health::new();
        let stop = shutdown.token();
        let told = stop.clone();
        health.check("running", move || !told.is_cancelled());
        Ok(Self { registry, clock: Clock::system(), health, stop })
    }

    /// What `/metrics` answers.
    pub(crate) fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::new(self.registry.clone()).context("cannot register metrics")
    }
}
