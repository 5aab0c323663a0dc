//! Events on their way to gateways and api replicas: one message of a numbered stream,
//! `{"v":1,"from":..,"publisher":..,"stream":..,"n":..,"events":[...]}`. Without events it is a heartbeat: it says which number
//! the stream has reached, so that the loss of its last message is seen too. A process that publishes has a stream of its own,
//! to everyone, that consists of heartbeats: while it beats the process lives, and `"last":true` says that it ends by itself.

use std::sync::Arc;

use klatch_domain::{
    Appended, Audience, Code, Entry, Event, Incarnation, MessageId, Outcome, OutcomeEvent, Position, Refusal,
    ReplyAddress, RoomId, Seq, SessionId, Slot, Stored, UserId, WatermarkMoved,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{PayloadError, VERSION, check_version, refused, written};

const WHAT: &str = "events";
/// What an appended short message takes; only the first size of a buffer.
const EVENT_BYTES: usize = 768;

/// Where a stream goes, as its receiver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamTarget {
    /// To one process.
    One,
    /// To every gateway, by the lane of this number.
    Lane(u16),
    /// To every subscriber.
    Everyone,
}

/// Names a stream among all that reach a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stream {
    /// The publishing process.
    pub from: Incarnation,
    /// Which of its publishers.
    pub publisher: u64,
    /// Where it goes.
    pub to: StreamTarget,
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Of which stream.
    pub stream: Stream,
    /// Its number in the stream, from 1; of a heartbeat: the last number that was given.
    pub number: u64,
    /// None in a heartbeat.
    pub events: Vec<Event>,
    /// Events of kinds this version does not know.
    pub skipped: usize,
    /// Nothing follows: its process ends.
    pub last: bool,
}

/// The publisher whose stream is its process's life.
pub const LIFE: u64 = 0;

#[derive(Serialize)]
struct Out<'a> {
    v: u16,
    from: Incarnation,
    publisher: u64,
    stream: StreamTarget,
    n: u64,
    #[serde(serialize_with = "each", skip_serializing_if = "<[Event]>::is_empty")]
    events: &'a [Event],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    last: bool,
}

#[derive(Deserialize)]
struct In {
    v: u16,
    from: Incarnation,
    publisher: u64,
    stream: StreamTarget,
    n: u64,
    #[serde(default)]
    events: Vec<EventIn>,
    #[serde(default)]
    last: bool,
}

/// The second look at a message that holds something this version does not know.
#[derive(Deserialize)]
struct InParts<'a> {
    v: u16,
    from: Incarnation,
    publisher: u64,
    stream: StreamTarget,
    n: u64,
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
    #[serde(default)]
    last: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum EventOut<'a> {
    Appended(AppendedOut<'a>),
    Outcome(OutcomeEventOut<'a>),
    Watermark(WatermarkOut<'a>),
    SessionRevoked { session: SessionId, user: UserId },
    RoomDeleted { room: RoomId },
    SlotsBusy { slots: &'a [Slot], retry_after_ms: u64 },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EventIn {
    Appended(Arc<Appended>),
    Outcome(OutcomeEventIn),
    Watermark(Arc<WatermarkMoved>),
    SessionRevoked { session: SessionId, user: UserId },
    RoomDeleted { room: RoomId },
    SlotsBusy { slots: Arc<[Slot]>, retry_after_ms: u64 },
}

#[derive(Serialize)]
struct AppendedOut<'a> {
    room: RoomId,
    entry: &'a Entry,
    members_version: Seq,
    audience: &'a Audience,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<UserId>,
    accepted_micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
}

#[derive(Serialize)]
struct WatermarkOut<'a> {
    room: RoomId,
    user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<Position>,
    audience: &'a Audience,
}

#[derive(Serialize)]
struct OutcomeEventOut<'a> {
    reply: ReplyAddress,
    message_id: MessageId,
    room: RoomId,
    outcome: OutcomeOut<'a>,
}

