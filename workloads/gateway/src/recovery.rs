//! After a gap: something was missed here, and nobody knows what.
//!
//! The heads of the rooms that live here are asked for; where the log is further than what was seen, those who are in the
//! room hear its `position` and fetch what they lack. Sends without an outcome are refused, to be sent again: the outcome may
//! be among what was missed. Revocations are loaded again.

use std::{sync::Arc, time::Duration};

use klatch_domain::{Code, Refusal, RoomId};
use klatch_protocol::{Refused, ServerFrame};
use tokio::{sync::Notify, time::sleep};

use crate::{batch::Batch, connection::Connection, core::Core, ingest::RETRY_AFTER_MS, revocation};

/// Rooms that are asked about after a gap, the most recent first; the clients' own checks find the rest.
const ROOMS: usize = 20_000;
/// Rooms of one question.
const CHUNK: usize = 200;
/// Gateways that lost the same stream ask over this time, milliseconds, not all at once.
const SPREAD_MS: u64 = 300;
/// Between two questions: 20,000 rooms take two seconds.
const PAUSE: Duration = Duration::from_millis(20);
/// Before a failed question is asked again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Tries of one question.
const TRIES: usize = 5;

/// Wakes the recovery.
#[derive(Default)]
pub(crate) struct Recovery(Notify);

impl Recovery {
    /// Something was missed.
    pub(crate) fn begin(&self) {
        self.0.notify_one();
    }
}

/// Recovers whenever something was missed, until the gateway stops.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = core.recovery.0.notified() => {}
        }
        core.instruments.metrics.gaps.inc();
        // A stop must not wait for what is left to ask.
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = recover(&core) => {}
        }
    }
}

async fn recover(core: &Core) {
    let rooms = core.rooms.active(ROOMS);
    tracing::info!(rooms = rooms.len(), "events were missed here; asking where the rooms stand");
    revocation::reload(core).await;
    sleep(Duration::from_millis(spread(core, SPREAD_MS))).await;
    refuse_unsettled(core).await;
    for chunk in rooms.chunks(CHUNK) {
        ask(core, chunk).await;
        sleep(PAUSE).await;
    }
}

/// Different for every gateway.
fn spread(core: &Core, up_to: u64) -> u64 {
    let bytes = core.incarnation.as_bytes();
    u64::from(u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])) % up_to.max(1)
}

async fn ask(core: &Core, rooms: &[RoomId]) {
    for _ in 0..TRIES {
        match core.queries.heads(rooms).await {
            Ok(heads) => {
                for room in rooms {
                    // A room without a head is gone: asking about it makes it forgotten.
                    let ask = || {
                        heads.get(room).map_or_else(|| core.rooms.verify(*room), |head| core.rooms.missed(*room, *head))
                    };
                    while ask().is_err() {
                        // As many rooms are asked about as may be.
                        sleep(PAUSE).await;
                    }
                }
                return;
            }
            Err(error) => {
                core.instruments.metrics.queries_failed.inc();
                tracing::warn!(%error, rooms = rooms.len(), "cannot ask where rooms stand");
            }
        }
        sleep(PAUSE_AFTER_FAILURE).await;
    }
    core.instruments.metrics.dropped("positions").inc_by(rooms.len() as u64);
}

async fn refuse_unsettled(core: &Core) {
    let mut batch = Batch::default();
    for connection in core.registry.all() {
        refuse_overdue(core, &connection, u32::MAX, &mut batch);
    }
    batch.flush().await;
}

/// Refuses what has had no outcome since then: sent again it gets one, and is not stored twice.
pub(crate) fn refuse_overdue(core: &Core, connection: &Arc<Connection>, until_seconds: u32, batch: &mut Batch) {
    for (room, message_id) in connection.overdue_sends(until_seconds) {
        if !connection.fail_send(room, message_id) {
            // Its outcome has come meanwhile.
            continue;
        }
        core.instruments.metrics.refused(Code::Busy).inc();
        let refusal = Refusal::retryable(Code::Busy, "no outcome came: send it again", RETRY_AFTER_MS);
        batch.add_frame(connection, &ServerFrame::Refused(Refused::new(message_id, room, refusal)));
    }
}
