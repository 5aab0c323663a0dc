//! Signing keys get old: each is followed by the next in time, without anybody's doing.

use std::{sync::Arc, time::Duration};

use klatch_domain::Timestamp;
use klatch_identity::{Keys, rotation::LOOK_EVERY};
use klatch_service_kit::Clock;
use tokio_util::sync::CancellationToken;

/// Rotates when it is due, at once and from then on until told to stop. What fails is tried again: the key there is signs on.
pub(crate) async fn run(keys: Arc<Keys>, clock: Clock, stop: CancellationToken) {
    look_every(LOOK_EVERY, &keys, &clock, &stop).await;
}

async fn look_every(every: Duration, keys: &Arc<Keys>, clock: &Clock, stop: &CancellationToken) {
    loop {
        look(keys, clock).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

async fn look(keys: &Arc<Keys>, clock: &Clock) {
    let (keys, now) = (Arc::clone(keys), Timestamp::from_millis(clock.millis()));
    // It may write a file.
    match tokio::task::spawn_blocking(move || keys.rotate_when_due(now)).await {
        Ok(Ok(true)) => tracing::info!("the next signing key is published; it signs from tomorrow on"),
        Ok(Ok(false)) => {}
        Ok(Err(error)) => tracing::error!(%error, "cannot rotate the signing keys; trying again"),
        Err(error) => tracing::error!(%error, "rotating the signing keys was interrupted; trying again"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use klatch_domain::{SessionId, UserId};
    use klatch_identity::rotation::{KEPT_AFTER_ROTATION, PUBLISHED_AHEAD, SIGNS_FOR};

    use super::*;

    /// A server's keys over months that pass when a test says so.
    struct Months {
        folder: tempfile::TempDir,
        keys: Arc<Keys>,
        micros: Arc<AtomicU64>,
    }

    impl Months {
        fn begin() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let micros = Arc::new(AtomicU64::new(1_800_000_000_000_000));
            let keys = Keys::open_at(folder.path(), Timestamp::from_millis(1_800_000_000_000)).unwrap();
            Self { folder, keys, micros }
        }

        fn clock(&self) -> Clock {
            let micros = Arc::clone(&self.micros);
            Clock::from_fn(move || micros.load(Ordering::SeqCst))
        }

        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.clock().millis())
        }

        fn pass(&self, time: Duration) {
            self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
        }

        /// Waits until so many keys are published.
        async fn published(&self, count: usize) {
            let reached = async {
                while self.keys.jwks()["keys"].as_array().map_or(0, Vec::len) != count {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), reached).await.expect("the keys in time");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_server_that_runs_for_months_changes_its_key_every_month() {
        let months = Months::begin();
        let stop = CancellationToken::new();
        let (keys, clock, told) = (Arc::clone(&months.keys), months.clock(), stop.clone());
        let task = tokio::spawn(async move { look_every(Duration::from_millis(1), &keys, &clock, &told).await });
        for _ in 0..3 {
            months.published(1).await;
            months.pass(SIGNS_FOR - PUBLISHED_AHEAD);
            months.published(2).await;
            let token = months.keys.issue(UserId::now(), SessionId::now(), months.now()).unwrap();
            assert!(months.keys.verify(&token, months.now()).is_ok());
            months.pass(PUBLISHED_AHEAD + KEPT_AFTER_ROTATION);
            months.published(1).await;
            assert!(months.keys.verify(&token, months.now()).is_err());
        }
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_failed_rotation_leaves_the_old_key_signing() {
        let months = Months::begin();
        months.pass(SIGNS_FOR);
        std::fs::remove_dir_all(months.folder.path()).unwrap();
        look(&months.keys, &months.clock()).await;
        let token = months.keys.issue(UserId::now(), SessionId::now(), months.now()).unwrap();
        assert!(months.keys.verify(&token, months.now()).is_ok());
        std::fs::create_dir(months.folder.path()).unwrap();
        look(&months.keys, &months.clock()).await;
        months.published(2).await;
    }
}
