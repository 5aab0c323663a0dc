//! One gateway: its tasks, from start to drain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use klatch_bus::{EventReceiver, SignalReceiver};
use klatch_domain::Incarnation;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    accept,
    busy::BusySlots,
    connection::Instruments,
    core::{Core, Paces},
    drain, events,
    ingest::{self, Ingest},
    lookups::{self, Ask},
    metrics::Metrics,
    parts::{Parts, StartError, check_settings},
    presence::{self, PresenceWatchers, Registrar},
    recovery::{self, Recovery},
    registry::Registry,
    revocation::{self, Revoked},
    rooms::{Found, Rooms},
    shared_limits::{self, SharedSends},
    shed,
    signals::{self, Outgoing},
    sweep,
    timer::Timer,
    watermarks::{self, Reports},
};

/// How long the gateway's own tasks may take to end after a drain.
const TASKS_END: Duration = Duration::from_secs(2);

/// A chat server. Its tasks end with [`Gateway::drain`], or at once when the last handle is dropped.
pub struct Gateway {
    core: Arc<Core>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

impl Gateway {
    /// Starts a gateway: when this returns, it is subscribed to events and holds its lease, so nothing published from then
    /// on goes past it unnoticed.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { settings, bus, queries, keys, registry, clock } = parts;
        check_settings(&settings)?;
        let metrics = Metrics::register(&registry)?;
        let incarnation = Incarnation::now();
        let (asks, asked) = mpsc::channel(lookups::QUEUED);
        let (found, answers) = mpsc::channel(events::FOUND);
        let stop = CancellationToken::new();
        let receiver = bus.events.subscribe(incarnation, true).await;
        let signal_receiver = bus.signals.subscribe(incarnation).await;
        let core = Arc::new(Core {
            incarnation,
            paces: Paces::new(&settings),
            registry: Registry::default(),
            rooms: Rooms::new(asks.clone(), metrics.rooms.clone()),
            ingest: Ingest::new(bus.commands.queues(), settings.slots),
            busy: BusySlots::default(),
            reports: Reports::default(),
            outgoing: Outgoing::default(),
            shared_sends: SharedSends::default(),
            registrar: Registrar::default(),
            presence: PresenceWatchers::default(),
            revoked: Revoked::default(),
            recovery: Recovery::default(),
            asks,
            seats: Arc::new(AtomicUsize::new(0)),
            draining: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            stop: stop.clone(),
            instruments: Arc::new(Instruments { metrics, timer: Timer::start(), output_bytes: settings.output_bytes }),
            settings,
            bus,
            queries,
            keys,
            clock,
        });
        // Both are tried again by their tasks; until revocations are known nobody is let in.
        revocation::reload(&core).await;
        presence::renew(&core).await;
        let tasks = TaskTracker::new();
        spawn_all(&core, &tasks, Channels { receiver, signal_receiver, asked, found, answers });
        tasks.close();
        Ok(Self { core, tasks, _stop: stop.drop_guard() })
    }

    /// Serves `GET /v1/connect`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/connect", get(accept::connect))
            .method_not_allowed_fallback(accept::method_not_allowed)
            .with_state(Arc::clone(&self.core))
    }

    /// Whether it takes connections.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.core.takes_connections()
    }

    /// Tells every client to come back elsewhere and closes all connections, within the setting `drain_ms`; then ends. Not
    /// cancel safe: a dropped drain leaves connections open that take part in nothing but their own close.
    pub async fn drain(&self) {
        drain::drain(&self.core).await;
        if timeout(TASKS_END, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks of the gateway did not end in time");
        }
        // Last: no task of ours takes the lease again.
        if let Err(error) = self.core.bus.presence.leave(self.core.incarnation).await {
            tracing::warn!(%error, "cannot give up the lease; it runs out by itself");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Their tasks hold what everything else is held by.
        for connection in self.core.registry.all() {
            connection.end();
        }
    }
}

struct Channels {
    receiver: Box<dyn EventReceiver>,
    signal_receiver: Box<dyn SignalReceiver>,
    asked: mpsc::Receiver<Ask>,
    found: mpsc::Sender<Found>,
    answers: mpsc::Receiver<Found>,
}

fn spawn_all(core: &Arc<Core>, tasks: &TaskTracker, channels: Channels) {
    let Channels { receiver, signal_receiver, asked, found, answers } = channels;
    let core = || Arc::clone(core);
    for queue in 0..core().ingest.queues() {
        tasks.spawn(ingest::run(core(), queue));
    }
    tasks.spawn(events::run(core(), receiver, answers));
    tasks.spawn(lookups::run(core(), asked, found));
    tasks.spawn(presence::run_registrar(core()));
    tasks.spawn(presence::run_lease(core()));
    tasks.spawn(recovery::run(core()));
    tasks.spawn(revocation::run(core()));
    tasks.spawn(shared_limits::run(core()));
    tasks.spawn(shed::run(core()));
    tasks.spawn(signals::run_in(core(), signal_receiver));
    tasks.spawn(signals::run_out(core()));
    tasks.spawn(sweep::run(core()));
    tasks.spawn(watermarks::run(core()));
}
