//! Notify commands on their way to notification-service: `{"v":1,"notify":[...]}`.

use std::borrow::Cow;

use klatch_domain::{Audience, Kind, Mentions, MessageId, Ordinal, Position, RoomId, Sender, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{PayloadError, VERSION, check_version, refused, written};
use crate::NotifyCommand;

const WHAT: &str = "notify commands";
const COMMAND_BYTES: usize = 384;

/// What one message carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the publisher's order.
    pub commands: Vec<NotifyCommand>,
    /// How many this version cannot read: nobody is notified of them, the messages themselves are in their logs.
    pub skipped: usize,
}

#[derive(Serialize)]
struct Out<'a> {
    v: u16,
    #[serde(serialize_with = "each")]
    notify: &'a [NotifyCommand],
}

#[derive(Deserialize)]
struct In<'a> {
    v: u16,
    #[serde(borrow)]
    notify: Vec<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
struct One<'a> {
    room: RoomId,
    position: Position,
    ordinal: Ordinal,
    message_id: MessageId,
    sender: Sender,
    kind: Cow<'a, Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mentions: Option<Cow<'a, Mentions>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    silent: bool,
    audience: Cow<'a, Audience>,
    at: Timestamp,
}

fn each<S: Serializer>(commands: &[NotifyCommand], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(commands.iter().map(|command| One {
        room: command.room,
        position: command.position,
        ordinal: command.ordinal,
        message_id: command.message_id,
        sender: command.sender,
        kind: Cow::Borrowed(&command.kind),
        mentions: command.mentions.as_ref().map(Cow::Borrowed),
        silent: command.silent,
        audience: Cow::Borrowed(&command.audience),
        at: command.at,
    }))
}

/// Writes a batch.
#[must_use]
pub fn encode(commands: &[NotifyCommand]) -> Vec<u8> {
    written(&Out { v: VERSION, notify: commands }, commands.len() * COMMAND_BYTES)
}

/// Reads a batch; what this version cannot read is skipped and counted.
///
/// # Errors
/// [`PayloadError`] when not even the list can be read.
pub fn decode(bytes: &[u8]) -> Result<Batch, PayloadError> {
    let In { v, notify } = serde_json::from_slice(bytes).map_err(|source| refused(WHAT, bytes, source))?;
    check_version(WHAT, v)?;
    let mut batch = Batch::default();
    for raw in notify {
        match serde_json::from_str::<One<'_>>(raw.get()) {
            Ok(one) => batch.commands.push(NotifyCommand {
                room: one.room,
                position: one.position,
                ordinal: one.ordinal,
                message_id: one.message_id,
                sender: one.sender,
                kind: one.kind.into_owned(),
                mentions: one.mentions.map(Cow::into_owned),
                silent: one.silent,
                audience: one.audience.into_owned(),
                at: one.at,
            }),
            Err(_) => batch.skipped += 1,
        }
    }
    Ok(batch)
}
