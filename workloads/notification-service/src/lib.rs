//! Whom does a message notify? Consumes notify commands, decides, and hands notifications to whoever pushes.
//!
//! A command's way: [`consume`] holds it for a moment, so that who reads it at once is left alone; [`present`] lets those go who
//! are online; [`room`] reads the others among the room's members page by page and what is known of them; [`decide`] decides,
//! purely; [`push`] takes what is left. Only then is the delivery acknowledged: a crash repeats decisions and loses none.

mod consume;
mod context;
pub mod decide;
mod metrics;
mod present;
pub mod push;
mod room;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use klatch_bus::Bus;
use klatch_service_kit::Clock;
use klatch_settings::NotificationServiceSettings;
use klatch_store::{Directory, Shards};
use prometheus::Registry;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{consume::Consume, context::Context, metrics::Metrics};
pub use crate::{
    decide::{Decision, Recipient},
    push::{Notification, Push},
};

/// What notification-service is made of.
pub struct Parts {
    /// Its settings.
    pub settings: NotificationServiceSettings,
    /// Notify commands come from it, presence is asked there.
    pub bus: Bus,
    /// What members have read.
    pub shards: Shards,
    /// Members, their preferences, blocks.
    pub directory: Arc<dyn Directory>,
    /// Where notifications go.
    pub push: Arc<dyn Push>,
    /// Where its metrics show.
    pub registry: Registry,
    /// The time of day.
    pub clock: Clock,
}

/// notification-service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The registry holds these metrics already.
    #[error("register the metrics of notifications: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Takes notifications to nowhere: until there is an adapter, they are counted (`klatch_notifications_pushed_total`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted;

#[async_trait]
impl Push for Counted {
    async fn push(&self, _: &[Notification]) {}
}

/// A running notification-service. Dropped without [`NotificationService::stop`] it ends at once: what it has not acknowledged
/// is decided on by another.
pub struct NotificationService {
    consuming: Arc<AtomicBool>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl NotificationService {
    /// Starts to consume.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { settings, bus, shards, directory, push, registry, clock } = parts;
        let metrics = Metrics::register(&registry)?;
        let context = Arc::new(Context { settings, presence: bus.presence, shards, directory, push, clock, metrics });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let consuming = Arc::new(AtomicBool::new(false));
        let (told, shown) = (stop.clone(), Arc::clone(&consuming));
        let notifications = bus.notifications;
        tasks.spawn(async move {
            let opened = tokio::select! {
                () = told.cancelled() => return,
                consumer = notifications.consume() => consumer,
            };
            // The consumer alone must not keep the bus from shutting down.
            drop(notifications);
            let mut consumer = opened;
            shown.store(true, Ordering::Relaxed);
            Consume::new(context, told).run(&mut *consumer).await;
            shown.store(false, Ordering::Relaxed);
        });
        tasks.close();
        Ok(Self { consuming, stop, tasks })
    }

    /// Whether it consumes.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.consuming.load(Ordering::Relaxed)
    }

    /// Stops. What was not decided on is another's, or comes again.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for NotificationService {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
