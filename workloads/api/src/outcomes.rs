//! What became of a command: an HTTP call publishes it, waits here, and is told by the api's own event stream.
//!
//! For each ingest queue one task has at most one unconfirmed publish, which carries everything that came in meanwhile.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use klatch_bus::{Bus, PublishError};
use klatch_domain::{
    Action, Command, ConnectionId, Incarnation, MessageId, Outcome, OutcomeEvent, ReplyAddress, RoomId, Sender, Slot,
    SlotMap, Stored,
};
use klatch_service_kit::Clock;
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    metrics::Metrics,
    problem::{Failure, RETRY_AFTER_MS},
    trace::Trace,
};

/// Commands that may wait at a time: each holds at most a body of 256 KiB, mostly below 1 KiB.
const WAITING: usize = 4_096;
/// Commands of one publish.
const BATCH: usize = 512;
/// Without an outcome for this long a command is published again: it is done once however often it comes.
const PUBLISH_AGAIN: Duration = Duration::from_secs(4);
/// Without an outcome for this long the caller hears `busy`.
const PATIENCE: Duration = Duration::from_secs(12);
/// Between two attempts when the broker does not confirm.
const UNCONFIRMED_PAUSE: Duration = Duration::from_millis(200);
/// Attempts without a confirm before those who wait hear `busy`.
const ATTEMPTS: u32 = 5;

/// One command of a call.
pub(crate) struct Ask {
    pub(crate) room: RoomId,
    pub(crate) message_id: MessageId,
    pub(crate) sender: Sender,
    pub(crate) action: Action,
}

struct Waiting {
    command: Command,
    told: oneshot::Sender<Outcome>,
}

/// Publishes commands and tells their outcomes to who waits for them.
pub(crate) struct Outcomes {
    incarnation: Incarnation,
    map: SlotMap,
    waiting: Mutex<HashMap<ConnectionId, Waiting>>,
    admitted: Semaphore,
    queues: Vec<mpsc::Sender<Command>>,
    busy: Mutex<HashMap<Slot, Instant>>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// Takes itself out of `waiting`, also when its call is dropped.
struct Place<'a> {
    outcomes: &'a Outcomes,
    connection: ConnectionId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.outcomes.waiting.lock().remove(&self.connection);
        self.outcomes.metrics.waiting.dec();
    }
}

impl Outcomes {
    /// Starts a publisher for each ingest queue.
    pub(crate) fn start(
        incarnation: Incarnation,
        map: SlotMap,
        bus: &Bus,
        clock: Clock,
        metrics: Arc<Metrics>,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Arc<Self> {
        let (queues, receivers): (Vec<_>, Vec<_>) = (0..bus.commands.queues()).map(|_| mpsc::channel(WAITING)).unzip();
        let outcomes = Arc::new(Self {
            incarnation,
            map,
            waiting: Mutex::default(),
            admitted: Semaphore::new(WAITING),
            queues,
            busy: Mutex::default(),
            clock,
            metrics,
        });
        for (queue, receiver) in (0..bus.commands.queues()).zip(receivers) {
            let publisher = Publisher { queue, bus: bus.clone(), outcomes: Arc::clone(&outcomes) };
            tasks.spawn(publisher.run(receiver, stop.clone()));
        }
        outcomes
    }

    /// Publishes a command and waits for its outcome. Cancel safe: a dropped call's command may still be done, and the
    /// same command again does no harm.
    ///
    /// # Errors
    /// `busy` when it cannot be published, or no outcome comes in time: the same request again finds out.
    pub(crate) async fn ask(&self, ask: Ask, trace: &Trace) -> Result<Outcome, Failure> {
        self.ask_command(Command {
            room: ask.room,
            message_id: ask.message_id,
            sender: ask.sender,
            action: ask.action,
            reply: None,
            after: None,
            accepted_micros: 0,
            trace: Some(trace.carried()),
        })
        .await
    }

    /// [`Self::ask`] for a command that was made before; it is taken now, and answers here.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn ask_command(&self, command: Command) -> Result<Outcome, Failure> {
        let _admitted = self.admitted.try_acquire().map_err(|_| Failure::busy(RETRY_AFTER_MS))?;
        let slot = self.map.slot_of(command.room);
        self.check_slot(slot)?;
        let connection = ConnectionId::now();
        let reply = Some(ReplyAddress { incarnation: self.incarnation, connection });
        let command = Command { reply, accepted_micros: self.clock.micros(), ..command };
        let (told, mut outcome) = oneshot::channel();
        self.waiting.lock().insert(connection, Waiting { command: command.clone(), told });
        self.metrics.waiting.inc();
        let _place = Place { outcomes: self, connection };
        let began = Instant::now();
        let mut publish = Some(command);
        while began.elapsed() < PATIENCE {
            if let Some(command) = publish.take() {
                self.enqueue(slot, command).await?;
            }
            match timeout(PUBLISH_AGAIN, &mut outcome).await {
                Ok(Ok(outcome)) => return Ok(outcome),
                Ok(Err(_)) => return Err(Failure::busy(RETRY_AFTER_MS)),
                Err(_) => {
                    self.metrics.republished.inc();
                    publish = self.waiting.lock().get(&connection).map(|waiting| waiting.command.clone());
                }
            }
        }
        Err(Failure::busy(RETRY_AFTER_MS))
    }

