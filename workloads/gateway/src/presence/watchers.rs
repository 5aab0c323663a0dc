//! Who wants to know how a user stands.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use klatch_bus::PresenceStatus as Status;
use klatch_domain::{Code, Timestamp, UserId};
use klatch_protocol::{ErrorFrame, PresenceFrame, PresenceStatus, ServerFrame};
use parking_lot::Mutex;

use crate::{
    batch::Batch,
    connection::{Connection, NotWatched, WATCHED_USERS},
    core::Core,
    lookups::Ask,
    rooms::CannotAsk,
};

/// Connections by the user they watch.
#[derive(Default)]
pub(crate) struct PresenceWatchers(Mutex<HashMap<UserId, Vec<Arc<Connection>>, RandomState>>);

impl PresenceWatchers {
    fn add(&self, user: UserId, connection: &Arc<Connection>) -> Result<(), NotWatched> {
        let mut watchers = self.0.lock();
        if connection.watching.lock().add_user(user)? {
            watchers.entry(user).or_default().push(Arc::clone(connection));
        }
        Ok(())
    }

    /// No longer watches.
    pub(crate) fn unwatch(&self, user: UserId, connection: &Arc<Connection>) -> bool {
        let mut watchers = self.0.lock();
        let watched = connection.watching.lock().remove_user(user);
        if watched && let Some(of_user) = watchers.get_mut(&user) {
            of_user.retain(|watcher| !Arc::ptr_eq(watcher, connection));
            if of_user.is_empty() {
                watchers.remove(&user);
            }
        }
        watched
    }

    /// Those of these connections that watch this user, and no longer do now.
    fn take_watchers(&self, user: UserId, among: &[Arc<Connection>]) -> Vec<Arc<Connection>> {
        among.iter().filter(|connection| self.unwatch(user, connection)).cloned().collect()
    }

    /// The connection is over; its own list is empty already.
    pub(crate) fn drop_watcher(&self, user: UserId, connection: &Arc<Connection>) {
        let mut watchers = self.0.lock();
        if let Some(of_user) = watchers.get_mut(&user) {
            of_user.retain(|watcher| !Arc::ptr_eq(watcher, connection));
            if of_user.is_empty() {
                watchers.remove(&user);
            }
        }
    }

    /// A user stands differently now.
    pub(crate) fn tell(&self, user: UserId, status: Status, last_active: Option<Timestamp>, batch: &mut Batch) {
        let watchers = self.0.lock();
        let Some(of_user) = watchers.get(&user) else { return };
        let piece = batch.frame(&frame(user, status, last_active));
        of_user.iter().for_each(|watcher| batch.add(watcher, piece));
    }
}

/// Asks in the background whose presence a connection may see, and how they stand.
pub(crate) fn ask(core: &Core, connection: &Arc<Connection>, users: Vec<UserId>) -> Result<(), CannotAsk> {
    if !connection.begin_asking() {
        return Err(CannotAsk);
    }
    let ask = Ask::Presence { connection: Arc::clone(connection), users };
    core.asks.try_send(ask).map_err(|_| {
        connection.end_asking();
        CannotAsk
    })
}

/// Two users stand differently to each other now: whether one may still see the other is asked again.
pub(crate) fn verify_watch(core: &Core, viewer: UserId, user: UserId) {
    let Some(viewer) = core.registry.user(viewer) else { return };
    for connection in core.presence.take_watchers(user, &viewer.connections()) {
        if let Err(CannotAsk) = ask(core, &connection, vec![user]) {
            core.instruments.metrics.dropped("presence").inc();
        }
    }
}

fn frame(user: UserId, status: Status, last_active: Option<Timestamp>) -> ServerFrame {
    let status = match status {
        Status::Online => PresenceStatus::Online,
        Status::Away => PresenceStatus::Away,
        Status::Offline => PresenceStatus::Offline,
    };
    ServerFrame::Presence(PresenceFrame { user, status, last_active })
}

/// Answers `watch` with how those stand whom this connection may see, and tells it of changes from then on.
pub(crate) async fn answer_watch(core: &Core, connection: &Arc<Connection>, users: Vec<UserId>) {
    let Some(identity) = connection.identity() else { return };
    let answered = watch(core, connection, identity.user.id, &users).await;
    connection.end_asking();
    if let Err((code, detail)) = answered {
        connection.push_frame(&ServerFrame::Error(ErrorFrame { code, detail: detail.into(), reference: None }));
    }
}

async fn watch(
    core: &Core,
    connection: &Arc<Connection>,
    viewer: UserId,
    users: &[UserId],
) -> Result<(), (Code, String)> {
    let visible = core.queries.visible_presence(viewer, users).await.map_err(|error| {
        core.instruments.metrics.queries_failed.inc();
        tracing::warn!(%error, "cannot ask whose presence a user may see");
        (Code::Busy, "presence is not known just now".to_owned())
    })?;
    // Watched before the answer is read, so that no change falls between.
    for user in &visible {
        core.presence.add(*user, connection).map_err(|refused| match refused {
            NotWatched::TooMany => {
                (Code::ValidationFailed, format!("a connection watches at most {WATCHED_USERS} users"))
            }
            NotWatched::Ended => (Code::Busy, "the connection is over".to_owned()),
        })?;
    }
    let statuses = core.bus.presence.statuses(&visible).await.map_err(|error| {
        core.instruments.metrics.presence_failed.inc();
        tracing::warn!(%error, "cannot ask how users stand");
        (Code::Busy, "presence is not known just now".to_owned())
    })?;
    let mut batch = Batch::default();
    for one in statuses {
        batch.add_frame(connection, &frame(one.user, one.status, one.last_active));
    }
    batch.flush().await;
    Ok(())
}
