//! Entries for people's inboxes: news that belongs to no room.

use klatch_domain::{Action, Content, Draft, Kind, MessageId, RoomId, UserId};
use serde::Serialize;

use crate::{
    outcomes::Ask,
    problem::Failure,
    shared::{Caller, Shared},
    trace::Trace,
};

/// One entry of an inbox.
pub(crate) struct Notice {
    /// Whose inbox.
    pub(crate) owner: UserId,
    /// Names it: the same notice again is one notice.
    pub(crate) message_id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) content: Content,
    /// For the caller's own devices: it neither counts as unread nor notifies.
    pub(crate) silent: bool,
}

/// The content of a notice.
pub(crate) fn content<T: Serialize>(value: &T) -> Result<Content, Failure> {
    Content::of(value).map_err(|error| Failure::internal(format!("a notice: {error}")))
}

/// Puts a notice into an inbox.
///
/// # Errors
/// `busy`: the same call again brings it.
pub(crate) async fn put(shared: &Shared, caller: Caller, notice: Notice, trace: &Trace) -> Result<(), Failure> {
    let draft = Draft { silent: notice.silent, ..Draft::new(notice.kind, notice.content) };
    let ask = Ask {
        room: RoomId::inbox_of(notice.owner),
        message_id: notice.message_id,
        sender: caller.0,
        action: Action::Notice { owner: notice.owner, draft },
    };
    shared.outcomes.done(ask, trace).await.map(|_| ())
}
