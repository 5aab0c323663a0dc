//! Signals: lossy news between gateways, typing and presence.

use std::sync::Arc;

use async_trait::async_trait;
use klatch_domain::{Content, Incarnation, RoomId, Timestamp, UserId};

/// Whether a user is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceStatus {
    /// Connected and active.
    Online,
    /// Connected, idle.
    Away,
    /// Not connected.
    Offline,
}

/// One signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// For members who watch the room.
    Room {
        /// Which room.
        room: RoomId,
        /// From whom.
        user: UserId,
        /// "typing", or what a client makes up.
        kind: Arc<str>,
        /// The client's own.
        payload: Option<Content>,
    },
    /// For those who watch this user.
    Presence {
        /// Who.
        user: UserId,
        /// How.
        status: PresenceStatus,
        /// When last active, unless online.
        last_active: Option<Timestamp>,
    },
}

/// Signals from each gateway to the others.
#[async_trait]
pub trait Signals: Send + Sync + 'static {
    /// To every other gateway, at most once, dropped and counted where a queue is full.
    async fn publish(&self, from: Incarnation, signals: Vec<Signal>);

    /// Subscribes a gateway.
    async fn subscribe(&self, gateway: Incarnation) -> Box<dyn SignalReceiver>;
}

/// A gateway's end. Dropping it unsubscribes.
#[async_trait]
pub trait SignalReceiver: Send {
    /// What comes next; `None` when the bus has shut down. Cancel safe.
    async fn receive(&mut self) -> Option<Vec<Signal>>;
}
