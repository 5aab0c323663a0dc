//! What `tests/instructions` counts here: each `measured_*` is one hot path, run so often that what surrounds it does not show.

use std::hint::black_box;

use klatch_domain::{
    Content, Entry, Kind, MessageId, Ordinal, Position, RoomId, Sender, Seq, SessionId, Timestamp, UserId,
};

use crate::{ClientFrame, encode_message};

const TIMES: usize = 200;

fn room() -> RoomId {
    RoomId::from_bytes([7; 16])
}

fn entry(text: &str) -> Entry {
    Entry {
        position: Position::first(41),
        prev_seq: Seq(40),
        ordinal: Ordinal(41),
        message_id: MessageId::from_bytes([1; 16]),
        sender: Sender { user: UserId::from_bytes([2; 16]), session: SessionId::from_bytes([3; 16]) },
        at: Timestamp::from_millis(1_800_000_000_123),
        kind: Kind::Text,
        content_type: Kind::Text.default_content_type().into(),
        content: Content::text(text).expect("a text"),
        reply_to: None,
        thread: None,
        target: None,
        changed_seq: None,
        mentions: None,
        silent: false,
        attachments: None,
        expires_at: None,
        edited_at: None,
        deleted: false,
        reactions: Vec::new(),
    }
}

#[inline(never)]
fn measured_decode_send(line: &str) -> ClientFrame {
    ClientFrame::decode(line).expect("a frame")
}

#[test]
#[ignore = "counted by tests/instructions"]
fn decode_send() {
    let (id, text) = (MessageId::from_bytes([1; 16]), "what people say to one another ".repeat(5));
    let line = format!(
        r#"{{"type":"send","message_id":"{id}","room":"{}","kind":"text","content":{{"text":"{text}"}}}}"#,
        room()
    );
    for _ in 0..TIMES {
        black_box(measured_decode_send(black_box(&line)));
    }
}

#[inline(never)]
fn measured_encode_message(entry: &Entry, out: &mut Vec<u8>) {
    encode_message(room(), entry, Seq(2), out);
}

#[test]
#[ignore = "counted by tests/instructions"]
fn encode_a_message() {
    let (entry, mut out) = (entry(&"what people say to one another ".repeat(5)), Vec::with_capacity(1_024));
    for _ in 0..TIMES {
        out.clear();
        measured_encode_message(black_box(&entry), &mut out);
        black_box(&out);
    }
}
