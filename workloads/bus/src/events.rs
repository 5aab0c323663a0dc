//! Events: from message-service (and, for sessions, api) to gateways and api replicas.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use async_trait::async_trait;
use klatch_domain::{Event, Incarnation, RoomId};

/// To whom an event goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Exactly this process.
    One(Incarnation),
    /// Every gateway, through the lane of this room.
    Lane(RoomId),
    /// Every subscriber.
    Everyone,
}

/// Fan-out is at most once: a full queue drops, and the receiver learns that it has missed something.
#[async_trait]
pub trait Events: Send + Sync + 'static {
    /// Opens the numbered streams of one publishing process.
    fn publisher(&self, incarnation: Incarnation) -> Box<dyn EventPublisher>;

    /// Subscribes a process: what is sent to it, to everyone and, when it asks for `lanes`, to every room's lane. Events
    /// published after this returns are received, or a gap is.
    async fn subscribe(&self, incarnation: Incarnation, lanes: bool) -> Box<dyn EventReceiver>;
}

/// One publisher's numbered streams. Order per target holds.
#[async_trait]
pub trait EventPublisher: Send {
    /// Sends to all targets what stands beside them. Never waits for receivers; loss shows there as a gap. Whoever gives
    /// something up because it was told waits for the receipt first.
    async fn publish(&mut self, batches: Vec<(Target, Vec<Event>)>) -> Receipt;
}

/// Resolves once no death of the publisher can hide what was published: every receiver has it to come, or has to come what
/// shows that it is missing. Cancel safe; it may be dropped by whoever could say the same again.
pub struct Receipt(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Receipt {
    /// Of what is there already.
    #[must_use]
    pub const fn at_once() -> Self {
        Self(None)
    }

    /// Of what is there when this ends.
    #[must_use]
    pub fn when(there: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(there)))
    }
}

impl Future for Receipt {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(there) = &mut self.0 else { return Poll::Ready(()) };
        let polled = there.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// Events, in the publisher's order.
    Events(Vec<Event>),
    /// Something was missed here: ask for heads, members and revocations again.
    Gap,
}

/// A subscriber's end. Dropping it unsubscribes.
#[async_trait]
pub trait EventReceiver: Send {
    /// What comes next; `None` when the bus has shut down. Cancel safe.
    async fn receive(&mut self) -> Option<Received>;

    /// What is there already.
    fn try_receive(&mut self) -> Option<Received>;
}
