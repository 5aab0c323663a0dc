//! Consuming a queue: a task that keeps a channel attached, reads what is delivered and hands it on in order.
//!
//! It leaves by closing the channel and never by `basic.cancel`, after which the broker would give a successor the newer
//! messages while this one still holds the older ones. lapin's `Consumer` cancels when it is dropped, so it is dropped only
//! after its channel was closed.

use std::{mem::ManuallyDrop, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::{
    Acker, Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{backoff::Backoff, link::Link, link::LinkError, metrics::Metrics};

/// How long a leaving consumer waits for the broker to say that its channel is closed.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// When the bus shuts down: how long messages that still wait are handed out, and how often it is looked whether any do.
const LAST_LOOKS: u32 = 20;
const LAST_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Turns a message into what its receiver takes.
#[async_trait]
pub(super) trait Reader: Send + Sync + 'static {
    /// What a message holds.
    type Item: Send + 'static;

    /// Reads a message. `None` when nothing of it can be read: it is rejected, and so goes to the dead letters.
    ///
    /// # Errors
    /// Why it cannot be dealt with just now: the channel is closed, and everything comes again.
    async fn read(&self, body: Vec<u8>) -> Result<Option<Self::Item>, String>;
}

/// How a queue is consumed.
pub(super) struct Intake<R> {
    pub(super) link: Arc<Link>,
    pub(super) queue: String,
    pub(super) prefetch: u16,
    /// Acknowledged as soon as there is a place for it: for what may be lost.
    pub(super) acknowledge_at_once: bool,
    pub(super) reader: R,
    pub(super) metrics: Arc<Metrics>,
    /// The bus has shut down.
    pub(super) closing: CancellationToken,
}

/// What an intake hands on.
pub(super) enum Taken<T> {
    /// A message, how often it had been handed out before, and how to acknowledge it.
    Message(T, u32, Acker),
    /// The channel was lost: what was handed on before is somebody else's now.
    Lost,
}

/// A channel that consumes.
struct Attached {
    channel: Channel,
    consumer: ManuallyDrop<Consumer>,
}

/// Why a channel is no longer consumed.
enum End {
    /// The receiver is gone.
    Left,
    /// The bus has shut down and nothing waits.
    Drained,
    Lost(String),
}

impl<R: Reader> Intake<R> {
    /// Attaches, and goes on in a task of its own. It ends when `leave` is cancelled or the bus has shut down.
    ///
    /// # Errors
    /// [`LinkError`] when the broker is away or refuses.
    pub(super) async fn start(self, leave: CancellationToken) -> Result<mpsc::Receiver<Taken<R::Item>>, LinkError> {
        let attached = self.attach().await?;
        Ok(self.spawn(Some(attached), leave))
    }

    /// The same, but when that fails it goes on trying.
    pub(super) async fn start_attached(self, leave: CancellationToken) -> mpsc::Receiver<Taken<R::Item>> {
        let attached = self.attach().await;
        let attached = attached.inspect_err(|error| tracing::warn!(queue = self.queue, %error, "cannot consume yet"));
        self.spawn(attached.ok(), leave)
    }

    fn spawn(self, attached: Option<Attached>, leave: CancellationToken) -> mpsc::Receiver<Taken<R::Item>> {
        let (sender, receiver) = mpsc::channel(usize::from(self.prefetch.max(1)));
        tokio::spawn(self.run(attached, sender, leave));
        receiver
    }

    async fn attach(&self) -> Result<Attached, LinkError> {
        let channel = self.link.channel().await?;
        let qos = channel.basic_qos(self.prefetch, BasicQosOptions::default());
        self.link.answer("set the prefetch at", qos).await?;
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(self.queue.as_str().into(), "".into(), options, FieldTable::default());
        let consumer = ManuallyDrop::new(self.link.answer("consume at", consuming).await?);
        Ok(Attached { channel, consumer })
    }

    async fn run(self, mut attached: Option<Attached>, sender: mpsc::Sender<Taken<R::Item>>, leave: CancellationToken) {
        let mut backoff = Backoff::new();
        loop {
            let held = match attached.take() {
                Some(held) => held,
                None => match self.attach().await {
                    Ok(held) => held,
                    Err(error) => {
                        tracing::warn!(queue = self.queue, %error, "cannot consume");
                        tokio::select! {
                            () = leave.cancelled() => return,
                            () = self.closing.cancelled() => return,
                            () = sleep(backoff.next()) => continue,
                        }
                    }
                },
            };
            let mut held = held;
            let end = self.forward(&mut held, &sender, &leave, &mut backoff).await;
            held.close().await;
            let End::Lost(reason) = end else { return };
            tracing::warn!(queue = self.queue, reason, "a consumer's channel was lost");
            self.metrics.ownership_lost.with_label_values(&[&self.queue]).inc();
            if sender.send(Taken::Lost).await.is_err() {
                return;
            }
        }
    }

    /// Hands on what is delivered until the channel is of no more use.
    async fn forward(
        &self,
        held: &mut Attached,
        sender: &mpsc::Sender<Taken<R::Item>>,
        leave: &CancellationToken,
        backoff: &mut Backoff,
    ) -> End {
        let (mut looks, mut empty) = (0, 0);
        loop {
            let next = tokio::select! {
                biased;
                () = leave.cancelled() => return End::Left,
                next = held.consumer.next() => next,
                () = self.closing.cancelled(), if looks == 0 => {
                    looks = 1;
                    continue;
                }
                () = sleep(LAST_LOOK_EVERY), if looks > 1 => None,
                // The first look is at once.
                () = std::future::ready(()), if looks == 1 => None,
            };
            match next {
                Some(Ok(delivery)) => {
                    *backoff = Backoff::new();
                    empty = 0;
                    if let Err(end) = self.hand_on(delivery, sender, leave).await {
                        return end;
                    }
                }
                Some(Err(error)) => return End::Lost(error.to_string()),
                None if looks > 0 && held.channel.status().connected() => {
                    looks += 1;
                    empty = if self.is_empty(held).await { empty + 1 } else { 0 };
                    if looks > LAST_LOOKS || empty > 1 {
                        return End::Drained;
                    }
                }
                None => return End::Lost("the broker ended the consumer".to_owned()),
            }
        }
    }

    /// Whether the queue holds nothing that could still be delivered. What was delivered before the broker's answer may lie
    /// here unread: one answer is not enough.
    async fn is_empty(&self, held: &mut Attached) -> bool {
        let options = QueueDeclareOptions::durable().passive();
        let asked = held.channel.queue_declare(self.queue.as_str().into(), options, FieldTable::default());
        match self.link.answer("look at a queue of", asked).await {
            Ok(queue) => queue.message_count() == 0,
            Err(_) => true,
        }
    }

    async fn hand_on(
        &self,
        delivery: Delivery,
        sender: &mpsc::Sender<Taken<R::Item>>,
        leave: &CancellationToken,
    ) -> Result<(), End> {
        let redeliveries = redeliveries(&delivery);
        if redeliveries > 0 {
            self.metrics.redelivered.with_label_values(&[&self.queue]).inc();
        }
        let Delivery { data, acker, .. } = delivery;
        let item = match self.reader.read(data).await {
            Ok(Some(item)) => item,
            Ok(None) => {
                let rejected = acker.reject(BasicRejectOptions { requeue: false }).await;
                return rejected.map(drop).map_err(|error| End::Lost(error.to_string()));
            }
            Err(reason) => return Err(End::Lost(reason)),
        };
        let place = tokio::select! {
            biased;
            () = leave.cancelled() => return Err(End::Left),
            place = sender.reserve() => place.map_err(|_| End::Left)?,
        };
        if self.acknowledge_at_once {
            acker.ack(BasicAckOptions::default()).await.map_err(|error| End::Lost(error.to_string()))?;
        }
        place.send(Taken::Message(item, redeliveries, acker));
        Ok(())
    }
}

impl Attached {
    /// Closes the channel, which gives back everything in order, and only then lets go of the consumer.
    async fn close(self) {
        let Self { channel, consumer } = self;
        let closed = timeout(CLOSE_WAIT, channel.close(200, "done".into())).await;
        if !channel.status().connected() || matches!(closed, Ok(Ok(()))) {
            drop(ManuallyDrop::into_inner(consumer));
        }
        // Else the connection is frozen, and a cancel that came through later would let newer messages overtake.
    }
}

/// How often a quorum queue has handed it out before; absent the first time.
fn redeliveries(delivery: &Delivery) -> u32 {
    let headers = delivery.properties.headers().as_ref();
    let count = headers.and_then(|headers| headers.inner().get("x-delivery-count"));
    let count = match count {
        Some(AMQPValue::LongLongInt(count)) => u32::try_from(*count).unwrap_or(u32::MAX),
        Some(AMQPValue::LongInt(count)) => u32::try_from(*count).unwrap_or(u32::MAX),
        Some(AMQPValue::LongUInt(count)) => *count,
        Some(AMQPValue::ShortInt(count)) => u32::try_from(*count).unwrap_or(u32::MAX),
        Some(AMQPValue::ShortShortInt(count)) => u32::try_from(*count).unwrap_or(u32::MAX),
        Some(AMQPValue::ShortShortUInt(count)) => u32::from(*count),
        Some(AMQPValue::ShortUInt(count)) => u32::from(*count),
        _ => 0,
    };
    // A classic queue only says that it happened.
    count.max(u32::from(delivery.redelivered))
}
