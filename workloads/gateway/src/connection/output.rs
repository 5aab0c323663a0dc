//! What waits to be written to one connection, and how it becomes WebSocket messages (RFC 6455 section 5). No socket here.
//!
//! Frames of the wire contract wait as lines; lines that wait together leave together, in one text message. What the
//! WebSocket layer itself says (pings, pongs, close) waits in the same queue, so that it never lands inside a message.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};
use smallvec::SmallVec;

/// Payload of one text message, bytes, unless a single block is larger: as much as a client may send, so that every client's
/// buffer copes.
pub(crate) const MESSAGE_BYTES: usize = 64 * 1024;
/// Buffers of one write. More in one message are rare; they wait for the next.
pub(crate) const SLICES: usize = 64;

pub(crate) type Slices<'a> = SmallVec<[IoSlice<'a>; SLICES]>;

/// One or more frames, each with its line break, on their way to one connection.
#[derive(Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// Shared with other connections: kept by reference when it has to wait.
    Shared(&'a Bytes),
    /// Lives as long as this call: copied when it has to wait.
    Own(&'a [u8]),
}

impl<'a> Piece<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    fn keep(self, from: usize, to: usize) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes.slice(from..to),
            Self::Own(bytes) => Bytes::copy_from_slice(&bytes[from..to]),
        }
    }
}

/// The head of an unmasked, unfragmented frame.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Header {
    bytes: [u8; 10],
    len: u8,
    sent: u8,
}

impl Header {
    /// Of a text message with this many bytes of payload.
    pub(crate) fn text(payload: usize) -> Self {
        Self::new(0x1, payload)
    }

    fn new(opcode: u8, payload: usize) -> Self {
        let mut header = Self { bytes: [0; 10], len: 2, sent: 0 };
        header.bytes[0] = 0x80 | opcode;
        // The shortest form that holds the length (section 5.2).
        match payload {
            0..126 => header.bytes[1] = payload as u8,
            126..0x1_0000 => {
                header.bytes[1] = 126;
                header.bytes[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
                header.len = 4;
            }
            _ => {
                header.bytes[1] = 127;
                header.bytes[2..10].copy_from_slice(&(payload as u64).to_be_bytes());
                header.len = 10;
            }
        }
        header
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[usize::from(self.sent)..usize::from(self.len)]
    }

    fn advance(&mut self, written: usize) -> usize {
        let taken = written.min(self.unsent().len());
        self.sent += taken as u8;
        taken
    }
}

/// A whole control frame: at most 125 bytes of payload, the rest is cut (section 5.5).
fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(125)];
    let header = Header::new(opcode, payload.len());
    [header.unsent(), payload].concat().into()
}

/// A ping without a payload.
pub(crate) fn ping() -> Bytes {
    const PING: &[u8] = &[0x89, 0x00];
    Bytes::from_static(PING)
}

