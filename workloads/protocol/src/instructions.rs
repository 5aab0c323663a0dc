//! What `tests/instructions` counts here: each `measured_*` is one hot path, run so often that what surrounds it does not show.

use std::hint::black_box;

use klatch_domain::{
    Content, Draft, Entry, Kind, MessageId, Ordinal, Position, RoomId, Sender, Seq, SessionId, Timestamp, UserId,
};

use crate::{ClientFrame, encode_message};

const TIMES: usize = 200;

fn room() -> RoomId {
    RoomId::from_bytes([7; 16])
}

fn entry(text: &str) -> Entry {
    let draft = Draft::new(Kind::Text, Content::text(text).expect("a text"));
    let sender = Sender { user: UserId::from_bytes([2; 16]), session: SessionId::from_bytes([3; 16]) };
    let (id, at) = (MessageId::from_bytes([1; 16]), Timestamp::from_millis(1_800_000_000_123));
    Entry::of(&draft, Position::first(41), Ordinal(41), id, sender, at)
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
