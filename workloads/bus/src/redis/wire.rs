//! How signals are written: one JSON object a batch. `tests/golden/signals/batch.json` holds one; a shape is only ever added
//! to, as gateways of neighbouring versions work side by side.

use std::sync::Arc;

use klatch_domain::{Content, Incarnation, RoomId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{PresenceStatus, Signal};

/// Of the shapes here. A reader refuses another one: whoever changes the meaning of a field raises it.
const VERSION: u8 = 1;
/// Bytes of one message, but for a single signal that is longer: what Redis copies to every gateway without making others
/// wait.
const MESSAGE_BYTES: usize = 256 * 1024;

#[derive(Serialize, Deserialize)]
struct Message {
    version: u8,
    from: Incarnation,
    signals: Vec<Line>,
}

/// One of these. A kind that is not known has neither: it is left out, and the rest is read.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<RoomLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    presence: Option<PresenceLine>,
}

#[derive(Serialize, Deserialize)]
struct RoomLine {
    room: RoomId,
    user: UserId,
    kind: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Content>,
}

#[derive(Serialize, Deserialize)]
struct PresenceLine {
    user: UserId,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_active: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Online,
    Away,
    Offline,
}

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnreadableError {
    #[error("not the JSON of signals: {0}")]
    Json(#[from] serde_json::Error),
    #[error("signals of version {0}, not {VERSION}")]
    Version(u8),
}

/// Signals of one message.
#[derive(Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) from: Incarnation,
    pub(super) signals: Vec<Signal>,
    /// Of kinds that are not known here.
    pub(super) unknown: usize,
}

/// As few messages as there may be, in order, each with how many signals it holds.
pub(super) fn encode(from: Incarnation, signals: Vec<Signal>) -> Result<Vec<(Vec<u8>, usize)>, serde_json::Error> {
    let mut messages = Vec::new();
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for signal in signals {
        let size = crate::size::of_signal(&signal);
        if !lines.is_empty() && bytes + size > MESSAGE_BYTES {
            messages.push(message(from, std::mem::take(&mut lines))?);
            bytes = 0;
        }
        bytes += size;
        lines.push(line(signal));
    }
    if !lines.is_empty() {
        messages.push(message(from, lines)?);
    }
    Ok(messages)
}

fn message(from: Incarnation, signals: Vec<Line>) -> Result<(Vec<u8>, usize), serde_json::Error> {
    let count = signals.len();
    Ok((serde_json::to_vec(&Message { version: VERSION, from, signals })?, count))
}

fn line(signal: Signal) -> Line {
    match signal {
        Signal::Room { room, user, kind, payload } => {
            Line { room: Some(RoomLine { room, user, kind, payload }), presence: None }
        }
        Signal::Presence { user, status, last_active } => {
            let status = match status {
                PresenceStatus::Online => Status::Online,
                PresenceStatus::Away => Status::Away,
                PresenceStatus::Offline => Status::Offline,
            };
            Line { room: None, presence: Some(PresenceLine { user, status, last_active }) }
        }
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Batch, UnreadableError> {
    let Message { version, from, signals: lines } = serde_json::from_slice(bytes)?;
    if version != VERSION {
        return Err(UnreadableError::Version(version));
    }
    let count = lines.len();
    let signals: Vec<_> = lines.into_iter().filter_map(signal).collect();
    Ok(Batch { from, unknown: count - signals.len(), signals })
}

fn signal(line: Line) -> Option<Signal> {
    match line {
        Line { room: Some(RoomLine { room, user, kind, payload }), .. } => {
            Some(Signal::Room { room, user, kind, payload })
        }
        Line { presence: Some(PresenceLine { user, status, last_active }), .. } => {
            let status = match status {
                Status::Online => PresenceStatus::Online,
                Status::Away => PresenceStatus::Away,
                Status::Offline => PresenceStatus::Offline,
            };
            Some(Signal::Presence { user, status, last_active })
        }
        Line { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../../../../tests/golden/signals/batch.json");

    fn from() -> Incarnation {
        Incarnation::from_bytes([7; 16])
    }

    fn signals() -> Vec<Signal> {
        let (room, user) = (RoomId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let typing = |payload| Signal::Room { room, user, kind: "typing".into(), payload };
        let stands = |status, last_active| Signal::Presence { user, status, last_active };
        vec![
            typing(None),
            typing(Some(Content::text("…").unwrap())),
            stands(PresenceStatus::Online, None),
            stands(PresenceStatus::Away, None),
            stands(PresenceStatus::Offline, Some(Timestamp::from_millis(1_800_000_000_123))),
        ]
    }

    #[test]
    fn signals_are_as_agreed() {
        let mut messages = encode(from(), signals()).unwrap();
        let (text, count) = messages.pop().unwrap();
        assert_eq!((String::from_utf8(text).unwrap().as_str(), count), (GOLDEN.trim_end(), 5));
        assert!(messages.is_empty());
        let batch = decode(GOLDEN.as_bytes()).unwrap();
        assert_eq!(batch, Batch { from: from(), signals: signals(), unknown: 0 });
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let text = GOLDEN.trim_end().replace(r#""signals":["#, r#""more":1,"signals":[{"reaction":{"user":1}},"#);
        let batch = decode(text.as_bytes()).unwrap();
        assert_eq!((batch.signals, batch.unknown), (signals(), 1));
        assert!(matches!(
            decode(br#"{"version":2,"from":"07070707-0707-0707-0707-070707070707","signals":[]}"#),
            Err(UnreadableError::Version(2))
        ));
        assert!(matches!(decode(b"{"), Err(UnreadableError::Json(_))));
    }

    #[test]
    fn a_large_batch_goes_in_several_messages_in_order() {
        let room = RoomId::from_bytes([1; 16]);
        let payload = Content::text(&"x".repeat(30_000)).unwrap();
        let many = |which: u8| Signal::Room {
            room,
            user: UserId::from_bytes([which; 16]),
            kind: "k".into(),
            payload: Some(payload.clone()),
        };
        let all: Vec<_> = (0..20).map(many).collect();
        let messages = encode(from(), all.clone()).unwrap();
        assert!(messages.len() > 1 && messages.iter().all(|(text, _)| text.len() <= MESSAGE_BYTES));
        assert_eq!(messages.iter().map(|(_, count)| count).sum::<usize>(), all.len());
        let read: Vec<_> = messages.iter().flat_map(|(text, _)| decode(text).unwrap().signals).collect();
        assert_eq!(read, all);
    }
}
