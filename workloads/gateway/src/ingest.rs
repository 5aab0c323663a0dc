//! Publishing commands: for each ingest queue one task with one unconfirmed publish, which carries every command that came
//! in meanwhile. More than one would lose their order.

use std::{
    mem::take,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use klatch_bus::PublishError;
use klatch_domain::{Code, Command, ConnectionId, MessageId, Refusal, RoomId, Slot};
use klatch_protocol::{Accepted, Refused, ServerFrame};
use klatch_service_kit::trace::Traced;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{batch::Batch, core::Core};

/// Commands that wait for one publish to be confirmed: more than one publish carries, as the broker may be slow for a moment.
const WAITING_COMMANDS: usize = 16_384;
/// Bytes that wait for one publish to be confirmed.
const WAITING_BYTES: usize = 16 * 1024 * 1024;
/// Commands of one publish: what one batch of the writer takes.
const PUBLISH_COMMANDS: usize = 512;
/// Bytes of one publish, unless a single command is larger: brokers like messages well below a megabyte.
const PUBLISH_BYTES: usize = 512 * 1024;
/// Beside its content, a command takes about this many bytes.
const COMMAND_BYTES: usize = 512;
/// What a client waits before it tries again, milliseconds, when the broker says nothing better.
pub(crate) const RETRY_AFTER_MS: u64 = 500;

/// The queues' inner ends.
pub(crate) struct Ingest {
    queues: Vec<Inlet>,
    slots: u16,
}

#[derive(Default)]
struct Inlet {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// Commands in the publish under way.
    under_way: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    commands: Vec<Command>,
    bytes: usize,
    /// Spans of those that are traced: they end when the publish is confirmed that takes what waits. No memory while none is.
    traced: Vec<Traced>,
}

/// Too much waits already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// What is left of a command while it is published.
struct Published {
    connection: ConnectionId,
    room: RoomId,
    message_id: MessageId,
}

fn size_of(command: &Command) -> usize {
    let content = match &command.action {
        klatch_domain::Action::Append(draft) => draft.content.as_str().len(),
        _ => 0,
    };
    COMMAND_BYTES + content
}

impl Ingest {
    pub(crate) fn new(queues: u16, slots: u16) -> Self {
        Self { queues: (0..queues.max(1)).map(|_| Inlet::default()).collect(), slots }
    }

    /// Hands a command over; it is published in order with the others of its queue.
    pub(crate) fn submit(&self, command: Command, traced: Option<Traced>) -> Result<(), Full> {
        let queue = Slot::of(command.room, self.slots).ingest_queue(self.queues.len() as u16);
        let Some(inlet) = self.queues.get(usize::from(queue)) else { return Err(Full) };
        let bytes = size_of(&command);
        let mut waiting = inlet.waiting.lock();
        if waiting.commands.len() >= WAITING_COMMANDS || waiting.bytes + bytes > WAITING_BYTES {
            return Err(Full);
        }
        waiting.bytes += bytes;
        waiting.commands.push(command);
        waiting.traced.extend(traced);
        drop(waiting);
        inlet.wake.notify_one();
        Ok(())
    }

    /// Nothing waits, nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.queues
            .iter()
            .all(|inlet| inlet.waiting.lock().commands.is_empty() && inlet.under_way.load(Ordering::Acquire) == 0)
    }

    pub(crate) fn queues(&self) -> u16 {
        // Made from a u16.
        self.queues.len() as u16
    }

    fn take(&self, queue: u16) -> (Vec<Command>, Vec<Traced>) {
        let Some(inlet) = self.queues.get(usize::from(queue)) else { return Default::default() };
        let mut waiting = inlet.waiting.lock();
        let (mut count, mut bytes) = (0, 0);
        for command in &waiting.commands {
            let size = size_of(command);
            if count > 0 && (count >= PUBLISH_COMMANDS || bytes + size > PUBLISH_BYTES) {
                break;
            }
            count += 1;
            bytes += size;
        }
        waiting.bytes -= bytes;
        inlet.under_way.store(count, Ordering::Release);
        let traced = take(&mut waiting.traced);
        if count == waiting.commands.len() {
            return (take(&mut waiting.commands), traced);
        }
        (waiting.commands.drain(..count).collect(), traced)
    }
}

/// The longest rest between two publishes: what a busy broker may add to a message's way.
const REST: Duration = Duration::from_millis(10);
/// A shorter rest is none: timers have milliseconds.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// Publishes what comes for one queue until the gateway stops, and what waits then. After each publish it rests as long as
/// that one took to be confirmed: the busier the parts behind it, the more commands a publish carries, which is what their
/// work is counted by. Who comes after a pause waits for nothing.
pub(crate) async fn run(core: Arc<Core>, queue: u16) {
    let mut batch = Batch::default();
    let Some(inlet) = core.ingest.queues.get(usize::from(queue)) else { return };
    let mut rests_until = Instant::now();
    loop {
        if rests_until.saturating_duration_since(Instant::now()) >= SHORTEST_REST {
            tokio::select! {
                () = sleep_until(rests_until) => {}
                () = core.stop.cancelled() => {}
            }
        }
        let (commands, traced) = core.ingest.take(queue);
        if commands.is_empty() {
            tokio::select! {
                biased;
                () = inlet.wake.notified() => continue,
                () = core.stop.cancelled() => return,
            }
        }
        let began = Instant::now();
        publish(&core, queue, commands, &mut batch).await;
        rests_until = Instant::now() + began.elapsed().min(REST);
        drop(traced);
        inlet.under_way.store(0, Ordering::Release);
    }
}