#[derive(Deserialize)]
struct OutcomeEventIn {
    reply: ReplyAddress,
    message_id: MessageId,
    room: RoomId,
    outcome: OutcomeIn,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeOut<'a> {
    Stored(Stored),
    Unchanged,
    Refused(RefusalOut<'a>),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeIn {
    Stored(Stored),
    Unchanged,
    Refused(RefusalIn),
}

#[derive(Serialize)]
struct RefusalOut<'a> {
    code: Code,
    detail: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

#[derive(Deserialize)]
struct RefusalIn {
    code: Code,
    detail: String,
    retryable: bool,
    retry_after_ms: Option<u64>,
}

impl<'a> EventOut<'a> {
    fn of(event: &'a Event) -> Self {
        match event {
            Event::Appended(appended) => Self::Appended(AppendedOut {
                room: appended.room,
                entry: &appended.entry,
                members_version: appended.members_version,
                audience: &appended.audience,
                removed: appended.removed,
                accepted_micros: appended.accepted_micros,
                trace: appended.trace.as_deref(),
            }),
            Event::Outcome(outcome) => Self::Outcome(OutcomeEventOut {
                reply: outcome.reply,
                message_id: outcome.message_id,
                room: outcome.room,
                outcome: OutcomeOut::of(&outcome.outcome),
            }),
            Event::Watermark(moved) => Self::Watermark(WatermarkOut {
                room: moved.room,
                user: moved.user,
                read: moved.read,
                delivered: moved.delivered,
                audience: &moved.audience,
            }),
            Event::SessionRevoked { session, user } => Self::SessionRevoked { session: *session, user: *user },
            Event::RoomDeleted { room } => Self::RoomDeleted { room: *room },
            Event::SlotsBusy { slots, retry_after_ms } => Self::SlotsBusy { slots, retry_after_ms: *retry_after_ms },
        }
    }
}

impl<'a> OutcomeOut<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        match outcome {
            Outcome::Stored(stored) => Self::Stored(*stored),
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Refused(Refusal { code, detail, retryable, retry_after_ms }) => Self::Refused(RefusalOut {
                code: *code,
                detail,
                retryable: *retryable,
                retry_after_ms: *retry_after_ms,
            }),
        }
    }
}

impl From<EventIn> for Event {
    fn from(event: EventIn) -> Self {
        match event {
            EventIn::Appended(appended) => Self::Appended(appended),
            EventIn::Outcome(outcome) => Self::Outcome(outcome.into()),
            EventIn::Watermark(moved) => Self::Watermark(moved),
            EventIn::SessionRevoked { session, user } => Self::SessionRevoked { session, user },
            EventIn::RoomDeleted { room } => Self::RoomDeleted { room },
            EventIn::SlotsBusy { slots, retry_after_ms } => Self::SlotsBusy { slots, retry_after_ms },
        }
    }
}

impl From<OutcomeEventIn> for OutcomeEvent {
    fn from(event: OutcomeEventIn) -> Self {
        let outcome = match event.outcome {
            OutcomeIn::Stored(stored) => Outcome::Stored(stored),
            OutcomeIn::Unchanged => Outcome::Unchanged,
            OutcomeIn::Refused(RefusalIn { code, detail, retryable, retry_after_ms }) => {
                Outcome::Refused(Refusal { code, detail: detail.into(), retryable, retry_after_ms })
            }
        };
        Self { reply: event.reply, message_id: event.message_id, room: event.room, outcome }
    }
}

fn each<S: Serializer>(events: &[Event], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(events.iter().map(EventOut::of))
}

/// Writes a message; without events, a heartbeat.
#[must_use]
pub fn encode(stream: &Stream, number: u64, events: &[Event]) -> Vec<u8> {
    let Stream { from, publisher, to } = *stream;
    let out = Out { v: VERSION, from, publisher, stream: to, n: number, events, last: false };
    written(&out, 128 + events.len() * EVENT_BYTES)
}

/// Writes a heartbeat of a process's life; `last`: the one by which it ends.
#[must_use]
pub fn encode_life(from: Incarnation, last: bool) -> Vec<u8> {
    let out = Out { v: VERSION, from, publisher: LIFE, stream: StreamTarget::Everyone, n: 0, events: &[], last };
    written(&out, 128)
}

/// Reads a message; events of kinds this version does not know are skipped and counted.
///
/// # Errors
/// [`PayloadError`] when not even the stream can be read: something was missed.
pub fn decode(bytes: &[u8]) -> Result<Message, PayloadError> {
    // Almost always everything is known: one pass.
    if let Ok(In { v, from, publisher, stream, n, events, last }) = serde_json::from_slice::<In>(bytes) {
        check_version(WHAT, v)?;
        let events = events.into_iter().map(Event::from).collect();
        return Ok(Message { stream: Stream { from, publisher, to: stream }, number: n, events, skipped: 0, last });
    }
    let parts: InParts<'_> = serde_json::from_slice(bytes).map_err(|source| refused(WHAT, bytes, source))?;
    check_version(WHAT, parts.v)?;
    let all = parts.events.len();
    let known = parts.events.iter().filter_map(|raw| serde_json::from_str::<EventIn>(raw.get()).ok());
    let events: Vec<_> = known.map(Event::from).collect();
    let stream = Stream { from: parts.from, publisher: parts.publisher, to: parts.stream };
    Ok(Message { stream, number: parts.n, skipped: all - events.len(), events, last: parts.last })
}
