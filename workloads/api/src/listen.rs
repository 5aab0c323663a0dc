//! The api's own event stream.

use std::sync::Arc;

use klatch_bus::{EventReceiver, Received};
use klatch_domain::Event;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{outcomes::Outcomes, revocation::Revocations};

/// Hands on what comes, until told to stop.
pub(crate) async fn listen(
    mut events: Box<dyn EventReceiver>,
    outcomes: Arc<Outcomes>,
    revocations: Arc<Revocations>,
    (tasks, stop): (TaskTracker, CancellationToken),
) {
    loop {
        let received = tokio::select! {
            received = events.receive() => received,
            () = stop.cancelled() => return,
        };
        match received {
            Some(Received::Events(events)) => events.into_iter().for_each(|event| hear(event, &outcomes, &revocations)),
            Some(Received::Gap) => {
                tracing::warn!("events were missed: reading ended sessions and publishing waiting commands again");
                // Beside the loop: reading may take a while, and the next outcomes are on their way.
                let (outcomes, revocations) = (Arc::clone(&outcomes), Arc::clone(&revocations));
                let stop = stop.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        ((), ()) = async { tokio::join!(outcomes.publish_again(), revocations.load_until_done()) } => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
            None => return,
        }
    }
}

fn hear(event: Event, outcomes: &Outcomes, revocations: &Revocations) {
    match event {
        Event::Outcome(outcome) => outcomes.tell(outcome),
        Event::SessionRevoked { session, .. } => revocations.note(session),
        Event::SlotsBusy { slots, retry_after_ms } => outcomes.slots_busy(&slots, retry_after_ms),
        Event::Appended(_) | Event::Watermark(_) | Event::RoomDeleted { .. } => {}
    }
}
