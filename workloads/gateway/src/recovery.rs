//! After a gap: something was missed here, and nobody knows what.
//!
//! The heads of the rooms that live here are asked for; where the log is further than what was seen, those who are in the
//! room hear its `position` and fetch what they lack. Sends without an outcome are refused, to be sent again: the outcome may
//! be among what was missed. Revocations are loaded again. A question without an answer is asked until it has one: nobody
//! else would, for minutes.

use std::{collections::HashSet, mem::take, sync::Arc, time::Duration};

use klatch_domain::{Code, Refusal, RoomId, Slot};
use klatch_protocol::{Refused, ServerFrame};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{batch::Batch, connection::Connection, core::Core, ingest::RETRY_AFTER_MS, revocation};

/// Rooms that are asked about after a gap, the most recent first; the clients' own checks find the rest.
const ROOMS: usize = 20_000;
/// Rooms of one question.
const CHUNK: usize = 200;
/// Fewest rooms of a question that is asked again: each time it is about half as many, until those of a shard that is away
/// stand in no question with others.
const SMALLEST_CHUNK: usize = 25;
/// Gateways that lost the same stream ask over this time, milliseconds, not all at once.
const SPREAD_MS: u64 = 300;
/// Questions under way at once: one that waits for a frozen shard must not hold up all others.
const AT_ONCE: usize = 4;
/// How long an answer is waited for. The rooms of a question all live on one shard, or nearly: it answers in milliseconds, or
/// is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// After each question of one of them: 20,000 rooms take two seconds.
const PAUSE: Duration = Duration::from_millis(80);
/// Before failed questions are asked again; doubled with each failure in a row.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(250);
/// The longest such pause: how late a client may hear of what it lacks once there is an answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Wakes the recovery.
#[derive(Default)]
pub(crate) struct Recovery(Notify);

impl Recovery {
    /// Something was missed.
    pub(crate) fn begin(&self) {
        self.0.notify_one();
    }
}

/// What is still to be asked.
struct Open {
    rooms: Vec<RoomId>,
    chunk: usize,
    pause: Duration,
}

impl Open {
    const fn nothing() -> Self {
        Self { rooms: Vec::new(), chunk: CHUNK, pause: PAUSE_AFTER_FAILURE }
    }

    /// After another gap everything is, and what had no answer yet.
    fn add(&mut self, active: Vec<RoomId>, slots: u16) {
        let mut rooms: HashSet<RoomId> = active.into_iter().collect();
        let most = ROOMS.max(rooms.len());
        for room in take(&mut self.rooms) {
            if rooms.len() < most {
                rooms.insert(room);
            }
        }
        *self = Self { rooms: rooms.into_iter().collect(), ..Self::nothing() };
        // Neighbours in slots are on one shard, and so are answered or not together.
        self.rooms.sort_unstable_by_key(|room| Slot::of(*room, slots));
    }

    /// These had no answer.
    fn fail(&mut self, left: Vec<RoomId>) {
        self.rooms = left;
        self.chunk = (self.chunk / 2).max(SMALLEST_CHUNK);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Recovers whenever something was missed, until the gateway stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut open = Open::nothing();
    loop {
        // A stop must not wait for what is left to ask.
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = core.recovery.0.notified() => {
                core.instruments.metrics.gaps.inc();
                open.add(core.rooms.active(ROOMS), core.settings.slots);
                tracing::info!(rooms = open.rooms.len(), "events were missed here; asking where the rooms stand");
                if core.stop.run_until_cancelled(begin(&core)).await.is_none() {
                    return;
                }
            }
            () = sleep(open.pause), if !open.rooms.is_empty() => {}
        }
        let Some(left) = core.stop.run_until_cancelled(ask_all(&core, &open)).await else { return };
        if left.is_empty() {
            open = Open::nothing();
        } else {
            core.instruments.metrics.rooms_asked_again.inc_by(left.len() as u64);
            open.fail(left);
        }
    }
}

async fn begin(core: &Core) {
    revocation::reload(core).await;
    sleep(Duration::from_millis(spread(core, SPREAD_MS))).await;
    refuse_unsettled(core).await;
}

/// Different for every gateway.
fn spread(core: &Core, up_to: u64) -> u64 {
    let bytes = core.incarnation.as_bytes();
    u64::from(u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])) % up_to.max(1)
}

/// Asks about every room once; answers those of which nothing was heard.
async fn ask_all(core: &Arc<Core>, open: &Open) -> Vec<RoomId> {
    let mut chunks = open.rooms.chunks(open.chunk).map(<[RoomId]>::to_vec);
    let (mut under_way, mut left) = (JoinSet::new(), Vec::new());
    loop {
        while under_way.len() < AT_ONCE
            && let Some(rooms) = chunks.next()
        {
            under_way.spawn(ask(Arc::clone(core), rooms));
        }
        match under_way.join_next().await {
            Some(unanswered) => left.extend(unanswered.unwrap_or_default()),
            None => return left,
        }
    }
}

/// Asks about these rooms; answers them again if nothing was heard.
async fn ask(core: Arc<Core>, rooms: Vec<RoomId>) -> Vec<RoomId> {
    let asked = timeout(ANSWER_WITHIN, core.queries.heads(&rooms)).await;
    sleep(PAUSE).await;
    let heads = match asked {
        Ok(Ok(heads)) => heads,
        failed => {
            core.instruments.metrics.queries_failed.inc();
            let reason = failed.map_or_else(
                |_| "no answer in time".to_owned(),
                |answer| answer.err().map(|error| error.to_string()).unwrap_or_default(),
            );
            tracing::warn!(reason, rooms = rooms.len(), "cannot ask where rooms stand; asking again");
            return rooms;
        }
    };
    for room in rooms {
        // A room without a head is gone: asking about it makes it forgotten.
        let ask = || heads.get(&room).map_or_else(|| core.rooms.verify(room), |head| core.rooms.missed(room, *head));
        while ask().is_err() {
            // As many rooms are asked about as may be.
            sleep(PAUSE).await;
        }
    }
    Vec::new()
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
