//! What comes from message-service: one task, so that every room's events and every answer about it keep their order.

use std::sync::{Arc, atomic::Ordering};

use klatch_bus::{EventReceiver, Received};
use klatch_domain::Event;
use tokio::sync::mpsc;

use crate::{core::Core, fan_out::FanOut, rooms::Found};

/// Events of one batch: what has come meanwhile leaves together, up to a few milliseconds of work.
const BATCH_EVENTS: usize = 2_048;
/// Answers that wait for this task.
pub(crate) const FOUND: usize = 1_024;

/// Handles events and answers until the gateway stops or the bus shuts down.
pub(crate) async fn run(core: Arc<Core>, mut receiver: Box<dyn EventReceiver>, mut answers: mpsc::Receiver<Found>) {
    let mut fan_out = FanOut::new(Arc::clone(&core));
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            Some(found) = answers.recv() => fan_out.found(found),
            received = receiver.receive() => match received {
                Some(received) => take(&core, &mut fan_out, received, &mut *receiver),
                None => break,
            }
        }
        fan_out.flush().await;
    }
    if !core.stop.is_cancelled() {
        tracing::error!("the bus has shut down; this gateway takes no connections any more");
    }
    core.deaf.store(true, Ordering::Release);
}

fn take(core: &Core, fan_out: &mut FanOut, first: Received, receiver: &mut dyn EventReceiver) {
    let mut events: Vec<Event> = Vec::new();
    let mut next = Some(first);
    while let Some(received) = next {
        match received {
            Received::Events(more) if events.is_empty() => events = more,
            Received::Events(more) => events.extend(more),
            Received::Gap => {
                core.registrar.rooms.unsure();
                core.recovery.begin();
            }
        }
        next = if events.len() < BATCH_EVENTS { receiver.try_receive() } else { None };
    }
    fan_out.take(events);
}
