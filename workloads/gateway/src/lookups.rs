//! Questions that are asked in the background: no frame and no event waits for an answer in its own task.

use std::{sync::Arc, time::Duration};

use klatch_bus::{QueryError, RoomMembers};
use klatch_domain::{RoomId, UserId};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use crate::{connection::Connection, core::Core, rooms::Found};

/// Questions under way at once: enough to keep api busy, few enough not to flood it.
const AT_ONCE: usize = 64;
/// Questions that wait to be asked.
pub(crate) const QUEUED: usize = 8_192;
/// Tries before a question counts as failed.
const TRIES: u32 = 4;
/// Before the second try; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(50);

/// A question.
pub(crate) enum Ask {
    /// Who is in a room? The answer goes to the event task, so that it keeps its place among the room's events.
    Members {
        /// Which room.
        room: RoomId,
        /// Not before this has passed.
        delay: Duration,
    },
    /// Where do these rooms end? Their members here may have missed something.
    Heads {
        /// Which rooms.
        rooms: Vec<RoomId>,
    },
    /// Whose presence may this connection see, and how do they stand?
    Presence {
        /// Who asks.
        connection: Arc<Connection>,
        /// About whom.
        users: Vec<UserId>,
    },
}

/// Asks until the gateway stops.
pub(crate) async fn run(core: Arc<Core>, mut asks: mpsc::Receiver<Ask>, found: mpsc::Sender<Found>) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => break,
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            ask = asks.recv(), if under_way.len() < AT_ONCE => {
                let Some(ask) = ask else { break };
                under_way.spawn(answer(Arc::clone(&core), ask, found.clone()));
            }
        }
    }
}

async fn answer(core: Arc<Core>, ask: Ask, found: mpsc::Sender<Found>) {
    match ask {
        Ask::Members { room, delay } => {
            sleep(delay).await;
            let members = members(&core, room).await;
            // A closed channel: the gateway stops.
            let _ = found.send(Found { room, members }).await;
        }
        Ask::Heads { rooms } => heads(&core, &rooms).await,
        Ask::Presence { connection, users } => crate::presence::answer_watch(&core, &connection, users).await,
    }
}

async fn heads(core: &Core, rooms: &[RoomId]) {
    let mut pause = PAUSE;
    for _ in 0..TRIES {
        match core.queries.heads(rooms).await {
            Ok(heads) => {
                let untold = heads.into_iter().filter(|(room, head)| core.rooms.missed(*room, *head).is_err());
                return core.instruments.metrics.dropped("positions").inc_by(untold.count() as u64);
            }
            Err(error) => {
                core.instruments.metrics.queries_failed.inc();
                tracing::debug!(%error, "asking where rooms end again");
            }
        }
        sleep(pause).await;
        pause *= 2;
    }
    core.instruments.metrics.dropped("positions").inc_by(rooms.len() as u64);
}

async fn members(core: &Core, room: RoomId) -> Result<Option<RoomMembers>, QueryError> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match core.queries.members(room).await {
            Ok(members) => return Ok(members),
            Err(error) => {
                core.instruments.metrics.queries_failed.inc();
                tracing::debug!(%room, %error, "asking for the members of a room again");
            }
        }
        sleep(pause).await;
        pause *= 2;
    }
    core.queries.members(room).await.inspect_err(|error| {
        core.instruments.metrics.queries_failed.inc();
        tracing::warn!(%room, %error, "cannot learn who is in a room; its entries are missed here");
    })
}