async fn publish(core: &Core, queue: u16, commands: Vec<Command>, batch: &mut Batch) {
    core.instruments.metrics.publish_commands.observe(commands.len() as f64);
    let published: Vec<Published> = commands
        .iter()
        .filter_map(|command| {
            let connection = command.reply?.connection;
            Some(Published { connection, room: command.room, message_id: command.message_id })
        })
        .collect();
    match core.bus.commands.publish(queue, commands).await {
        Ok(()) if core.bus.commands.durable() => accept(core, &published, batch),
        Ok(()) => {}
        Err(PublishError::Full { retry_after_ms }) => {
            refuse(core, &published, "the server has more messages than it can store just now", retry_after_ms, batch);
        }
        Err(PublishError::Unknown(reason)) => {
            tracing::warn!(
                queue,
                reason,
                commands = published.len(),
                "a publish was not confirmed; the clients send again"
            );
            refuse(core, &published, "whether it was taken is not known: send it again", RETRY_AFTER_MS, batch);
        }
    }
    batch.flush().await;
}

fn accept(core: &Core, published: &[Published], batch: &mut Batch) {
    for Published { connection, message_id, .. } in published {
        if let Some(connection) = core.registry.connection(*connection) {
            batch.add_frame(&connection, &ServerFrame::Accepted(Accepted { message_id: *message_id }));
        }
    }
}

/// Nothing of it may be taken for stored. In order, so that each room waits for its first.
fn refuse(core: &Core, published: &[Published], detail: &'static str, retry_after_ms: u64, batch: &mut Batch) {
    core.instruments.metrics.refused(Code::Busy).inc_by(published.len() as u64);
    for Published { connection, room, message_id } in published {
        let Some(connection) = core.registry.connection(*connection) else { continue };
        if !connection.fail_send(*room, *message_id) {
            continue;
        }
        let refusal = Refusal::retryable(Code::Busy, detail, retry_after_ms);
        batch.add_frame(&connection, &ServerFrame::Refused(Refused::new(*message_id, *room, refusal)));
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::{Action, Content, Kind, Sender, SessionId, UserId};
    use klatch_protocol::Send;

    use super::*;

    fn command(bytes: usize) -> Command {
        let (room, message_id) = (RoomId::from_bytes([1; 16]), MessageId::now());
        let content = Content::text(&"x".repeat(bytes)).unwrap();
        Command {
            room,
            message_id,
            sender: Sender { user: UserId::from_bytes([2; 16]), session: SessionId::from_bytes([3; 16]) },
            action: Action::Append(Send::new(message_id, room, Kind::Text, content).into_draft()),
            reply: None,
            after: None,
            accepted_micros: 0,
            trace: None,
        }
    }

    /// Hands over until no more is taken. Answers how many were.
    fn fill(ingest: &Ingest, bytes: usize) -> usize {
        (0..).take_while(|_| ingest.submit(command(bytes), None).is_ok()).count()
    }

    #[test]
    fn what_waits_is_bounded_and_leaves_in_order_and_in_bounded_parts() {
        let ingest = Ingest::new(1, 256);
        assert!(ingest.is_idle());
        for _ in 0..2 {
            // All that was taken is free again.
            assert_eq!(fill(&ingest, 0), WAITING_COMMANDS);
            assert!(!ingest.is_idle());
            let mut parts = Vec::new();
            while let Some(part) = Some(ingest.take(0).0).filter(|part| !part.is_empty()) {
                parts.push(part);
            }
            assert!(parts.iter().all(|part| part.len() == PUBLISH_COMMANDS));
            let ids: Vec<_> = parts.iter().flatten().map(|command| command.message_id).collect();
            assert_eq!(ids.len(), WAITING_COMMANDS);
            assert!(ids.is_sorted(), "ids are given in order of time");
            assert!(ingest.is_idle());
        }
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_too() {
        let ingest = Ingest::new(1, 256);
        let each = size_of(&command(30_000));
        for _ in 0..2 {
            assert_eq!(fill(&ingest, 30_000), WAITING_BYTES / each);
            let mut left = WAITING_BYTES / each;
            while left > 0 {
                let part = ingest.take(0).0.len();
                assert!(part == PUBLISH_BYTES / each || part == left, "{part} of {left}");
                left -= part;
            }
            assert!(ingest.take(0).0.is_empty());
        }
    }
}