/// A close frame.
pub(crate) fn close(code: u16, reason: &str) -> Bytes {
    control(0x8, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// How many of these pieces one message takes, and how many bytes they have, the last line break included.
pub(crate) fn fit(pieces: &[Piece<'_>]) -> (usize, usize) {
    let (mut count, mut total) = (0, 0);
    for piece in pieces {
        let len = piece.bytes().len();
        if count > 0 && (total + len > MESSAGE_BYTES || count + 1 >= SLICES) {
            break;
        }
        count += 1;
        total += len;
    }
    (count, total)
}

enum Queued {
    Lines(Bytes),
    /// A whole frame of the WebSocket layer, header included.
    Control(Bytes),
}

/// The queue of one connection. Empty, it holds no memory of its own.
#[derive(Default)]
pub(crate) struct Output {
    queue: VecDeque<Queued>,
    /// Of everything in the queue.
    bytes: usize,
    /// Of the message under way.
    header: Header,
    /// Payload of the message under way that is not written yet; its pieces stand at the front of the queue, the last one
    /// without its line break.
    left: usize,
    /// The control frame at the front is partly written.
    control_begun: bool,
}

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, pieces: &[Piece<'_>]) {
        for piece in pieces {
            let len = piece.bytes().len();
            self.queue.push_back(Queued::Lines(piece.keep(0, len)));
            self.bytes += len;
        }
    }

    /// Puts a frame before everything that has not begun: `welcome` comes first.
    pub(crate) fn push_first(&mut self, line: Bytes) {
        self.bytes += line.len();
        let begun = usize::from(self.control_begun);
        self.queue.insert(begun, Queued::Lines(line));
    }

    pub(crate) fn push_control(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.queue.push_back(Queued::Control(frame));
    }

    /// Takes over a message of these pieces, of which `written` bytes, header included, have left.
    pub(crate) fn take_over(&mut self, mut header: Header, pieces: &[Piece<'_>], written: usize) {
        let mut skip = written - header.advance(written);
        self.header = header;
        let last = pieces.len().saturating_sub(1);
        for (index, piece) in pieces.iter().enumerate() {
            let end = piece.bytes().len() - usize::from(index == last);
            let from = skip.min(end);
            skip -= from;
            if from < end {
                self.queue.push_back(Queued::Lines(piece.keep(from, end)));
                self.left += end - from;
                self.bytes += end - from;
            }
        }
    }

    /// Drops every line of which nothing was written yet.
    pub(crate) fn drop_waiting(&mut self) {
        let (mut keep, mut left) = (usize::from(self.control_begun), self.left);
        while left > 0 {
            match self.queue.get(keep) {
                Some(Queued::Lines(bytes)) => left = left.saturating_sub(bytes.len()),
                Some(Queued::Control(_)) | None => break,
            }
            keep += 1;
        }
        for dropped in self.queue.drain(keep..) {
            let (Queued::Lines(bytes) | Queued::Control(bytes)) = dropped;
            self.bytes -= bytes.len();
        }
    }

    /// What the next write may carry: the message under way or the next one, else control frames. Lines are left alone
    /// while `lines` is false.
    pub(crate) fn slices(&mut self, lines: bool) -> Slices<'_> {
        if lines {
            self.compose();
        }
        let mut slices = Slices::new();
        if self.left == 0 {
            for queued in self.queue.iter().take(SLICES) {
                let Queued::Control(bytes) = queued else { break };
                slices.push(IoSlice::new(bytes));
            }
            return slices;
        }
        if !self.header.unsent().is_empty() {
            slices.push(IoSlice::new(self.header.unsent()));
        }
        let mut left = self.left;
        for queued in &self.queue {
            let Queued::Lines(bytes) = queued else { break };
            slices.push(IoSlice::new(bytes));
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                break;
            }
        }
        slices
    }

    /// Makes the lines at the front the message under way, if there is none.
    fn compose(&mut self) {
        if self.left > 0 {
            return;
        }
        let (mut count, mut total) = (0, 0);
        for queued in &self.queue {
            let Queued::Lines(bytes) = queued else { break };
            if count > 0 && (total + bytes.len() > MESSAGE_BYTES || count + 1 >= SLICES) {
                break;
            }
            count += 1;
            total += bytes.len();
        }
        let Some(Queued::Lines(last)) = count.checked_sub(1).and_then(|last| self.queue.get_mut(last)) else { return };
        // Frames are separated by line breaks: none behind the last.
        last.truncate(last.len() - 1);
        self.bytes -= 1;
        self.left = total - 1;
        self.header = Header::text(total - 1);
    }

    /// So many bytes of the last `slices` have left.
    pub(crate) fn advance(&mut self, written: usize) {
        let mut rest = written;
        if self.left > 0 {
            rest -= self.header.advance(rest);
        }
        while rest > 0 {
            let Some(front) = self.queue.front_mut() else { break };
            let (Queued::Lines(bytes) | Queued::Control(bytes)) = &mut *front;
            let taken = rest.min(bytes.len());
            bytes.advance(taken);
            let done = bytes.is_empty();
            match front {
                Queued::Lines(_) => self.left -= taken,
                Queued::Control(_) => self.control_begun = !done,
            }
            self.bytes -= taken;
            rest -= taken;
            if done {
                self.queue.pop_front();
            }
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Bytes {
        Bytes::from(format!("{text}\n"))
    }

    fn drain(output: &mut Output, at_most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let slices = output.slices(true);
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).take(at_most).collect();
            if bytes.is_empty() {
                return out;
            }
            drop(slices);
            out.extend_from_slice(&bytes);
            output.advance(bytes.len());
        }
    }

    #[test]
    fn what_waits_together_leaves_as_one_message() {
        for at_most in [1, 2, 3, 5, usize::MAX] {
            let mut output = Output::default();
            let (a, b) = (line("aa"), line("bbb"));
            output.push(&[Piece::Shared(&a), Piece::Own(&b)]);
            output.push(&[Piece::Shared(&a)]);
            assert_eq!(drain(&mut output, at_most), b"\x81\x09aa\nbbb\naa");
            assert_eq!(output.bytes(), 0);
        }
    }

    #[test]
    fn a_pong_never_lands_inside_a_message() {
        let mut output = Output::default();
        let (a, b) = (line("aaaa"), line("b"));
        output.push(&[Piece::Shared(&a)]);
        let first = output.slices(true)[0].to_vec();
        output.advance(1);
        output.push_control(Bytes::from_static(&[0x8a, 0]));
        output.push(&[Piece::Own(&b)]);
        let mut all = first[..1].to_vec();
        all.extend(drain(&mut output, 2));
        assert_eq!(all, b"\x81\x04aaaa\x8a\x00\x81\x01b");
    }

    #[test]
    fn a_short_direct_write_goes_on_where_it_stopped() {
        for written in 0..=9 {
            let (a, b) = (line("aaaa"), line("bb"));
            let pieces = [Piece::Shared(&a), Piece::Own(&b)];
            let whole = b"\x81\x07aaaa\nbb";
            let mut output = Output::default();
            output.take_over(Header::text(7), &pieces, written);
            output.push(&[Piece::Own(b"c\n")]);
            let mut all = whole[..written].to_vec();
            all.extend(drain(&mut output, 3));
            assert_eq!(all, b"\x81\x07aaaa\nbb\x81\x01c", "{written} written");
            assert_eq!(output.bytes(), 0);
        }
    }

    #[test]
    fn dropping_what_waits_keeps_what_has_begun() {
        let mut output = Output::default();
        let (a, b) = (line("aaaa"), line("bb"));
        output.push(&[Piece::Shared(&a)]);
        assert!(!output.slices(true).is_empty());
        output.advance(3);
        output.push(&[Piece::Shared(&b), Piece::Shared(&b)]);
        output.drop_waiting();
        output.push_control(close(4008, "slow"));
        assert_eq!(drain(&mut output, 4), b"aaa\x88\x06\x0f\xa8slow");
        assert_eq!(output.bytes(), 0);
    }

    #[test]
    fn a_message_is_bounded() {
        let mut output = Output::default();
        let block = Bytes::from(vec![b'x'; MESSAGE_BYTES / 2]);
        output.push(&[Piece::Shared(&block); 3]);
        let sizes: Vec<usize> = std::iter::from_fn(|| {
            let size = output.slices(true).iter().map(|slice| slice.len()).sum();
            output.advance(size);
            (size > 0).then_some(size)
        })
        .collect();
        assert_eq!(sizes, [4 + MESSAGE_BYTES - 1, 4 + MESSAGE_BYTES / 2 - 1]);
    }

    #[test]
    fn lengths_have_their_shortest_form() {
        assert_eq!(Header::text(125).unsent(), [0x81, 125]);
        assert_eq!(Header::text(126).unsent(), [0x81, 126, 0, 126]);
        assert_eq!(Header::text(65_535).unsent(), [0x81, 126, 0xff, 0xff]);
        assert_eq!(Header::text(65_536).unsent(), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
