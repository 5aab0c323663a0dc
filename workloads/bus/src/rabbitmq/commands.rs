//! Ingest queues on RabbitMQ: quorum queues with a single active consumer, one AMQP message a publish.
//!
//! A single active consumer is no fence: a frozen one may go on for seconds with what another does again. The shard fences.

use std::{
    sync::{Arc, Weak},
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use klatch_domain::{Code, Command, Event, Incarnation, Outcome, OutcomeEvent, Refusal};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    confirmed::{Confirmed, Lasting, Unconfirmed, properties},
    events::Fanout,
    held::Held,
    intake::{Intake, Reader},
    link::Link,
    metrics::{Metrics, counter},
    names::Names,
    options::Options,
};
use crate::{
    CommandConsumer, Commands, Delivery, OwnershipLost, PublishError, Target,
    payload::commands::{self, Unreadable},
};

/// What a refused publisher waits, milliseconds: half of what a full queue takes to drain, so that it comes back to room.
const RETRY_AFTER_MS: u64 = 500;
/// What a client waits whose command this version cannot read, milliseconds: a rollout takes minutes.
const UNREADABLE_RETRY_MS: u64 = 5_000;

pub(super) struct RabbitmqCommands {
    queues: Vec<IngestQueue>,
    prefetch: u16,
    dead: Arc<DeadLetters>,
    metrics: Arc<Metrics>,
    closing: CancellationToken,
    _close: DropGuard,
}

struct IngestQueue {
    name: String,
    publisher: Confirmed,
    consuming: Arc<Link>,
}

/// Where commands go that nobody here can read.
struct DeadLetters {
    publisher: Confirmed,
    events: Weak<Fanout>,
}

impl RabbitmqCommands {
    /// `publishing` and `consuming` are the brokers' connections.
    pub(super) fn new(
        options: &Options,
        names: &Names,
        (publishing, consuming): (&[Arc<Link>], &[Arc<Link>]),
        events: Weak<Fanout>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let durable = properties("commands", Lasting::Persistent);
        let publisher = |broker: usize, exchange: &str, key: &str| {
            Confirmed::new(Arc::clone(&publishing[broker]), exchange, key, durable.clone(), options.confirm_timeout)
        };
        let queues = (0..options.ingest_queues)
            .map(|number| {
                let broker = options.broker_of(number);
                IngestQueue {
                    name: names.ingest_queue(number),
                    publisher: publisher(broker, &names.ingest(), &number.to_string()),
                    consuming: Arc::clone(&consuming[broker]),
                }
            })
            .collect();
        let dead = DeadLetters { publisher: publisher(0, &names.dead_letters(), &names.dead_ingest()), events };
        let closing = CancellationToken::new();
        Self {
            queues,
            prefetch: options.ingest_prefetch,
            dead: Arc::new(dead),
            metrics: Arc::clone(metrics),
            _close: closing.clone().drop_guard(),
            closing,
        }
    }

    /// Cancelled when the last publisher of commands has gone.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    fn queue(&self, queue: u16) -> Result<&IngestQueue, PublishError> {
        self.queues
            .get(usize::from(queue))
            .ok_or_else(|| PublishError::Unknown(format!("there is no ingest queue {queue}")))
    }
}

#[async_trait]
impl Commands for RabbitmqCommands {
    fn queues(&self) -> u16 {
        // Made from a u16.
        u16::try_from(self.queues.len()).unwrap_or(u16::MAX)
    }

    fn durable(&self) -> bool {
        true
    }

    async fn publish(&self, queue: u16, batch: Vec<Command>) -> Result<(), PublishError> {
        let queue = self.queue(queue)?;
        if batch.is_empty() {
            return Ok(());
        }
        match queue.publisher.publish(&commands::encode(&batch)).await {
            Ok(()) => Ok(()),
            Err(Unconfirmed::Full) => {
                self.metrics.refused.with_label_values(&[&queue.name]).inc_by(counter(batch.len()));
                Err(PublishError::Full { retry_after_ms: RETRY_AFTER_MS })
            }
            Err(Unconfirmed::Unknown(reason)) => {
                self.metrics.unknown.with_label_values(&[&queue.name]).inc();
                Err(PublishError::Unknown(reason))
            }
        }
    }

