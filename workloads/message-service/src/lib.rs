//! Sequence, persist, fan out: the only writer of messages.
//!
//! A command's way: [`consume`] takes it from an ingest queue, [`track`] keeps the order of its shard, [`round`] looks up what
//! [`plan`] asks for, plans and writes a batch by [`commit`], [`consequence`] brings membership changes to the directory and
//! to inboxes, [`fan_out`] tells gateways and whoever waits, and only then is its delivery acknowledged. A crash anywhere in
//! between repeats work and neither loses nor doubles an entry: the ingest queue is the outbox, the shard is the truth. What
//! a membership change owes outside its shard stands there as follow-ups until [`follower`] or the work itself has paid it.

mod after;
mod backoff;
mod commit;
mod consequence;
mod consume;
mod context;
mod expire;
mod fan_out;
mod follow_up;
mod follower;
mod heads;
mod item;
mod ledger;
mod life;
mod look_up;
mod metrics;
mod notes;
mod notify;
mod own_reads;
mod owners;
mod park;
mod plan;
mod project;
mod receipts;
mod round;
mod supervise;
mod track;
mod watermark;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use klatch_bus::Bus;
use klatch_service_kit::Clock;
use klatch_settings::MessageServiceSettings;
use klatch_store::{Directory, Shards};
use prometheus::Registry;
use tokio::{
    sync::{Mutex, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{consume::Consume, context::Context, metrics::Metrics, own_reads::OwnReads, owners::Owners};

/// What message-service is made of.
pub struct Parts {
    /// Its settings.
    pub settings: MessageServiceSettings,
    /// Commands come from it, events go to it.
    pub bus: Bus,
    /// The shards behind the slot map.
    pub shards: Shards,
    /// Projections go there; blocks and read receipts are asked there.
    pub directory: Arc<dyn Directory>,
    /// Where its metrics show.
    pub registry: Registry,
    /// Gives entries their time.
    pub clock: Clock,
}

/// message-service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The registry holds a writer's metrics already.
    #[error("register the writer's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A running message-service. Dropped without [`MessageService::stop`] it ends at once, wherever it is: what it has not
/// acknowledged is done again by another.
pub struct MessageService {
    queues: usize,
    consuming: Arc<AtomicUsize>,
    /// Stops taking commands.
    stop: CancellationToken,
    consumers: Mutex<JoinSet<()>>,
    /// Stops what must outlive the consumers.
    stop_rest: CancellationToken,
    rest: Mutex<JoinSet<()>>,
}

impl MessageService {
    /// Starts to consume every ingest queue.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { settings, bus, shards, directory, registry, clock } = parts;
        let metrics = Metrics::register(&registry)?;
        let queues = bus.commands.queues();
        let context = Arc::new(Context {
            settings,
            bus,
            directory,
            owners: Owners::new(shards),
            clock,
            metrics,
            own_reads: OwnReads::default(),
            answers: Semaphore::new(consequence::ANSWERS),
            turns: (0..queues).map(|_| Mutex::new(())).collect(),
        });
        let (stop, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let consuming = Arc::new(AtomicUsize::new(0));
        let (mut consumers, mut rest) = (JoinSet::new(), JoinSet::new());
        for queue in 0..queues {
            consumers.spawn(consume_queue(Arc::clone(&context), queue, stop.clone(), Arc::clone(&consuming)));
        }
        rest.spawn(keep(Arc::clone(&context), "watermarks", stop_rest.clone(), watermark::run));
        rest.spawn(keep(context, "expiry", stop_rest.clone(), expire::run));
        Ok(Self {
            queues: usize::from(queues),
            consuming,
            stop,
            consumers: Mutex::new(consumers),
            stop_rest,
            rest: Mutex::new(rest),
        })
    }

    /// Whether it consumes every ingest queue.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.consuming.load(Ordering::Relaxed) == self.queues
    }

    /// Finishes what it has taken, acknowledges it, closes its channels and writes the last watermarks. Takes at most some
    /// two seconds: what is not done by then is done by whoever consumes next.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut consumers = self.consumers.lock().await;
        while let Some(ended) = consumers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a consumer was brought down");
            }
        }
        self.stop_rest.cancel();
        let mut rest = self.rest.lock().await;
        while rest.join_next().await.is_some() {}
    }
}

/// Consumes one queue and tells what became of its commands. The two go together: what one holds is of no use without the
/// other.
async fn consume_queue(context: Arc<Context>, queue: u16, stop: CancellationToken, consuming: Arc<AtomicUsize>) {
    type Part = Pin<Box<dyn Future<Output = ()> + Send>>;
    supervise::keep_running(&context, "a consumer", &stop, || -> Vec<Part> {
        let (outgoing, incoming) = mpsc::unbounded_channel();
        let notes = mpsc::unbounded_channel();
        let fan_out = fan_out::run(Arc::clone(&context), incoming, notes.0.clone());
        let consume = Consume::new(Arc::clone(&context), queue, stop.clone(), Arc::clone(&consuming), outgoing, notes);
        vec![Box::pin(fan_out), Box::pin(consume.run())]
    })
    .await;
}

/// Runs one of the tasks beside the consumers until `stop`.
async fn keep<F>(
    context: Arc<Context>,
    what: &'static str,
    stop: CancellationToken,
    run: impl Fn(Arc<Context>, CancellationToken) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    supervise::keep_running(&context, what, &stop, || vec![run(Arc::clone(&context), stop.clone())]).await;
}
