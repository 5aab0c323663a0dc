//! Doing what changes of the directory owe the logs: notices for inboxes, blocks for direct rooms. The directory keeps them
//! in the change's own transaction; they are done right after it, or, when that was interrupted, by a task: at its start,
//! when a call had to leave something, and every few seconds.
//!
//! Whoever does them does those of one room in the order of their places and waits for each outcome, so that news of one
//! thing never overtake each other; doing one twice does it once.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use klatch_domain::{Action, Code, Outcome, Refusal, RoomId};
use klatch_store::{Directory, StoreError, owed::Owed};
use prometheus::IntCounter;
use tokio::{sync::Notify, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{outcomes::Outcomes, problem::Failure};

/// How long a call waits for its notices before it leaves them to the task: they are news, not the change.
const NOTICES: Duration = Duration::from_secs(5);
/// Between two looks when nothing is known to be left: a call may have died without a word.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Between two looks when something could not be done.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// Commands read at a time, some 1 KiB each.
const PAGE: usize = 256;
/// Rooms worked at by the task at once: a room whose shard is away must not keep all others waiting.
const ROOMS: usize = 16;

/// Does what is owed.
pub(crate) struct Owing {
    directory: Arc<dyn Directory>,
    outcomes: Arc<Outcomes>,
    left: Notify,
    refused: IntCounter,
}

impl Owing {
    pub(crate) fn new(directory: Arc<dyn Directory>, outcomes: Arc<Outcomes>, refused: IntCounter) -> Self {
        Self { directory, outcomes, left: Notify::new(), refused }
    }

    /// Does everything owed to a room, in order.
    ///
    /// # Errors
    /// What stopped it: the task goes on. A command refused for good is given up, and its refusal the error.
    pub(crate) async fn settle(&self, room: RoomId) -> Result<(), Failure> {
        let settled = self.settle_all(room).await;
        if settled.is_err() {
            self.left.notify_one();
        }
        settled
    }

    /// Does what is owed to these rooms, or leaves it to the task when it cannot be done soon. Never fails: the change has
    /// been made, and its news will come.
    pub(crate) async fn settle_soon<const ROOMS: usize>(&self, rooms: [RoomId; ROOMS]) {
        for room in rooms {
            match timeout(NOTICES, self.settle(room)).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => tracing::info!(%room, code = %failure.code, "notices are left for later"),
                Err(_) => {
                    tracing::info!(%room, "notices are left for later");
                    self.left.notify_one();
                }
            }
        }
    }

    /// Does what others have left, until told to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let work = async || {
            if self.settle_left().await {
                // Either way there may be something.
                let _woken = timeout(LOOK_EVERY, self.left.notified()).await;
            } else {
                tokio::time::sleep(TRY_AGAIN).await;
            }
        };
        loop {
            tokio::select! {
                () = work() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Answers whether nothing is left.
    async fn settle_left(self: &Arc<Self>) -> bool {
        let (mut after, mut all) = (0, true);
        loop {
            let owed = match self.directory.owed(None, after, PAGE).await {
                Ok(owed) => owed,
                Err(error) => {
                    tracing::warn!(%error, "cannot read what is owed to rooms; trying again");
                    return false;
                }
            };
            let Some(last) = owed.last() else { return all };
            after = last.place;
            let rooms: BTreeSet<RoomId> = owed.iter().map(|owed| owed.command.room).collect();
            all &= self.settle_rooms(rooms).await;
        }
    }

    async fn settle_rooms(self: &Arc<Self>, rooms: BTreeSet<RoomId>) -> bool {
        let (mut rooms, mut working, mut all) = (rooms.into_iter(), JoinSet::new(), true);
        loop {
            while working.len() < ROOMS
                && let Some(room) = rooms.next()
            {
                let this = Arc::clone(self);
                working.spawn(async move { this.settle_all(room).await.is_ok() });
            }
            match working.join_next().await {
                Some(done) => all &= done.unwrap_or(false),
                None => return all,
            }
        }
    }

    async fn settle_all(&self, room: RoomId) -> Result<(), Failure> {
        let mut given_up = None;
        loop {
            let page = self.directory.owed(Some(room), 0, PAGE).await?;
            if page.is_empty() {
                return given_up.map_or(Ok(()), Err);
            }
            let mut done = Vec::with_capacity(page.len());
            let stopped = self.settle_page(page, &mut done, &mut given_up).await;
            // Also after a failure: what is done is done.
            let forgotten: Result<(), StoreError> = self.directory.settle_owed(&done).await;
            stopped?;
            forgotten?;
        }
    }

    async fn settle_page(
        &self,
        page: Vec<Owed>,
        done: &mut Vec<u64>,
        given_up: &mut Option<Failure>,
    ) -> Result<(), Failure> {
        for Owed { place, command } in page {
            let optional = matches!(command.action, Action::SetBlock { .. });
            let room = command.room;
            match self.outcomes.ask_command(command).await? {
                Outcome::Stored(_) | Outcome::Unchanged => {}
                Outcome::Refused(refusal) if refusal.retryable => return Err(refusal.into()),
                // Two who have no direct room need no block in it.
                Outcome::Refused(Refusal { code: Code::RoomNotFound, .. }) if optional => {}
                Outcome::Refused(refusal) => {
                    tracing::error!(%room, code = %refusal.code, detail = %refusal.detail, "a notice was refused for good");
                    self.refused.inc();
                    given_up.get_or_insert(refusal.into());
                }
            }
            done.push(place);
        }
        Ok(())
    }
}
