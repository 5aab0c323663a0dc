//! Registers users and keeps the lease.

use std::{
    mem::take,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use klatch_bus::{Presence, PresenceUnknown, Signal, UserPresence};
use klatch_domain::{RoomId, limits::CONTENT_BYTES, limits::FRAME_BYTES};
use klatch_protocol::{Limits, Resumed, ServerFrame, Welcome};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::rooms::{self, RoomKeeper};
use crate::{
    batch::Batch,
    connection::{Connection, Identity},
    core::Core,
    registry::User,
};

/// Users of one call: a storm of connects stays a few calls, each of a few ten KB.
const AT_ONCE: usize = 1_024;
/// How long presence may take to answer before it counts as unknown: connects wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be registered.
#[derive(Default)]
pub(crate) struct Registrar {
    pending: Mutex<Pending>,
    pub(super) wake: Notify,
    /// Other gateways live; true while that is not known.
    others: AtomicBool,
    /// Presence does not know everything it should: all users are registered again with the next lease.
    behind: AtomicBool,
    /// The large rooms that have members here.
    pub(crate) rooms: RoomKeeper,
    /// One call at a time: two could overtake each other.
    pub(super) calling: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Pending {
    /// Who has gained a first or lost a last connection. Bounded by the gateway's connections.
    changed: Vec<Arc<User>>,
    /// Who waits for `welcome`.
    arriving: Vec<Arc<Connection>>,
    /// Users without connections whose limits must be remembered a while.
    resting: Vec<Arc<User>>,
}

impl Registrar {
    pub(crate) fn has_others(&self) -> bool {
        self.others.load(Ordering::Relaxed)
    }

    /// A connection waits for `welcome`.
    pub(crate) fn arrived(&self, connection: &Arc<Connection>) {
        self.pending.lock().arriving.push(Arc::clone(connection));
        self.wake.notify_one();
    }

    /// A user's last connection is gone.
    pub(crate) fn changed(&self, user: Arc<User>) {
        self.pending.lock().changed.push(user);
        self.wake.notify_one();
    }

    fn take(&self) -> (Vec<Arc<User>>, Vec<Arc<Connection>>) {
        let mut pending = self.pending.lock();
        (take(&mut pending.changed), take(&mut pending.arriving))
    }
}

/// Registers until the gateway stops.
pub(crate) async fn run_registrar(core: Arc<Core>) {
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = core.registrar.wake.notified() => {}
        }
        let (mut users, arriving) = core.registrar.take();
        users.extend(arriving.iter().filter_map(|connection| Some(Arc::clone(&connection.identity()?.user))));
        register(&core, &users).await;
        rooms::take(&core, &users).await;
        forget(&core, users);
        for connection in arriving {
            welcome(&core, &connection);
        }
    }
}

/// Tells presence about those who stand differently from what it was told last.
async fn register(core: &Core, users: &[Arc<User>]) {
    let _calling = core.registrar.calling.lock().await;
    for chunk in users.chunks(AT_ONCE) {
        let changes = chunk
            .iter()
            .filter_map(|user| {
                let connected = user.is_connected();
                let known = user.registered.swap(connected, Ordering::AcqRel);
                (known != connected).then_some((user.id, connected))
            })
            .collect::<Vec<_>>();
        if changes.is_empty() {
            continue;
        }
        match within(core.bus.presence.set(core.incarnation, &changes, core.now())).await {
            Ok(transitions) => announce(core, transitions).await,
            Err(error) => {
                // Fan-out goes by the lanes meanwhile. Whether they were told is unknown: they are told again.
                for (user, connected) in &changes {
                    if let Some(user) = core.registry.user(*user) {
                        user.registered.store(!connected, Ordering::Release);
                    }
                }
                core.registrar.behind.store(true, Ordering::Release);
                core.instruments.metrics.presence_failed.inc();
                tracing::warn!(%error, users = changes.len(), "cannot register users; trying again with the next lease");
            }
        }
    }
}

pub(crate) async fn within<T>(call: impl Future<Output = Result<T, PresenceUnknown>>) -> Result<T, PresenceUnknown> {
    timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(PresenceUnknown("no answer in time".to_owned())))
}

/// Those who came and went, to who watches them here and elsewhere.
async fn announce(core: &Core, transitions: Vec<UserPresence>) {
    let mut batch = Batch::default();
    for UserPresence { user, status, last_active } in transitions {
        core.presence.tell(user, status, last_active, &mut batch);
        core.outgoing.add(core, Signal::Presence { user, status, last_active });
    }
    batch.flush().await;
}

fn forget(core: &Core, mut users: Vec<Arc<User>>) {
    users.append(&mut core.registrar.pending.lock().resting);
    let resting = core.registry.forget(&users, core.instruments.timer.micros());
    core.registrar.pending.lock().resting = resting;
    core.instruments.metrics.users.set(core.registry.user_count() as i64);
}

fn welcome(core: &Core, connection: &Arc<Connection>) {
    let Some(Identity { user, session }) = connection.identity() else { return };
    let limits = &core.settings.limits;
    connection.open(&ServerFrame::Welcome(Welcome {
        connection: connection.id,
        session: *session,
        user: user.id,
        inbox: RoomId::inbox_of(user.id),
        server_time: core.now(),
        heartbeat_ms: core.settings.heartbeat_ms,
        limits: Limits {
            frame_bytes: FRAME_BYTES as u64,
            content_bytes: CONTENT_BYTES as u64,
            in_flight: limits.in_flight as u64,
            sends_per_second: u64::from(limits.sends_per_second),
        },
        // Nothing is kept for a connection that is gone: clients sync.
        resumed: Resumed::None,
    }));
}

/// Takes or renews the lease. When presence had lost it, or could not be told something, users are registered again, and
/// what was published meanwhile may have gone past this gateway: that is a gap.
pub(crate) async fn renew(core: &Core) {
    let lease = within(core.bus.presence.renew(core.incarnation)).await;
    match &lease {
        Ok(held) => {
            let behind = core.registrar.behind.swap(false, Ordering::AcqRel);
            if !held || behind {
                register_again(core, *held).await;
            }
        }
        Err(error) => {
            core.registrar.behind.store(true, Ordering::Release);
            core.instruments.metrics.presence_failed.inc();
            tracing::warn!(%error, "cannot renew the lease; messages come by the lanes meanwhile");
        }
    }
    let live = within(core.bus.presence.gateways_of(&[])).await.map(|found| found.live);
    core.registrar.others.store(live.as_ref().map_or(true, |live| *live > 1), Ordering::Relaxed);
    if let Ok(held) = lease {
        rooms::renewed(core, held, live.ok()).await;
    }
}

async fn register_again(core: &Core, held: bool) {
    let users = core.registry.users();
    if users.is_empty() {
        return;
    }
    if !held {
        // Nothing of what presence was told is left.
        users.iter().for_each(|user| user.registered.store(false, Ordering::Release));
    }
    register(core, &users).await;
    forget(core, users);
    core.recovery.begin();
}

/// Renews every third of the lease until the gateway stops.
pub(crate) async fn run_lease(core: Arc<Core>) {
    let period = Duration::from_secs(<dyn Presence>::LEASE_SECONDS) / 3;
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = sleep(period) => {}
        }
        renew(&core).await;
        // Limits come to rest without anyone noticing.
        forget(&core, Vec::new());
    }
}
