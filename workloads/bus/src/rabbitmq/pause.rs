//! Not waiting again and again for a broker that just did not answer.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::timeout;

use super::confirmed::Unconfirmed;

/// Bounds what skippable publishes cost their caller: at most so long at once, and about half its time.
pub(super) struct Pause {
    most: Duration,
    unanswered: Mutex<Option<Instant>>,
}

impl Pause {
    pub(super) fn new(most: Duration) -> Self {
        Self { most, unanswered: Mutex::default() }
    }

    pub(super) async fn unless_paused(
        &self,
        publish: impl Future<Output = Result<(), Unconfirmed>>,
    ) -> Result<(), Unconfirmed> {
        if self.unanswered.lock().is_some_and(|since| since.elapsed() < self.most) {
            return Err(Unconfirmed::Unknown("the last one was not answered".to_owned()));
        }
        let answer = match timeout(self.most, publish).await {
            Ok(answer) => answer,
            Err(_) => Err(Unconfirmed::Unknown(format!("no confirm within {:?}", self.most))),
        };
        let unanswered = matches!(answer, Err(Unconfirmed::Unknown(_)));
        *self.unanswered.lock() = unanswered.then(Instant::now);
        answer
    }
}
