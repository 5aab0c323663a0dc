//! A kind that only some clusters know, and others learn later.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use kube_client::Error as ClientError;
use kube_runtime::{
    WatchStreamExt,
    utils::Backoff,
    watcher::{Error, Event, Result},
};

/// Between two tries to watch: who installs the kind waits a minute, and a cluster without it answers one call a minute.
const EVERY: Duration = Duration::from_secs(60);

/// Tries again every minute, and says nothing while the cluster does not know the kind.
pub(super) fn patiently<K: Send>(
    events: impl Stream<Item = Result<Event<K>>> + Send,
) -> impl Stream<Item = Result<Event<K>>> + Send {
    events.backoff(EveryMinute).filter(|event| std::future::ready(!is_unknown(event)))
}

fn is_unknown<K>(event: &Result<Event<K>>) -> bool {
    matches!(event, Err(Error::InitialListFailed(ClientError::Api(status))) if status.code == 404)
}

struct EveryMinute;

impl Iterator for EveryMinute {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(EVERY)
    }
}

impl Backoff for EveryMinute {
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use kube_client::core::Status;

    use super::*;

    fn refused(code: u16) -> Result<Event<()>> {
        Err(Error::InitialListFailed(ClientError::Api(Box::new(Status { code, ..Status::default() }))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_not_there_is_asked_for_every_minute_and_not_spoken_of() {
        let began = tokio::time::Instant::now();
        let events = stream::iter([refused(404), refused(404), refused(500), Ok(Event::InitDone)]);
        let mut events = std::pin::pin!(patiently(events));
        assert!(events.next().await.is_some_and(|event| event.is_err()), "what else goes wrong is told");
        assert_eq!(began.elapsed(), 2 * EVERY);
        assert!(matches!(events.next().await, Some(Ok(Event::InitDone))));
        assert_eq!(began.elapsed(), 3 * EVERY);
    }
}
