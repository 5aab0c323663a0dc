//! What must hold for any bytes a stranger, or a broker, sends: one function a decoder. The fuzz targets call these with inputs a fuzzer
//! finds, `flow_fuzz_corpus` with those it found before.
//!
//! Stands alone (domain, protocol and bus only): the fuzz crate takes this file in by its path.

use klatch_bus::payload;
use klatch_domain::{
    Content, DisplayName, Draft, Email, Fingerprint, RoomName, Timestamp, Username, check_draft,
    limits::{CONTENT_BYTES, CONTENT_DEPTH},
};
use klatch_protocol::{ClientFrame, FrameError, ServerFrame, http, lines};
use serde::{Serialize, de::DeserializeOwned};

/// A decoder's name and what must hold for it.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, under the name of its corpus folder and its binary.
pub const TARGETS: &[Target] = &[
    ("client_frame", client_frame),
    ("server_frame", server_frame),
    ("content", content),
    ("timestamp", timestamp),
    ("names", names),
    ("send_body", send_body),
    ("sync_request", sync_request),
    ("bus_commands", bus_commands),
    ("bus_events", bus_events),
    ("bus_watermarks", bus_watermarks),
    ("bus_notify", bus_notify),
];

/// A WebSocket message as a gateway reads it: lines, each a frame. What is read once reads the same when written again.
pub fn client_frame(bytes: &[u8]) {
    let Ok(message) = std::str::from_utf8(bytes) else { return };
    for line in lines(message) {
        match ClientFrame::decode(line) {
            Ok(frame) => {
                let written = frame.encode();
                assert!(!written.contains(['\n', '\r']), "a frame is one line: {written:?}");
                assert_eq!(ClientFrame::decode(&written).as_ref(), Ok(&frame));
                if let ClientFrame::Send(send) = frame {
                    check_any_draft(&send.into_draft());
                }
            }
            Err(error) => check_error(&error, ClientFrame::NAMES),
        }
    }
}

/// The same for what a client reads.
pub fn server_frame(bytes: &[u8]) {
    let Ok(message) = std::str::from_utf8(bytes) else { return };
    for line in lines(message) {
        match ServerFrame::decode(line) {
            Ok(frame) => {
                let written = frame.encode();
                assert!(!written.contains(['\n', '\r']), "a frame is one line: {written:?}");
                assert_eq!(ServerFrame::decode(&written).as_ref(), Ok(&frame));
            }
            Err(error) => check_error(&error, ServerFrame::NAMES),
        }
    }
}

/// An error's text is bounded, as it goes back to the client and into the log.
fn check_error(error: &FrameError, names: &[&str]) {
    match error {
        FrameError::NotAFrame => {}
        FrameError::Unknown(name) => {
            assert!(!names.contains(&name.as_str()), "{name} is known");
            assert!(name.chars().count() <= 64);
        }
        FrameError::Invalid { frame, .. } => assert!(names.contains(frame)),
    }
}

/// A draft that passes its check is small in every part; none makes the check or the fingerprint panic.
fn check_any_draft(draft: &Draft) {
    let fingerprint = draft.fingerprint();
    assert_eq!(fingerprint, draft.clone().fingerprint());
    if check_draft(draft).is_ok() {
        assert!(draft.kind.may_be_sent() && draft.kind.name().len() <= 64);
    }
}

/// Content: bounded, an object, on one line, and the same JSON as it came in.
pub fn content(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(content) = Content::parse(text) else { return };
    let kept = content.as_str();
    assert!(kept.len() <= CONTENT_BYTES && kept.starts_with('{') && kept.ends_with('}'));
    assert!(!kept.contains(['\n', '\r']));
    assert_eq!(Content::parse(kept).as_ref(), Ok(&content), "parsing what was kept changes nothing");
    // serde_json refuses values nested deeper than 127; content is bounded well below.
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        assert_eq!(content.read::<serde_json::Value>().ok(), Some(value.clone()));
        assert!(depth(&value) <= CONTENT_DEPTH);
    }
    check_any_draft(&Draft::new(klatch_domain::Kind::Text, content.clone()));
    let other = klatch_domain::Kind::from_name("x");
    let of = |content: &Content| Fingerprint::of(&other, content, "application/json", None, None, None, None);
    assert_eq!(of(&content), of(&Content::parse(kept).unwrap_or_default()));
}

fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A time reads back as it is written, in the one form of the contract.
pub fn timestamp(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(time) = text.parse::<Timestamp>() else { return };
    let written = time.to_string();
    assert!(written.len() == 24 && written.ends_with('Z'), "{written}");
    assert_eq!(written.parse::<Timestamp>().ok(), Some(time));
    assert_eq!(Timestamp::from_millis(time.as_millis()), time);
}

/// A name that was taken is taken again and stays as it is.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = Username::parse(text) {
        assert_eq!(Username::parse(name.as_str()).as_ref(), Ok(&name));
        assert!(name.as_str().len() <= 50 && !name.as_str().bytes().any(|byte| byte.is_ascii_uppercase()));
    }
    if let Ok(name) = DisplayName::parse(text) {
        assert_eq!(DisplayName::parse(name.as_str()).as_ref(), Ok(&name));
    }
    if let Ok(name) = RoomName::parse(text) {
        assert_eq!(RoomName::parse(name.as_str()).as_ref(), Ok(&name));
        assert!(!name.as_str().chars().any(char::is_control));
    }
    if let Ok(email) = Email::parse(text) {
        assert_eq!(Email::parse(email.as_str()).as_ref(), Ok(&email));
    }
}

/// The body of a send over HTTP.
pub fn send_body(bytes: &[u8]) {
    if let Some(body) = reads_back::<http::SendBody>(bytes) {
        let room = klatch_domain::RoomId::from_bytes([7; 16]);
        check_any_draft(&body.into_send(room).into_draft());
    }
}

/// The body of a sync.
pub fn sync_request(bytes: &[u8]) {
    reads_back::<http::SyncRequest>(bytes);
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let body: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&body).unwrap_or_default();
    assert_eq!(serde_json::from_slice::<T>(&written).ok().as_ref(), Some(&body));
    Some(body)
}

/// A batch of commands: what is read reads the same when written again, what cannot be read is kept as it came.
pub fn bus_commands(bytes: &[u8]) {
    let Ok(batch) = payload::commands::decode(bytes) else { return };
    let again = payload::commands::decode(&payload::commands::encode(&batch.commands));
    assert!(again.is_ok_and(|again| again.commands == batch.commands && again.unreadable.is_empty()));
    let kept = payload::commands::decode(&payload::commands::encode_unreadable(&batch.unreadable));
    let raw = |all: &[payload::commands::Unreadable]| -> Vec<String> {
        all.iter().map(|one| one.raw.get().to_owned()).collect()
    };
    assert!(kept.is_ok_and(|kept| raw(&kept.unreadable) == raw(&batch.unreadable) && kept.commands.is_empty()));
}

/// A message of events.
pub fn bus_events(bytes: &[u8]) {
    let Ok(message) = payload::events::decode(bytes) else { return };
    let again = payload::events::decode(&payload::events::encode(&message.stream, message.number, &message.events));
    let expected = payload::events::Message { skipped: 0, ..message };
    assert_eq!(again.ok(), Some(expected));
}

/// A batch of watermark moves.
pub fn bus_watermarks(bytes: &[u8]) {
    let Ok(moves) = payload::watermarks::decode(bytes) else { return };
    assert_eq!(payload::watermarks::decode(&payload::watermarks::encode(&moves)).ok(), Some(moves));
}

/// A batch of notify commands.
pub fn bus_notify(bytes: &[u8]) {
    let Ok(batch) = payload::notifications::decode(bytes) else { return };
    let again = payload::notifications::decode(&payload::notifications::encode(&batch.commands));
    assert_eq!(again.ok(), Some(payload::notifications::Batch { skipped: 0, ..batch }));
}