    async fn consume(&self, queue: u16) -> Result<Box<dyn CommandConsumer>, PublishError> {
        let queue = self.queue(queue)?;
        let reader = CommandReader {
            queue: queue.name.clone(),
            dead: Arc::clone(&self.dead),
            metrics: Arc::clone(&self.metrics),
        };
        let intake = Intake {
            link: Arc::clone(&queue.consuming),
            queue: queue.name.clone(),
            prefetch: self.prefetch,
            acknowledge_at_once: false,
            reader,
            metrics: Arc::clone(&self.metrics),
            closing: self.closing.clone(),
        };
        let leave = CancellationToken::new();
        let inbox = intake.start(leave.clone()).await.map_err(|error| PublishError::Unknown(error.to_string()))?;
        Ok(Box::new(Consumer(Held::new(inbox, leave))))
    }
}

struct Consumer(Held<Arc<Vec<Command>>>);

fn delivery((tag, commands, redeliveries): (u64, Arc<Vec<Command>>, u32)) -> Delivery {
    Delivery { tag, commands, redeliveries }
}

#[async_trait]
impl CommandConsumer for Consumer {
    async fn receive(&mut self) -> Option<Delivery> {
        self.0.receive().await.map(delivery)
    }

    fn try_receive(&mut self) -> Option<Delivery> {
        self.0.try_receive().map(delivery)
    }

    async fn acknowledge(&mut self, tag: u64) -> Result<(), OwnershipLost> {
        self.0.acknowledge(tag).await
    }
}

struct CommandReader {
    queue: String,
    dead: Arc<DeadLetters>,
    metrics: Arc<Metrics>,
}

#[async_trait]
impl Reader for CommandReader {
    type Item = Arc<Vec<Command>>;

    async fn read(&self, body: Vec<u8>) -> Result<Option<Self::Item>, String> {
        let batch = match commands::decode(&body) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(queue = self.queue, %error, "a delivery goes to the dead letters");
                self.metrics.unreadable.with_label_values(&[&self.queue]).inc();
                return Ok(None);
            }
        };
        if !batch.unreadable.is_empty() {
            let count = batch.unreadable.len();
            self.metrics.unreadable.with_label_values(&[&self.queue]).inc_by(counter(count));
            self.dead.take(&self.queue, &batch.unreadable).await?;
        }
        if let Some(first) = batch.commands.first() {
            self.metrics.age.with_label_values(&[&self.queue]).set(age_millis(first.accepted_micros));
        }
        Ok(Some(Arc::new(batch.commands)))
    }
}

/// Of this clock and of another machine's: good enough to see a queue grow old.
fn age_millis(since_micros: u64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let millis = now.saturating_sub(u128::from(since_micros)) / 1_000;
    i64::try_from(millis).unwrap_or(i64::MAX)
}

impl DeadLetters {
    /// Keeps them, then refuses them to whoever waits: a newer version's command is not lost, and not taken for done.
    async fn take(&self, queue: &str, unreadable: &[Unreadable]) -> Result<(), String> {
        for one in unreadable {
            tracing::error!(queue, message_id = ?one.message_id, reason = one.reason, "a command cannot be read");
        }
        let kept = self.publisher.publish(&commands::encode_unreadable(unreadable)).await;
        kept.map_err(|error| format!("unreadable commands could not be kept: {error:?}"))?;
        let batches = unreadable.iter().filter_map(refusal).collect();
        if let Some(events) = self.events.upgrade() {
            // Should it be lost, the same commands find out again.
            drop(events.publisher(Incarnation::now()).publish(batches).await);
        }
        Ok(())
    }
}

fn refusal(one: &Unreadable) -> Option<(Target, Vec<Event>)> {
    let (Some(reply), Some(message_id), Some(room)) = (one.reply, one.message_id, one.room) else { return None };
    let detail = "this version of the server cannot do this yet: send it again";
    let outcome = Outcome::Refused(Refusal::retryable(Code::Busy, detail, UNREADABLE_RETRY_MS));
    let event = Event::Outcome(OutcomeEvent { reply, message_id, room, outcome });
    Some((Target::One(reply.incarnation), vec![event]))
}
