//! What follows from a command in other rooms: notices to the inboxes of those whose memberships changed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use klatch_bus::PublishError;
use klatch_domain::{Action, Command, Content, Draft, Kind, MessageId, RoomId, Sender, UserId};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::{backoff::Backoff, context::Context, notes::Job};

/// Steps of [`MessageId::follow_up`]; never changed, as a redelivery must meet the ids of its first try.
const STEP_JOINED: u8 = 1;
const STEP_LEFT: u8 = 2;
/// Notices handed over at once: half a batch, so that others' commands share the round.
const CHUNK: usize = 256;

/// Whose membership changed, by which command.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) cause: MessageId,
    pub(crate) sender: Sender,
    pub(crate) accepted_micros: u64,
    pub(crate) trace: Option<Box<str>>,
    pub(crate) room: RoomId,
    pub(crate) user: UserId,
    pub(crate) joined: bool,
}

impl Notice {
    fn command(&self) -> Command {
        #[derive(Serialize)]
        struct RoomOnly {
            room: RoomId,
        }
        let (kind, step) = if self.joined { (Kind::MemberJoined, STEP_JOINED) } else { (Kind::MemberLeft, STEP_LEFT) };
        // One id always fits a content.
        let content = Content::of(&RoomOnly { room: self.room }).unwrap_or_default();
        Command {
            room: RoomId::inbox_of(self.user),
            message_id: MessageId::follow_up(self.cause, self.user, step),
            sender: self.sender,
            action: Action::Notice { owner: self.user, draft: Draft::new(kind, content) },
            reply: None,
            after: None,
            accepted_micros: self.accepted_micros,
            trace: self.trace.clone(),
        }
    }
}

/// Brings every notice to its inbox, or into the ingest queue of its inbox, for as long as that takes. Those of `queue`
/// itself go to its task directly: the queue may be full of commands that wait for them.
///
/// Two queues that are full of nothing but membership changes, each waiting for the other to take its notices, would stand
/// still; notices themselves never wait for others, and what api and gateways may send a second is bounded far below that.
pub(crate) async fn run(context: &Context, queue: u16, jobs: &mpsc::Sender<Job>, notices: &[Notice]) {
    let slots = context.owners.current().map().slots();
    let queues = context.bus.commands.queues();
    let mut by_queue: BTreeMap<u16, Vec<&Notice>> = BTreeMap::new();
    for notice in notices {
        let slot = klatch_domain::Slot::of(RoomId::inbox_of(notice.user), slots);
        by_queue.entry(slot.ingest_queue(queues)).or_default().push(notice);
    }
    context.metrics.follow_ups.inc_by(notices.len() as u64);
    for (target, notices) in by_queue {
        for chunk in notices.chunks(CHUNK) {
            let commands: Vec<Command> = chunk.iter().map(|notice| notice.command()).collect();
            if target == queue {
                hand_over(jobs, commands).await;
            } else {
                publish(context, target, commands).await;
            }
        }
    }
}

async fn hand_over(jobs: &mpsc::Sender<Job>, commands: Vec<Command>) {
    let (done, settled) = oneshot::channel();
    if jobs.send(Job { commands: Arc::new(commands), done }).await.is_err() || settled.await.is_err() {
        // The queue's task has gone on to another life: this work is void, its cause comes again.
        std::future::pending::<()>().await;
    }
}

async fn publish(context: &Context, queue: u16, commands: Vec<Command>) {
    let mut backoff = Backoff::new();
    loop {
        let result = {
            // One unconfirmed publish a queue, or notices of one inbox could overtake each other.
            let _turn = context.turns[usize::from(queue)].lock().await;
            context.bus.commands.publish(queue, commands.clone()).await
        };
        let Err(error) = result else { return };
        context.metrics.follow_up_retries.inc_by(commands.len() as u64);
        tracing::debug!(queue, %error, "notices wait for an ingest queue");
        let pause = match error {
            PublishError::Full { retry_after_ms } => Duration::from_millis(retry_after_ms),
            PublishError::Unknown(_) => backoff.next(),
        };
        tokio::time::sleep(pause).await;
    }
}
