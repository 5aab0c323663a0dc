//! Publishing with a confirm: one channel a publisher, opened again when its answer can no longer be trusted.

use std::{sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::link::Link;

/// Delivery modes of AMQP 0-9-1 (`basic.publish`, property `delivery-mode`).
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// Whether a message outlives its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    Persistent,
    Transient,
}

/// Properties of every message: JSON, and of which kind for people who look into a queue.
pub(super) fn properties(kind: &str, lasting: Lasting) -> BasicProperties {
    let mode = if lasting == Lasting::Persistent { PERSISTENT } else { TRANSIENT };
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_type(kind.into())
        .with_delivery_mode(mode)
}

/// Why nothing was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unconfirmed {
    /// Refused: the queue is full. Nothing was taken.
    Full,
    /// It may have been taken.
    Unknown(String),
}

/// Publishes to one exchange and routing key.
pub(super) struct Confirmed {
    link: Arc<Link>,
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    timeout: Duration,
    channel: Mutex<Option<Numbered>>,
    opening: tokio::sync::Mutex<u64>,
}

/// A channel and which one it is: channel numbers of AMQP come again.
#[derive(Clone)]
struct Numbered {
    number: u64,
    channel: Channel,
}

impl Confirmed {
    pub(super) fn new(
        link: Arc<Link>,
        exchange: &str,
        routing_key: &str,
        properties: BasicProperties,
        timeout: Duration,
    ) -> Self {
        Self {
            link,
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            properties,
            timeout,
            channel: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// Publishes one message and waits for its confirm. Only an acknowledgement that returns nothing is success: one that
    /// returns the message says that no queue took it. Not cancel safe: a dropped call may still publish.
    pub(super) async fn publish(&self, body: &[u8]) -> Result<(), Unconfirmed> {
        let held = self.channel().await?;
        let mut unsettled = Unsettled { of: self, number: Some(held.number) };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirmation = timeout(self.timeout, async {
            let (exchange, key) = (self.exchange.clone(), self.routing_key.clone());
            held.channel.basic_publish(exchange, key, options, body, self.properties.clone()).await?.await
        });
        match confirmation.await {
            Ok(Ok(Confirmation::Ack(None))) => {
                unsettled.number = None;
                Ok(())
            }
            Ok(Ok(Confirmation::Nack(_))) => {
                unsettled.number = None;
                Err(Unconfirmed::Full)
            }
            Ok(Ok(Confirmation::Ack(Some(returned)))) => {
                unsettled.number = None;
                let reply = (returned.reply_code, returned.reply_text.as_str());
                Err(Unconfirmed::Unknown(format!("no queue took it: {} {}", reply.0, reply.1)))
            }
            Ok(Ok(Confirmation::NotRequested)) => Err(Unconfirmed::Unknown("the channel gives no confirms".to_owned())),
            Ok(Err(error)) => Err(Unconfirmed::Unknown(error.to_string())),
            Err(_) => Err(Unconfirmed::Unknown(format!("no confirm within {:?}", self.timeout))),
        }
    }

    async fn channel(&self) -> Result<Numbered, Unconfirmed> {
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let mut last = self.opening.lock().await;
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let opened = async {
            let channel = self.link.channel().await?;
            self.link.answer("ask for confirms at", channel.confirm_select(ConfirmSelectOptions::default())).await?;
            Ok::<_, super::LinkError>(channel)
        };
        let channel = opened.await.map_err(|error| Unconfirmed::Unknown(error.to_string()))?;
        *last += 1;
        let held = Numbered { number: *last, channel };
        *self.channel.lock() = Some(held.clone());
        Ok(held)
    }

    fn held(&self) -> Option<Numbered> {
        self.channel.lock().clone().filter(|held| held.channel.status().connected())
    }

    fn forget(&self, number: u64) {
        let mut held = self.channel.lock();
        if held.as_ref().is_some_and(|held| held.number == number) {
            *held = None;
        }
    }
}

/// A publish without an answer, given up or cancelled: its channel is not used again, as the answer would pile up there.
struct Unsettled<'a> {
    of: &'a Confirmed,
    number: Option<u64>,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.of.forget(number);
        }
    }
}
