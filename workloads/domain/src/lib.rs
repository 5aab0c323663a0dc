//! The pure core of Klatch: ids, rooms, entries, commands, events, slots and the `check_*` rules.
//!
//! Nothing here knows a socket, a database, a clock or an async runtime. Whoever holds one of these values holds
//! something that was checked when it was made.

mod check;
mod code;
mod command;
mod content;
mod entry;
mod event;
mod fingerprint;
mod id;
pub mod limits;
mod name;
mod position;
mod room;
mod slot;
mod time;

pub use check::{
    TargetFacts, check_append, check_change_room, check_draft, check_put_member, check_remove_member, check_target,
};
pub use code::{Code, Refusal};
pub use command::{Action, Command, Draft, NewRoom, ReplyAddress, Sender};
pub use content::{Content, ContentError};
pub use entry::{Entry, Kind, Mentions, ReactionCount};
pub use event::{Appended, Audience, Event, Outcome, OutcomeEvent, Stored, WatermarkMoved};
pub use fingerprint::Fingerprint;
pub use id::{ConnectionId, Incarnation, MessageId, ParseIdError, RoomId, SessionId, UserId};
pub use name::{DisplayName, Email, NameError, RoomName, Username};
pub use position::{Generation, Ordinal, Position, Seq};
pub use room::{Member, MemberSet, Notify, Preferences, Role, RoomFacts, RoomKind, Visibility};
pub use slot::{DEFAULT_SLOTS, ShardId, Slot, SlotMap, SlotMapError};
pub use time::{ParseTimestampError, Timestamp};
