//! One channel on which events leave. It is opened again by a task of its own: whoever publishes never waits for a broker
//! that is away.

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel, ExchangeKind,
    options::{BasicPublishOptions, ExchangeDeclareOptions},
    types::FieldTable,
};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::super::{
    backoff::Backoff,
    confirmed::{Lasting, properties},
    link::Link,
};

/// How long a message may take to leave this process: longer, and the broker takes nothing more just now.
const SEND_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Outlet {
    link: Arc<Link>,
    channel: Mutex<Option<Channel>>,
    lost: Notify,
}

impl Outlet {
    pub(super) async fn open(link: Arc<Link>, stop: CancellationToken) -> Arc<Self> {
        let channel = link.channel().await.inspect_err(|error| tracing::warn!(%error, "no events can be sent yet"));
        let outlet = Arc::new(Self { link, channel: Mutex::new(channel.ok()), lost: Notify::new() });
        tokio::spawn(Arc::clone(&outlet).keep(stop));
        outlet
    }

    /// Opens the channel again whenever it is missed.
    async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut backoff = Backoff::new();
        loop {
            if self.connected().is_some() {
                backoff = Backoff::new();
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.lost.notified() => {}
                }
                continue;
            }
            match self.link.channel().await {
                Ok(channel) => *self.channel.lock() = Some(channel),
                Err(error) => {
                    tracing::warn!(%error, "no events can be sent");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep(backoff.next()) => {}
                    }
                }
            }
        }
    }

    fn connected(&self) -> Option<Channel> {
        self.channel.lock().clone().filter(|channel| channel.status().connected())
    }

    /// Sends one message, without a confirm. Whether it left.
    pub(super) async fn send(&self, exchange: &str, key: &str, kind: &str, body: &[u8]) -> bool {
        let Some(channel) = self.connected() else {
            self.lost.notify_one();
            return false;
        };
        let properties = properties(kind, Lasting::Transient);
        let sending =
            channel.basic_publish(exchange.into(), key.into(), BasicPublishOptions::default(), body, properties);
        if matches!(timeout(SEND_WAIT, sending).await, Ok(Ok(_))) {
            return true;
        }
        *self.channel.lock() = None;
        self.lost.notify_one();
        false
    }

    /// Waits until what was sent has been routed: the broker answers a channel's requests in order. The exchange must be there:
    /// the broker closes a channel that asks for another.
    pub(super) async fn flush(&self, exchange: &str) {
        let Some(channel) = self.connected() else { return };
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let asked = channel.exchange_declare(exchange.into(), ExchangeKind::Direct, options, FieldTable::default());
        if let Err(error) = self.link.answer("wait for what was sent to", asked).await {
            tracing::debug!(%error, "what was sent may still be under way");
        }
    }
}
