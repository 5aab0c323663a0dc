//! Ended sessions: ended in the directory first, then told to everyone, and remembered here for as long as an access token
//! of theirs may live.

use std::{collections::HashMap, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use klatch_bus::{EventPublisher, Target};
use klatch_domain::{Event, SessionId, Timestamp, UserId};
use klatch_service_kit::Clock;
use klatch_store::{Directory, StoreError, directory::Revoke};
use parking_lot::RwLock;
use prometheus::IntGauge;
use tokio::sync::Mutex;

/// How long an ended session is remembered: the longest life of an access token (an hour), and some for clocks that differ.
const REMEMBERED: Duration = Duration::from_secs(65 * 60);
/// Sessions remembered, some 40 bytes each. Beyond, the directory is asked for each call instead.
const SESSIONS: usize = 1_000_000;
/// How far back a start tells the news again: whoever ended them may have died between directory and bus.
const TOLD_AGAIN: Duration = Duration::from_secs(120);
/// Between two attempts to read the directory, when it cannot be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What is known here about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It has not ended.
    Alive,
    /// It has ended.
    Ended,
    /// More have ended than are remembered: ask the directory.
    Unsure,
}

/// The ended sessions.
pub(crate) struct Revocations {
    ended: RwLock<Ended>,
    /// Most sessions remembered.
    bound: usize,
    directory: Arc<dyn Directory>,
    publisher: Mutex<Box<dyn EventPublisher>>,
    clock: Clock,
    gauge: IntGauge,
}

#[derive(Default)]
struct Ended {
    /// With the time until which each matters.
    sessions: HashMap<SessionId, Timestamp, RandomState>,
    /// Something was forgotten too early; over at this time.
    unsure_until: Option<Timestamp>,
    sweep_at: Timestamp,
}

impl Revocations {
    pub(crate) fn new(
        directory: Arc<dyn Directory>,
        publisher: Box<dyn EventPublisher>,
        clock: Clock,
        gauge: IntGauge,
    ) -> Self {
        let ended = RwLock::new(Ended::default());
        Self { ended, bound: SESSIONS, directory, publisher: Mutex::new(publisher), clock, gauge }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }

    /// Reads what has ended lately, and tells the latest of it again.
    pub(crate) async fn start(&self) -> Result<(), StoreError> {
        self.load().await?;
        let lately = self.directory.revoked_since(self.now().minus(TOLD_AGAIN)).await?;
        self.tell(&lately).await;
        Ok(())
    }

    /// Reads what has ended lately: at start, and when news may have been missed.
    pub(crate) async fn load(&self) -> Result<(), StoreError> {
        let ended = self.directory.revoked_since(self.now().minus(REMEMBERED)).await?;
        for (session, _) in ended {
            self.note(session);
        }
        Ok(())
    }

    /// [`Self::load`], again and again until it succeeds.
    pub(crate) async fn load_until_done(&self) {
        while let Err(error) = self.load().await {
            tracing::error!(%error, "cannot read the ended sessions; ended ones may be accepted until it succeeds");
            tokio::time::sleep(READ_AGAIN).await;
        }
    }

    /// A session has ended.
    pub(crate) fn note(&self, session: SessionId) {
        let now = self.now();
        let mut ended = self.ended.write();
        if now >= ended.sweep_at || ended.sessions.len() >= self.bound {
            ended.sessions.retain(|_, until| now < *until);
            ended.sweep_at = now.plus(REMEMBERED / 64);
        }
        if ended.sessions.len() >= self.bound {
            ended.unsure_until = Some(now.plus(REMEMBERED));
            tracing::warn!(
                bound = self.bound,
                "more sessions ended than are remembered; asking the directory for each call"
            );
        } else {
            ended.sessions.insert(session, now.plus(REMEMBERED));
        }
        self.gauge.set(i64::try_from(ended.sessions.len()).unwrap_or(i64::MAX));
    }

    pub(crate) fn known(&self, session: SessionId) -> Known {
        let ended = self.ended.read();
        if ended.sessions.contains_key(&session) {
            Known::Ended
        } else if ended.unsure_until.is_some_and(|until| self.now() < until) {
            Known::Unsure
        } else {
            Known::Alive
        }
    }

    /// Ends sessions of a user, for good and everywhere. Those named are told even when they had ended before, as whoever
    /// ended them may have died before the telling. Not cancel safe between the two: run it where nobody drops it.
    pub(crate) async fn end(&self, user: UserId, which: Revoke<'_>) -> Result<Vec<SessionId>, StoreError> {
        let ended = self.directory.revoke_sessions(user, which, self.now()).await?;
        let told: &[SessionId] = match which {
            Revoke::Only(sessions) => sessions,
            Revoke::All | Revoke::AllExcept(_) => &ended,
        };
        self.tell(&told.iter().map(|session| (*session, user)).collect::<Vec<_>>()).await;
        Ok(ended)
    }

    async fn tell(&self, ended: &[(SessionId, UserId)]) {
        if ended.is_empty() {
            return;
        }
        for (session, _) in ended {
            self.note(*session);
        }
        let events = ended.iter().map(|(session, user)| Event::SessionRevoked { session: *session, user: *user });
        self.publisher.lock().await.publish(vec![(Target::Everyone, events.collect())]).await;
    }
}
