//! Notify commands on RabbitMQ: a durable, bounded queue with competing consumers.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    confirmed::{Confirmed, Lasting, properties},
    held::Held,
    intake::{Intake, Reader},
    link::Link,
    metrics::{Metrics, counter},
    names::Names,
    options::Options,
    pause::Pause,
};
use crate::{
    NotificationConsumer, Notifications, NotifyCommand, NotifyDelivery, OwnershipLost, payload::notifications,
};

pub(super) struct RabbitmqNotifications {
    publisher: Confirmed,
    pause: Pause,
    link: Arc<Link>,
    queue: String,
    prefetch: u16,
    metrics: Arc<Metrics>,
    closing: CancellationToken,
    _close: DropGuard,
}

impl RabbitmqNotifications {
    pub(super) fn new(
        options: &Options,
        names: &Names,
        (publishing, consuming): (&Arc<Link>, &Arc<Link>),
        metrics: &Arc<Metrics>,
    ) -> Self {
        let queue = names.notify();
        let durable = properties("notify", Lasting::Persistent);
        let closing = CancellationToken::new();
        Self {
            // The default exchange leads to the queue of that name.
            publisher: Confirmed::new(Arc::clone(publishing), "", &queue, durable, options.confirm_timeout),
            pause: Pause::new(options.skip_after),
            link: Arc::clone(consuming),
            queue,
            prefetch: options.notify_prefetch,
            metrics: Arc::clone(metrics),
            _close: closing.clone().drop_guard(),
            closing,
        }
    }
}

#[async_trait]
impl Notifications for RabbitmqNotifications {
    async fn publish(&self, batch: Vec<NotifyCommand>) {
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.pause.unless_paused(self.publisher.publish(&notifications::encode(&batch))).await {
            tracing::warn!(?error, commands = batch.len(), "notify commands were skipped");
            self.metrics.dropped.with_label_values(&[&self.queue]).inc_by(counter(batch.len()));
        }
    }

    async fn consume(&self) -> Box<dyn NotificationConsumer> {
        let reader = NotifyReader { queue: self.queue.clone(), metrics: Arc::clone(&self.metrics) };
        let intake = Intake {
            link: Arc::clone(&self.link),
            queue: self.queue.clone(),
            prefetch: self.prefetch,
            acknowledge_at_once: false,
            reader,
            metrics: Arc::clone(&self.metrics),
            closing: self.closing.clone(),
        };
        let leave = CancellationToken::new();
        let inbox = intake.start_attached(leave.clone()).await;
        Box::new(Consumer(Held::new(inbox, leave)))
    }
}

struct Consumer(Held<Vec<NotifyCommand>>);

#[async_trait]
impl NotificationConsumer for Consumer {
    async fn receive(&mut self) -> Option<NotifyDelivery> {
        let (tag, commands, redeliveries) = self.0.receive().await?;
        Some(NotifyDelivery { tag, commands, redeliveries })
    }

    async fn acknowledge(&mut self, tag: u64) -> Result<(), OwnershipLost> {
        self.0.acknowledge(tag).await
    }
}

struct NotifyReader {
    queue: String,
    metrics: Arc<Metrics>,
}

#[async_trait]
impl Reader for NotifyReader {
    type Item = Vec<NotifyCommand>;

    async fn read(&self, body: Vec<u8>) -> Result<Option<Self::Item>, String> {
        match notifications::decode(&body) {
            Ok(batch) => {
                let skipped = counter(batch.skipped);
                self.metrics.unreadable.with_label_values(&[&self.queue]).inc_by(skipped);
                Ok(Some(batch.commands))
            }
            Err(error) => {
                tracing::error!(%error, "notify commands go to the dead letters");
                self.metrics.unreadable.with_label_values(&[&self.queue]).inc();
                Ok(None)
            }
        }
    }
}
