//! One task instead of a timer for each connection: late `hello`s, pings, silence, expired tokens, connections that do not
//! end, sends without an outcome.
//!
//! Every tick looks at another part of the connections, so that neither looking nor pinging comes in one burst.

use std::{sync::Arc, time::Duration};

use klatch_domain::ConnectionId;
use klatch_protocol::close;
use tokio::time::sleep;

use crate::{
    batch::Batch,
    connection::{Connection, Phase},
    core::Core,
    recovery::refuse_overdue,
};

/// Parts of the connections.
const PARTS: usize = 16;
/// A whole round takes the shorter of heartbeat and hello timeout divided by this: how exact both are.
const ROUNDS_A_TIMEOUT: u64 = 8;
const SHORTEST_TICK_MS: u64 = 5;
const LONGEST_TICK_MS: u64 = 250;
/// How long an expired token is borne, milliseconds: the client's `refresh` may be on its way.
const TOKEN_GRACE_MS: i64 = 2_000;
/// A send without an outcome is refused after this, seconds, to be sent again: some times what a writer takes to start.
const OUTCOME_SECONDS: u64 = 60;

/// Looks until the gateway stops.
pub(crate) async fn run(core: Arc<Core>) {
    let settings = &core.settings;
    let round = settings.heartbeat_ms.min(settings.hello_timeout_ms) / ROUNDS_A_TIMEOUT;
    let tick = (round / PARTS as u64).clamp(SHORTEST_TICK_MS, LONGEST_TICK_MS);
    let mut batch = Batch::default();
    let mut last_ms = core.instruments.timer.millis();
    for part in (0..PARTS).cycle() {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = sleep(Duration::from_millis(tick)) => {}
        }
        let now_ms = core.instruments.timer.millis();
        // A machine that slept, or was far too busy, has heard nobody: that silence is its own.
        let deaf_ms = now_ms.saturating_sub(last_ms).saturating_sub(tick);
        let silence = if deaf_ms > settings.heartbeat_ms / 2 { Silence::Ours } else { Silence::Theirs };
        last_ms = now_ms;
        for connection in core.registry.part(part, PARTS) {
            look(&core, &connection, now_ms, silence, &mut batch);
        }
        batch.flush().await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Silence {
    Ours,
    Theirs,
}

fn look(core: &Core, connection: &Arc<Connection>, now_ms: u64, silence: Silence, batch: &mut Batch) {
    let due = now_ms >= connection.due_ms();
    match connection.phase() {
        Phase::Arriving if due => connection.close(close::HELLO_MISSING, "no hello in time"),
        Phase::Closing if due => {
            core.instruments.metrics.dropped("lingering").inc();
            connection.end();
        }
        Phase::Greeted => look_at_greeted(core, connection, now_ms, silence, batch),
        Phase::Arriving | Phase::Closing | Phase::Ended => {}
    }
}

fn look_at_greeted(core: &Core, connection: &Arc<Connection>, now_ms: u64, silence: Silence, batch: &mut Batch) {
    let heartbeat_ms = core.settings.heartbeat_ms;
    if core.clock.millis() >= connection.expires_ms().saturating_add(TOKEN_GRACE_MS) {
        connection.close(close::TOKEN_EXPIRED, "the access token has expired");
        return;
    }
    if silence == Silence::Ours {
        connection.hear(now_ms);
    }
    if now_ms.saturating_sub(connection.heard_ms()) > 2 * heartbeat_ms {
        connection.close(close::HEARTBEAT_MISSED, "nothing was heard for two heartbeats");
        return;
    }
    if now_ms >= connection.due_ms() {
        connection.ping(now_ms + heartbeat_ms);
    }
    if let Some(until_seconds) = (now_ms / 1_000).checked_sub(OUTCOME_SECONDS) {
        refuse_overdue(core, connection, until_seconds as u32, batch);
    }
}

/// When a new connection is pinged first: connections that came together are not pinged together.
pub(crate) fn first_ping_ms(id: ConnectionId, now_ms: u64, heartbeat_ms: u64) -> u64 {
    now_ms + heartbeat_ms / 2 + jitter(id, heartbeat_ms / 2)
}

/// A number below `below` that is another for every connection.
pub(crate) fn jitter(id: ConnectionId, below: u64) -> u64 {
    let bytes = id.as_bytes();
    u64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) % below.max(1)
}
