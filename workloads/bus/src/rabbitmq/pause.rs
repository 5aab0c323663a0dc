//! Not waiting again and again for a broker that just did not answer.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::timeout;

use super::confirmed::Unconfirmed;

/// How long one publish of what may be skipped can hold up its caller.
const MOST: Duration = Duration::from_secs(1);
/// After a publish without an answer nothing is tried for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Bounds what skippable publishes cost their caller: at most about half its time, a second at once.
#[derive(Default)]
pub(super) struct Pause(Mutex<Option<Instant>>);

impl Pause {
    pub(super) async fn unless_paused(
        &self,
        publish: impl Future<Output = Result<(), Unconfirmed>>,
    ) -> Result<(), Unconfirmed> {
        if self.0.lock().is_some_and(|since| since.elapsed() < PAUSE) {
            return Err(Unconfirmed::Unknown("the last one was not answered".to_owned()));
        }
        let answer = match timeout(MOST, publish).await {
            Ok(answer) => answer,
            Err(_) => Err(Unconfirmed::Unknown(format!("no confirm within {MOST:?}"))),
        };
        let unanswered = matches!(answer, Err(Unconfirmed::Unknown(_)));
        *self.0.lock() = unanswered.then(Instant::now);
        answer
    }
}
