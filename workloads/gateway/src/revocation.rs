//! Sessions that ended: their tokens are good for some minutes still, and are refused here.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use klatch_domain::{SessionId, UserId};
use klatch_identity::LONGEST_TOKEN;
use klatch_protocol::close;
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::core::Core;

/// How often revocations are asked for again: an event may get lost without anyone noticing.
const RELOAD: Duration = Duration::from_secs(60);
/// After a failed question.
const RELOAD_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How much longer than any token lives a revocation is remembered: clocks differ.
const SLACK: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Revoked {
    /// With the millisecond of the timer from which no token of the session can be valid. Bounded by time: what ends in a
    /// token's lifetime.
    sessions: Mutex<HashMap<SessionId, u64, RandomState>>,
    loaded: AtomicBool,
}

impl Revoked {
    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.sessions.lock().contains_key(&session)
    }

    /// Until then nobody is let in.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    fn add(&self, session: SessionId, now_ms: u64) {
        let forgotten = now_ms + (LONGEST_TOKEN + SLACK).as_millis() as u64;
        self.sessions.lock().entry(session).or_insert(forgotten);
    }

    fn purge(&self, now_ms: u64) {
        let mut sessions = self.sessions.lock();
        sessions.retain(|_, forgotten| *forgotten > now_ms);
        sessions.shrink_to_fit();
    }
}

/// A session ended: its connections close at once, and no new one is let in.
pub(crate) fn revoke(core: &Core, session: SessionId, user: UserId) {
    // Remembered first: a `hello` under way looks after it has joined.
    core.revoked.add(session, core.instruments.timer.millis());
    for connection in core.registry.connections_of_session(user, session) {
        connection.close(close::SESSION_REVOKED, "the session was revoked");
    }
}

/// Asks for what ended while any token lives. Answers whether that worked.
pub(crate) async fn reload(core: &Core) -> bool {
    let since = core.now().minus(LONGEST_TOKEN + SLACK);
    match core.queries.revoked_since(since).await {
        Ok(revoked) => {
            core.revoked.purge(core.instruments.timer.millis());
            for (session, user) in revoked {
                revoke(core, session, user);
            }
            core.revoked.loaded.store(true, Ordering::Release);
            true
        }
        Err(error) => {
            core.instruments.metrics.queries_failed.inc();
            tracing::warn!(%error, "cannot ask which sessions were revoked; trying again");
            false
        }
    }
}

/// Asks again and again, as events may get lost.
pub(crate) async fn run(core: Arc<Core>) {
    let mut pause = if core.revoked.is_loaded() { RELOAD } else { RELOAD_AFTER_FAILURE };
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = if reload(&core).await { RELOAD } else { RELOAD_AFTER_FAILURE };
    }
}
