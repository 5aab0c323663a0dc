//! Commands on their way to message-service: `{"v":1,"commands":[...]}`.

use klatch_domain::{Action, Command, MessageId, ReplyAddress, RoomId, Sender};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{PayloadError, VERSION, check_version, refused, written};

const WHAT: &str = "commands";
/// What a short message takes; only the first size of a buffer.
const COMMAND_BYTES: usize = 512;

/// A command of a newer version, or a broken one. Nobody may think it was done.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Whose log, if that can be read.
    pub room: Option<RoomId>,
    /// Its id, if that can be read.
    pub message_id: Option<MessageId>,
    /// Who waits for its outcome, if that can be read.
    pub reply: Option<ReplyAddress>,
    /// As it came.
    pub raw: Box<RawValue>,
    /// What the reader stumbled over.
    pub reason: String,
}

/// What one message carried.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// In the publisher's order.
    pub commands: Vec<Command>,
    /// Those this version cannot read.
    pub unreadable: Vec<Unreadable>,
}

#[derive(Serialize)]
struct Out<'a> {
    v: u16,
    #[serde(serialize_with = "each")]
    commands: &'a [Command],
}

#[derive(Serialize)]
struct CommandOut<'a> {
    room: RoomId,
    message_id: MessageId,
    sender: Sender,
    action: &'a Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<ReplyAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<MessageId>,
    accepted_micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
}

fn each<S: Serializer>(commands: &[Command], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(commands.iter().map(|command| CommandOut {
        room: command.room,
        message_id: command.message_id,
        sender: command.sender,
        action: &command.action,
        reply: command.reply,
        after: command.after,
        accepted_micros: command.accepted_micros,
        trace: command.trace.as_deref(),
    }))
}

#[derive(Deserialize)]
struct In {
    v: u16,
    commands: Vec<Command>,
}

/// The second look at a batch that holds something this version cannot read.
#[derive(Deserialize)]
struct InParts<'a> {
    v: u16,
    #[serde(borrow)]
    commands: Vec<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Addressed {
    room: Option<RoomId>,
    message_id: Option<MessageId>,
    reply: Option<ReplyAddress>,
}

/// Writes a batch.
#[must_use]
pub fn encode(commands: &[Command]) -> Vec<u8> {
    written(&Out { v: VERSION, commands }, commands.len() * COMMAND_BYTES)
}

/// Writes unreadable commands as a batch again, as they came: for the dead letter queue.
#[must_use]
pub fn encode_unreadable(unreadable: &[Unreadable]) -> Vec<u8> {
    #[derive(Serialize)]
    struct OutRaw<'a> {
        v: u16,
        commands: Vec<&'a RawValue>,
    }
    let commands: Vec<&RawValue> = unreadable.iter().map(|one| &*one.raw).collect();
    written(&OutRaw { v: VERSION, commands }, unreadable.len() * COMMAND_BYTES)
}

/// Reads a batch.
///
/// # Errors
/// [`PayloadError`] when not even the list can be read.
pub fn decode(bytes: &[u8]) -> Result<Batch, PayloadError> {
    // Almost always everything is known: one pass.
    if let Ok(In { v, commands }) = serde_json::from_slice::<In>(bytes) {
        check_version(WHAT, v)?;
        return Ok(Batch { commands, unreadable: Vec::new() });
    }
    let parts: InParts<'_> = serde_json::from_slice(bytes).map_err(|source| refused(WHAT, bytes, source))?;
    check_version(WHAT, parts.v)?;
    let mut batch = Batch::default();
    for raw in parts.commands {
        match serde_json::from_str::<Command>(raw.get()) {
            Ok(command) => batch.commands.push(command),
            Err(error) => batch.unreadable.push(unreadable(raw, &error)),
        }
    }
    Ok(batch)
}

fn unreadable(raw: &RawValue, error: &serde_json::Error) -> Unreadable {
    let Addressed { room, message_id, reply } = serde_json::from_str(raw.get()).unwrap_or_default();
    Unreadable { room, message_id, reply, raw: raw.to_owned(), reason: error.to_string() }
}
