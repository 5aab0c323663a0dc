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
enum Known {
    /// It has not ended.
    Alive,
    /// It has ended.
    Ended,
    /// More have ended than are remembered: ask the directory.
    Unsure,
}

/// The ended sessions.
pub struct Revocations {
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

    /// Whether a session has ended, which costs a read only when more have ended than are remembered.
    pub(crate) async fn has_ended(&self, session: SessionId) -> Result<bool, StoreError> {
        Ok(match self.known(session) {
            Known::Alive => false,
            Known::Ended => true,
            Known::Unsure => self.directory.session(session).await?.is_none_or(|session| session.revoked_at.is_some()),
        })
    }

    fn known(&self, session: SessionId) -> Known {
        let ended = self.ended.read();
        if ended.sessions.contains_key(&session) {
            Known::Ended
        } else if ended.unsure_until.is_some_and(|until| self.now() < until) {
            Known::Unsure
        } else {
            Known::Alive
        }
    }

    /// Ends sessions of a user, for good and everywhere; answers which were ended now. Those named are told even when they
    /// had ended before, as whoever ended them may have died before the telling. Not cancel safe between the two: run it
    /// where nobody drops it.
    ///
    /// # Errors
    /// [`StoreError`]; after an unknown outcome the same call again tells what there is to tell.
    pub async fn end(&self, user: UserId, which: Revoke<'_>) -> Result<Vec<SessionId>, StoreError> {
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
        let published = self.publisher.lock().await.publish(vec![(Target::Everyone, events.collect())]).await;
        // Should it be lost, gateways read every minute what was ended.
        drop(published);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use klatch_bus::in_process;
    use klatch_domain::Incarnation;
    use klatch_store::{
        directory::{Session, SessionKind},
        sqlite,
    };

    use super::*;

    const START: u64 = 1_800_000_000_000_000;

    struct World {
        revocations: Revocations,
        micros: Arc<AtomicU64>,
        _stores: sqlite::SqliteStores,
        _folder: tempfile::TempDir,
    }

    /// Revocations that remember three.
    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let options = sqlite::Options { slots: 1, shards: 1, readers: 1 };
        let stores = sqlite::open(&folder.path().join("data"), options).unwrap();
        let bus = in_process::bus(in_process::Options::default(), &prometheus::Registry::new()).unwrap();
        let micros = Arc::new(AtomicU64::new(START));
        let clock = Arc::clone(&micros);
        let revocations = Revocations::new(
            Arc::clone(&stores.directory) as Arc<dyn Directory>,
            bus.events.publisher(Incarnation::now()),
            Clock::from_fn(move || clock.load(Ordering::SeqCst)),
            IntGauge::new("revoked", "Revoked.").unwrap(),
        );
        let revocations = Revocations { bound: 3, ..revocations };
        World { revocations, micros, _stores: stores, _folder: folder }
    }

    impl World {
        async fn session(&self, user: UserId) -> SessionId {
            let now = self.revocations.now();
            let session = Session {
                id: SessionId::now(),
                user,
                kind: SessionKind::Device,
                name: String::new(),
                secret_hash: [0; 32],
                secret_number: 0,
                created_at: now,
                last_used_at: now,
                expires_at: None,
                revoked_at: None,
            };
            self.revocations.directory.create_session(&session).await.unwrap();
            session.id
        }

        fn pass(&self, time: Duration) {
            self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn beyond_the_bound_the_directory_is_asked_and_nobody_ended_gets_in() {
        let world = world();
        let (ada, bob) = (UserId::now(), UserId::now());
        let mut ended = Vec::new();
        for _ in 0..5 {
            ended.push(world.session(ada).await);
        }
        let alive = world.session(bob).await;
        assert_eq!(world.revocations.known(ended[0]), Known::Alive);
        let told = world.revocations.end(ada, Revoke::All).await.unwrap();
        assert_eq!(told.len(), 5);
        assert_eq!(world.revocations.gauge.get(), 3);
        let known: Vec<_> = ended.iter().map(|session| world.revocations.known(*session)).collect();
        assert_eq!(known.iter().filter(|known| **known == Known::Ended).count(), 3);
        assert_eq!(known.iter().filter(|known| **known == Known::Unsure).count(), 2);
        for session in ended {
            assert!(world.revocations.has_ended(session).await.unwrap());
        }
        assert!(!world.revocations.has_ended(alive).await.unwrap());
        assert!(world.revocations.has_ended(SessionId::now()).await.unwrap(), "one nobody knows");
    }

    #[tokio::test]
    async fn what_no_token_can_hold_any_more_is_forgotten() {
        let world = world();
        let one = SessionId::now();
        for session in [one, SessionId::now(), SessionId::now(), SessionId::now()] {
            world.revocations.note(session);
        }
        world.pass(REMEMBERED - Duration::from_millis(1));
        assert_eq!(world.revocations.known(SessionId::now()), Known::Unsure);
        world.pass(Duration::from_millis(1));
        assert_eq!(world.revocations.known(SessionId::now()), Known::Alive);
        world.revocations.note(SessionId::now());
        assert_eq!(world.revocations.known(one), Known::Alive, "swept");
        assert_eq!(world.revocations.gauge.get(), 1);
    }
}
