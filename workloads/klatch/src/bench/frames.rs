//! The frames the generator sends, made once: what differs from message to message has its place in them.

use anyhow::Context;
use klatch_domain::{Content, Kind, MessageId, RoomId};
use klatch_protocol::{ClientFrame, Send, SignalOut, Watch};

use super::wire;

/// Stands before the due time; no other part of a frame has this character.
const STAMP: u8 = b'@';
/// Digits of a due time: nanoseconds of eleven days.
const STAMP_DIGITS: usize = 15;
/// Hex digits of an id that count the messages of a run: the last group of a UUID.
const COUNTER_DIGITS: usize = 12;

/// A frame with places for the message's number and its due time.
pub(super) struct Template {
    line: Vec<u8>,
    counter: Option<usize>,
    stamp: usize,
    masked: Vec<u8>,
}

impl Template {
    /// A text message of some 60 characters. Ids start at `first_id`, whose last 48 bits count.
    ///
    /// # Errors
    /// When the protocol cannot say it.
    pub(super) fn text(room: RoomId, first_id: MessageId) -> anyhow::Result<Self> {
        let text = format!("{} as long as what people write to another", stamp_text());
        let frame = ClientFrame::Send(Send::new(first_id, room, Kind::Text, Content::text(&text)?));
        Self::of(&frame, Some(&first_id.to_string()))
    }

    /// A typing signal.
    ///
    /// # Errors
    /// When the protocol cannot say it.
    pub(super) fn typing(room: RoomId) -> anyhow::Result<Self> {
        let payload = Some(Content::parse(&format!("{{\"at\":\"{}\"}}", stamp_text()))?);
        let signal = SignalOut { room, kind: "typing".into(), payload, ttl_ms: Some(5_000) };
        Self::of(&ClientFrame::Signal(signal), None)
    }

    fn of(frame: &ClientFrame, id: Option<&str>) -> anyhow::Result<Self> {
        let line = frame.encode();
        let counter = match id {
            Some(id) => Some(line.find(id).context("the frame has no id")? + id.len() - COUNTER_DIGITS),
            None => None,
        };
        let stamp = line.find(char::from(STAMP)).context("the frame has no stamp")? + 1;
        Ok(Self { line: line.into_bytes(), counter, stamp, masked: Vec::with_capacity(512) })
    }

    /// The frame of this message, masked, ready for the socket.
    pub(super) fn fill(&mut self, number: u64, due: u64) -> &[u8] {
        if let Some(counter) = self.counter {
            write_digits(&mut self.line[counter..counter + COUNTER_DIGITS], number, 16);
        }
        write_digits(&mut self.line[self.stamp..self.stamp + STAMP_DIGITS], due, 10);
        self.masked.clear();
        wire::push_masked(&mut self.masked, wire::TEXT, &self.line);
        &self.masked
    }
}

/// `watch` of one room, masked.
pub(super) fn watch(room: RoomId) -> Vec<u8> {
    let frame = ClientFrame::Watch(Watch { rooms: vec![room], presence: Vec::new() });
    let mut masked = Vec::new();
    wire::push_masked(&mut masked, wire::TEXT, frame.encode().as_bytes());
    masked
}

fn stamp_text() -> String {
    format!("{}{}", char::from(STAMP), "0".repeat(STAMP_DIGITS))
}

fn write_digits(place: &mut [u8], mut number: u64, base: u64) {
    for digit in place.iter_mut().rev() {
        // Below 16.
        *digit = b"0123456789abcdef"[(number % base) as usize];
        number /= base;
    }
}

/// The due time in a line, if it carries one.
pub(super) fn stamp_of(line: &[u8]) -> Option<u64> {
    let start = line.iter().position(|byte| *byte == STAMP)? + 1;
    let digits = line.get(start..start + STAMP_DIGITS)?;
    digits.iter().try_fold(0u64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// The lines of a piece.
pub(super) fn lines(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    piece.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Whether the line is a frame of this type. Servers of ours write the type first.
pub(super) fn is(line: &[u8], name: &str) -> bool {
    line.strip_prefix(b"{\"type\":\"")
        .and_then(|rest| rest.strip_prefix(name.as_bytes()))
        .is_some_and(|rest| rest.starts_with(b"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmasked(frame: &[u8]) -> String {
        // All templates are between 126 and 65,535 bytes: 4 bytes of header, 4 of mask.
        let (header, payload) = frame.split_at(8);
        let mask = &header[4..];
        String::from_utf8(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()).unwrap()
    }

    #[test]
    fn every_message_is_a_frame_with_its_own_id_and_due_time() {
        let room = RoomId::now();
        let mut template = Template::text(room, MessageId::now()).unwrap();
        let mut ids = std::collections::HashSet::new();
        for (number, due) in [(0, 1), (1, 123_456_789_012_345), (65_536, 7)] {
            let line = unmasked(template.fill(number, due));
            assert_eq!(stamp_of(line.as_bytes()), Some(due));
            let ClientFrame::Send(send) = ClientFrame::decode(&line).unwrap() else { panic!("{line}") };
            assert_eq!(send.room, room);
            assert!(ids.insert(send.message_id));
        }
        let mut signal = Template::typing(room).unwrap();
        let line = unmasked(signal.fill(1, 42));
        assert_eq!((stamp_of(line.as_bytes()), ClientFrame::decode(&line).unwrap().name()), (Some(42), "signal"));
    }

    #[test]
    fn frames_are_told_by_their_type() {
        assert!(is(b"{\"type\":\"stored\",\"x\":1}", "stored") && !is(b"{\"type\":\"stored_more\"}", "stored"));
        assert_eq!(stamp_of(b"no stamp"), None);
        assert_eq!(lines(b"a\n\nb\n").count(), 2);
    }
}
