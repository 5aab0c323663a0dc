//! A command on its way through the service, without a copy of it.

use std::sync::Arc;

use klatch_domain::{Action, Command, MessageId, RoomId};
use klatch_service_kit::trace::{self, Traced};
use tokio::time::Instant;

use crate::{follow_up, plan::Ask};

/// A command beside its content, roughly, in bytes: what counts against bounds.
const COMMAND_BYTES: usize = 400;

/// The tag of the delivery to acknowledge when its commands are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin(pub(crate) u64);

/// One command of a delivery.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) batch: Arc<Vec<Command>>,
    pub(crate) index: usize,
    pub(crate) origin: Origin,
    /// Rises over all commands of a queue: the order of a room.
    pub(crate) arrival: u64,
    pub(crate) taken_at: Instant,
    /// It was handed out before, or its commit is unknown.
    pub(crate) met_before: bool,
    /// It came back so often that it runs alone.
    pub(crate) alone: bool,
    /// Its span, from here to the outcome, when it is traced.
    #[expect(dead_code, reason = "held: the span ends with the last copy of its command")]
    pub(crate) traced: Option<Arc<Traced>>,
}

impl Item {
    pub(crate) fn command(&self) -> &Command {
        &self.batch[self.index]
    }

    pub(crate) fn room(&self) -> RoomId {
        self.command().room
    }

    pub(crate) fn key(&self) -> (RoomId, MessageId) {
        let command = self.command();
        (command.room, command.message_id)
    }

    pub(crate) fn bytes(&self) -> usize {
        bytes_of(self.command())
    }

    /// Refused for now, it comes again: its sender waits for an outcome, or it stands in a shard.
    pub(crate) fn comes_again(&self) -> bool {
        self.command().reply.is_some() || follow_up::comes_again(self.command())
    }

    pub(crate) fn ask(&self, now: Instant) -> Ask<'_> {
        let waited_out = now.duration_since(self.taken_at) >= crate::track::AFTER_WAIT;
        Ask { command: self.command(), met_before: self.met_before, waited_out }
    }
}

/// Begins the spans of the commands that are traced, and lets what follows from them go on from there. Copies the batch only
/// when there are any, and somebody else holds it.
pub(crate) fn trace_each(commands: &mut Arc<Vec<Command>>) -> Vec<(usize, Arc<Traced>)> {
    let mut spans = Vec::new();
    for index in 0..commands.len() {
        if let Some(traced) = trace::follow("append", commands[index].trace.as_deref()) {
            Arc::make_mut(commands)[index].trace = Some(traced.parent().into());
            spans.push((index, Arc::new(traced)));
        }
    }
    spans
}

/// What a command weighs, in bytes of memory and of a statement.
pub(crate) fn bytes_of(command: &Command) -> usize {
    COMMAND_BYTES
        + match &command.action {
            Action::Append(draft) | Action::Notice { draft, .. } => draft.content.as_str().len(),
            Action::CreateRoom(new) => new.others.len() * COMMAND_BYTES,
            _ => 0,
        }
}
