//! Going away: nobody new is let in, everyone is told when to come back, and connections close at a pace that whoever takes
//! them over can bear.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use klatch_protocol::{Reconnect, ServerFrame, close};
use tokio::time::sleep;

use crate::{connection::Connection, core::Core, sweep::jitter};

/// Connections that close in one second, where the setting `drain_ms` leaves time: each comes back with a check of its token, a
/// registration and a sync. The 20,000 that one gateway holds on average take 34 of the 45 s.
const CLOSES_A_SECOND: u64 = 600;
/// Between two steps of anything paced here.
const STEP_MS: u64 = 20;
/// Least time from the close of its connection to a client's coming back, milliseconds.
const COME_BACK_MS: u64 = 500;
/// Clients that close together come back over this time, milliseconds.
const COME_BACK_SPREAD_MS: u64 = 1_000;

/// Drains within the setting `drain_ms`. Whatever is left then is dropped.
pub(crate) async fn drain(core: &Core) {
    let first = !core.draining.swap(true, Ordering::AcqRel);
    let deadline = core.instruments.timer.millis() + core.settings.drain_ms;
    if first {
        let mut connections = core.registry.all();
        // Ids are random: those that came together do not go together.
        connections.sort_unstable_by_key(|connection| connection.id);
        tracing::info!(connections = connections.len(), "draining");
        let span = (connections.len() as u64 * 1_000 / CLOSES_A_SECOND).min(core.settings.drain_ms / 4 * 3);
        send_away(&connections, span).await;
    }
    // Those that came meanwhile, and those that waited for outcomes.
    settle(core, deadline, core.settings.drain_ms / 4).await;
    for connection in core.registry.all() {
        connection.close(close::GOING_AWAY, "going away");
    }
    while core.seats.load(Ordering::Acquire) > 0 && core.instruments.timer.millis() < deadline {
        sleep(Duration::from_millis(STEP_MS)).await;
    }
    for connection in core.registry.all() {
        connection.end();
    }
    core.stop.cancel();
}

/// Tells each when to come back, and closes it: nobody is without a connection for longer than a moment, however many there are.
/// Who waits for an outcome is closed later.
async fn send_away(connections: &[Arc<Connection>], span_ms: u64) {
    paced(connections, span_ms, |connection| {
        ask_back(connection, 0, "drain");
        if !connection.has_unsettled() {
            connection.close(close::GOING_AWAY, "going away");
        }
    })
    .await;
}

/// Tells a client when to come back, if its connection closes in so many milliseconds.
pub(crate) fn ask_back(connection: &Connection, closes_in_ms: u64, reason: &'static str) {
    let after_ms = closes_in_ms + COME_BACK_MS + jitter(connection.id, COME_BACK_SPREAD_MS);
    connection.push_frame(&ServerFrame::Reconnect(Reconnect { after_ms, reason: reason.into() }));
}

/// Waits until everything taken is published and has its outcome, at most so long.
async fn settle(core: &Core, deadline: u64, at_most_ms: u64) {
    let until = deadline.min(core.instruments.timer.millis() + at_most_ms);
    while core.instruments.timer.millis() < until {
        let open = !core.ingest.is_idle() || core.registry.all().iter().any(|connection| connection.has_unsettled());
        if !open {
            return;
        }
        sleep(Duration::from_millis(STEP_MS)).await;
    }
}

async fn paced(connections: &[Arc<Connection>], span_ms: u64, act: impl Fn(&Connection)) {
    // At least one step.
    let steps = (span_ms / STEP_MS).max(1) as usize;
    for chunk in connections.chunks(connections.len().div_ceil(steps).max(1)) {
        chunk.iter().for_each(|connection| act(connection));
        if chunk.len() < connections.len() {
            sleep(Duration::from_millis(STEP_MS)).await;
        }
    }
}
