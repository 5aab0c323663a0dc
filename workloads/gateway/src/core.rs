//! What all parts of one gateway share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use klatch_bus::{Bus, Queries};
use klatch_domain::{Incarnation, Timestamp};
use klatch_identity::Verify;
use klatch_service_kit::Clock;
use klatch_settings::GatewaySettings;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    busy::BusySlots,
    connection::{Connection, Instruments},
    ingest::Ingest,
    limits::Pace,
    lookups::Ask,
    presence::{PresenceWatchers, Registrar},
    recovery::Recovery,
    registry::Registry,
    revocation::Revoked,
    rooms::Rooms,
    shared_limits::SharedSends,
    signals::Outgoing,
    watermarks::Reports,
};

/// Newer tokens a connection may bring in a row, and after how many seconds it may bring one more: each costs a signature
/// check.
const REFRESH_BURST: u64 = 5;
const REFRESH_SECONDS: u64 = 5;

/// How often things may happen, from the settings.
pub(crate) struct Paces {
    /// Sends of one user.
    pub(crate) sends: Pace,
    /// Signals of one connection.
    pub(crate) signals: Pace,
    /// Newer tokens of one connection.
    pub(crate) refreshes: Pace,
}

impl Paces {
    pub(crate) fn new(settings: &GatewaySettings) -> Self {
        let limits = &settings.limits;
        Self {
            sends: Pace::new(limits.sends_per_second, limits.send_burst),
            signals: Pace::new(limits.signals_per_second, limits.signals_per_second),
            refreshes: Pace::slow(REFRESH_SECONDS, REFRESH_BURST),
        }
    }
}

/// One gateway.
pub(crate) struct Core {
    pub(crate) incarnation: Incarnation,
    pub(crate) settings: GatewaySettings,
    pub(crate) bus: Bus,
    pub(crate) queries: Arc<dyn Queries>,
    pub(crate) keys: Arc<dyn Verify>,
    pub(crate) clock: Clock,
    pub(crate) instruments: Arc<Instruments>,
    pub(crate) paces: Paces,
    pub(crate) registry: Registry,
    pub(crate) rooms: Rooms,
    pub(crate) ingest: Ingest,
    pub(crate) busy: BusySlots,
    pub(crate) reports: Reports,
    pub(crate) outgoing: Outgoing,
    pub(crate) shared_sends: SharedSends,
    pub(crate) registrar: Registrar,
    pub(crate) presence: PresenceWatchers,
    pub(crate) revoked: Revoked,
    pub(crate) recovery: Recovery,
    pub(crate) asks: mpsc::Sender<Ask>,
    /// Sockets, from the upgrade to the end of their task.
    pub(crate) seats: Arc<AtomicUsize>,
    pub(crate) draining: AtomicBool,
    /// The bus has shut down: nothing comes any more.
    pub(crate) deaf: AtomicBool,
    /// Ends every task of the gateway.
    pub(crate) stop: CancellationToken,
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }

    pub(crate) fn takes_connections(&self) -> bool {
        self.revoked.is_loaded()
            && !self.draining.load(Ordering::Acquire)
            && !self.deaf.load(Ordering::Acquire)
            && !self.stop.is_cancelled()
    }

    /// Everything a connection leaves behind is cleared away.
    pub(crate) fn leave(&self, connection: &Arc<Connection>) {
        connection.end();
        self.unwatch_all(connection);
        connection.forget_sends();
        if let Some(user) = self.registry.leave(connection) {
            self.registrar.changed(user);
        }
    }

    fn unwatch_all(&self, connection: &Arc<Connection>) {
        let watched = connection.watching.lock().end();
        for room in watched.rooms {
            self.rooms.drop_watcher(room, connection);
        }
        for user in watched.users {
            self.presence.drop_watcher(user, connection);
        }
    }
}
