//! Entries for people's inboxes: news that belongs to no room. They are owed by the change they tell of.

use klatch_domain::{Action, Command, Content, Draft, Kind, MessageId, RoomId, UserId};
use serde::Serialize;

use crate::{
    problem::Failure,
    shared::{Caller, Shared},
    trace::Trace,
};

/// Who changes something, in which call.
#[derive(Clone, Copy)]
pub(crate) struct Actor<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) caller: Caller,
    pub(crate) trace: &'a Trace,
}

impl Actor<'_> {
    /// A command of this call.
    pub(crate) fn command(&self, room: RoomId, action: Action) -> Command {
        Command {
            room,
            message_id: MessageId::now(),
            sender: self.caller.0,
            action,
            reply: None,
            after: None,
            accepted_micros: self.shared.clock.micros(),
            trace: Some(self.trace.carried()),
        }
    }

    /// One entry of the owner's inbox. `silent`: it neither counts as unread nor notifies, as for the actor's own devices.
    pub(crate) fn notice<T: Serialize>(
        &self,
        owner: UserId,
        kind: Kind,
        content: &T,
        silent: bool,
    ) -> Result<Command, Failure> {
        let content = Content::of(content).map_err(|error| Failure::internal(format!("a notice: {error}")))?;
        let draft = Draft { silent, ..Draft::new(kind, content) };
        Ok(self.command(RoomId::inbox_of(owner), Action::Notice { owner, draft }))
    }
}