    /// [`Self::ask`], where a refusal is a failure.
    ///
    /// # Errors
    /// The refusal, or `busy`.
    pub(crate) async fn done(&self, ask: Ask, trace: &Trace) -> Result<Option<Stored>, Failure> {
        match self.ask(ask, trace).await? {
            Outcome::Stored(stored) => Ok(Some(stored)),
            Outcome::Unchanged => Ok(None),
            Outcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn enqueue(&self, slot: Slot, command: Command) -> Result<(), Failure> {
        let queue = slot.ingest_queue(u16::try_from(self.queues.len()).unwrap_or(u16::MAX));
        let queue = self.queues.get(usize::from(queue)).ok_or_else(|| Failure::internal("no such ingest queue"))?;
        queue.send(command).await.map_err(|_| Failure::busy(RETRY_AFTER_MS))
    }

    fn check_slot(&self, slot: Slot) -> Result<(), Failure> {
        let mut busy = self.busy.lock();
        let Some(until) = busy.get(&slot).copied() else { return Ok(()) };
        let wait = until.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            busy.remove(&slot);
            return Ok(());
        }
        Err(Failure::busy(u64::try_from(wait.as_millis()).unwrap_or(RETRY_AFTER_MS)))
    }

    /// These slots take nothing for a while; 0 ends it.
    pub(crate) fn slots_busy(&self, slots: &[Slot], retry_after_ms: u64) {
        let until = Instant::now() + Duration::from_millis(retry_after_ms.min(60_000));
        let mut busy = self.busy.lock();
        for slot in slots {
            if retry_after_ms == 0 {
                busy.remove(slot);
            } else {
                busy.insert(*slot, until);
            }
        }
    }

    /// An outcome came.
    pub(crate) fn tell(&self, event: OutcomeEvent) {
        let mut waiting = self.waiting.lock();
        let connection = event.reply.connection;
        if waiting.get(&connection).is_some_and(|place| place.command.message_id == event.message_id)
            && let Some(place) = waiting.remove(&connection)
        {
            // A caller who has gone needs no answer.
            let _gone = place.told.send(event.outcome);
        }
    }

    /// Outcomes may have been missed: everything that waits is published again.
    pub(crate) async fn publish_again(&self) {
        let commands: Vec<_> = self.waiting.lock().values().map(|waiting| waiting.command.clone()).collect();
        for command in commands {
            self.metrics.republished.inc();
            if self.enqueue(self.map.slot_of(command.room), command).await.is_err() {
                return;
            }
        }
    }

    fn refuse(&self, commands: &[Command], retry_after_ms: u64) {
        for command in commands {
            let Some(reply) = command.reply else { continue };
            let refusal = klatch_domain::Refusal::retryable(
                klatch_domain::Code::Busy,
                "the server cannot take it just now; try the same request again",
                retry_after_ms,
            );
            let outcome = Outcome::Refused(refusal);
            self.tell(OutcomeEvent { reply, message_id: command.message_id, room: command.room, outcome });
        }
    }
}

struct Publisher {
    queue: u16,
    bus: Bus,
    outcomes: Arc<Outcomes>,
}

impl Publisher {
    async fn run(self, mut commands: mpsc::Receiver<Command>, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            let received = tokio::select! {
                received = commands.recv_many(&mut batch, BATCH) => received,
                () = stop.cancelled() => return,
            };
            if received == 0 {
                return;
            }
            self.publish(std::mem::take(&mut batch), &stop).await;
        }
    }

    async fn publish(&self, batch: Vec<Command>, stop: &CancellationToken) {
        for _ in 0..ATTEMPTS {
            match self.bus.commands.publish(self.queue, batch.clone()).await {
                Ok(()) => return,
                Err(PublishError::Full { retry_after_ms }) => return self.outcomes.refuse(&batch, retry_after_ms),
                Err(PublishError::Unknown(reason)) => {
                    tracing::warn!(queue = self.queue, reason, "a publish was not confirmed; the same again");
                    tokio::select! {
                        () = tokio::time::sleep(UNCONFIRMED_PAUSE) => {}
                        () = stop.cancelled() => return,
                    }
                }
            }
        }
        self.outcomes.refuse(&batch, RETRY_AFTER_MS);
    }
}
