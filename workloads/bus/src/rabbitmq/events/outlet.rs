//! One channel on which events leave. It is opened again by a task of its own: whoever publishes never waits for a broker
//! that is away.
//!
//! The broker confirms what it has taken, and nobody here waits for that in the way of the next message: a second task hears
//! the confirms and notes what they prove. A channel whose confirms stay away is given up; what it carried is spoken of again
//! by the heartbeats of its streams.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lapin::{
    Channel, Confirmation, ExchangeKind, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions},
    types::FieldTable,
};
use parking_lot::Mutex;
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        backoff::Backoff,
        confirmed::{Lasting, properties},
        link::{Link, LinkError},
    },
    number::Claim,
};

/// How long a message may take to leave this process: longer, and the broker takes nothing more just now.
const SEND_WAIT: Duration = Duration::from_secs(2);
/// Messages whose confirm has not come: more than a broker leaves open while it takes anything, a second of the busiest lane.
const UNDER_WAY: usize = 16_384;
/// How long a channel that is given up may take to close. A frozen connection takes it along later.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Outlet {
    link: Arc<Link>,
    channel: Mutex<Option<Open>>,
    lost: Notify,
    opened: AtomicU64,
    under_way: mpsc::Sender<UnderWay>,
    confirm_timeout: Duration,
}

/// A channel and which one it is: channel numbers of AMQP come again.
#[derive(Clone)]
struct Open {
    number: u64,
    channel: Channel,
}

/// A message that was sent.
struct UnderWay {
    on: Open,
    confirm: PublisherConfirm,
    claim: Option<Claim>,
}

impl Outlet {
    pub(super) async fn open(link: Arc<Link>, confirm_timeout: Duration, stop: CancellationToken) -> Arc<Self> {
        let (under_way, sent) = mpsc::channel(UNDER_WAY);
        let outlet = Arc::new(Self {
            link,
            channel: Mutex::default(),
            lost: Notify::new(),
            opened: AtomicU64::new(0),
            under_way,
            confirm_timeout,
        });
        if let Err(error) = outlet.reopen().await {
            tracing::warn!(%error, "no events can be sent yet");
        }
        tokio::spawn(Arc::clone(&outlet).hear_confirms(sent, stop.clone()));
        tokio::spawn(Arc::clone(&outlet).keep(stop));
        outlet
    }

    async fn reopen(&self) -> Result<(), LinkError> {
        let channel = self.link.channel().await?;
        self.link.answer("ask for confirms at", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        *self.channel.lock() = Some(Open { number, channel });
        Ok(())
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
            if let Err(error) = self.reopen().await {
                tracing::warn!(%error, "no events can be sent");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(backoff.next()) => {}
                }
            }
        }
    }

    /// Notes what the broker has confirmed. Confirms come in the order of the messages, or nearly.
    async fn hear_confirms(self: Arc<Self>, mut sent: mpsc::Receiver<UnderWay>, stop: CancellationToken) {
        let mut given_up = None;
        loop {
            let UnderWay { on, confirm, claim } = tokio::select! {
                () = stop.cancelled() => return,
                Some(next) = sent.recv() => next,
            };
            if given_up == Some(on.number) {
                continue;
            }
            match timeout(self.confirm_timeout, confirm).await {
                Ok(Ok(Confirmation::Ack(returned))) => {
                    if let Some(claim) = claim {
                        claim.prove(returned.is_some());
                    }
                }
                // Its stream is spoken of again.
                Ok(Ok(Confirmation::Nack(_) | Confirmation::NotRequested) | Err(_)) => {}
                Err(_) => {
                    tracing::warn!(within = ?self.confirm_timeout, "the broker does not confirm events");
                    given_up = Some(on.number);
                    self.give_up(on);
                }
            }
        }
    }

    fn connected(&self) -> Option<Open> {
        self.channel.lock().clone().filter(|open| open.channel.status().connected())
    }

    /// Nothing more is sent on this channel.
    fn give_up(&self, open: Open) {
        let Open { number, channel } = open;
        {
            let mut held = self.channel.lock();
            if held.as_ref().is_some_and(|held| held.number == number) {
                *held = None;
            }
        }
        self.lost.notify_one();
        tokio::spawn(async move {
            let _ = timeout(CLOSE_WAIT, channel.close(200, "given up".into())).await;
        });
    }

    /// Sends one message. Whether it left; that the broker has it is known when its claim is proven.
    pub(super) async fn send(&self, exchange: &str, key: &str, kind: &str, body: &[u8], claim: Option<Claim>) -> bool {
        let Some(open) = self.connected() else {
            self.lost.notify_one();
            return false;
        };
        let mandatory = claim.as_ref().is_some_and(Claim::asks_who_is_there);
        let (options, properties) =
            (BasicPublishOptions { mandatory, ..BasicPublishOptions::default() }, properties(kind, Lasting::Transient));
        let sending = open.channel.basic_publish(exchange.into(), key.into(), options, body, properties);
        let confirm = match timeout(SEND_WAIT, sending).await {
            Ok(Ok(confirm)) => confirm,
            Ok(Err(_)) | Err(_) => {
                self.give_up(open);
                return false;
            }
        };
        match self.under_way.try_send(UnderWay { on: open, confirm, claim }) {
            // Closed: the bus has shut down, and nobody asks any more.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            // The broker has stopped to confirm.
            Err(TrySendError::Full(sent)) => self.give_up(sent.on),
        }
        true
    }

    /// Waits until what was sent has been routed: the broker answers a channel's requests in order. The exchange must be there:
    /// the broker closes a channel that asks for another.
    pub(super) async fn flush(&self, exchange: &str) {
        let Some(Open { channel, .. }) = self.connected() else { return };
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let asked = channel.exchange_declare(exchange.into(), ExchangeKind::Direct, options, FieldTable::default());
        if let Err(error) = self.link.answer("wait for what was sent to", asked).await {
            tracing::debug!(%error, "what was sent may still be under way");
        }
    }
}
