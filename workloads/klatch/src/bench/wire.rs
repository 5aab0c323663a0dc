//! The client's side of RFC 6455, as little of it as a load generator needs: the server's core is to be the bottleneck.

/// Every frame is masked with this: a client must mask (section 5.3), and a fixed key costs no random numbers.
const MASK: [u8; 4] = [0x6b, 0x6c, 0x61, 0x74];
/// A line longer than this is no frame of ours: what one connection may gather.
const LINE_BYTES: usize = 1024 * 1024;
/// Control frames carry at most this (section 5.5).
const CONTROL_BYTES: u64 = 125;

/// Text frame.
pub(super) const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
/// Answer to a ping.
pub(super) const PONG: u8 = 10;

/// The request that asks for the upgrade. The key is the example of section 1.3; its answer is not looked at.
pub(super) fn upgrade_request(host: &str) -> Vec<u8> {
    format!(
        "GET /v1/connect HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
        klatch_protocol::SUBPROTOCOL
    )
    .into_bytes()
}

/// Appends one masked frame.
pub(super) fn push_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_header(out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Appends one frame as servers send them, unmasked.
pub(super) fn push_plain(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_header(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

fn push_header(out: &mut Vec<u8>, opcode: u8, length: usize, masked: u8) {
    out.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(masked | short),
        (_, Ok(medium)) => {
            out.push(masked | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// What comes in, beside lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// To be answered with the same bytes.
    Ping(Vec<u8>),
    /// The server ends it, with this code.
    Close(u16),
}

/// What no server of ours sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// A masked frame, or an opcode nobody knows.
    #[error("the server sent a frame that RFC 6455 forbids")]
    Forbidden,
    /// Beyond [`LINE_BYTES`] or [`CONTROL_BYTES`].
    #[error("the server sent a frame or line that is too long")]
    TooLong,
}

/// Reads a server's frames from a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    header: Vec<u8>,
    /// Of the frame under way.
    frame: Option<Frame>,
    control: Vec<u8>,
    /// Start of a line whose end has not come yet. Empty most of the time.
    tail: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: u8,
    last: bool,
    remaining: u64,
}

impl Incoming {
    /// Takes bytes from the socket. `lines` gets one or more whole lines at a time, the last perhaps without its line break.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        lines: &mut impl FnMut(&[u8]),
        control: &mut impl FnMut(Control),
    ) -> Result<(), WireError> {
        loop {
            let Some(mut frame) = self.frame.take() else {
                if bytes.is_empty() {
                    return Ok(());
                }
                bytes = self.take_header(bytes)?;
                if self.frame.is_none() {
                    return Ok(());
                }
                continue;
            };
            let here = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(here);
            bytes = rest;
            frame.remaining -= here as u64;
            let ends = frame.remaining == 0;
            match frame.opcode {
                TEXT | CONTINUATION => self.text(part, ends && frame.last, lines)?,
                _ => self.control(frame.opcode, part, ends, control),
            }
            if !ends {
                self.frame = Some(frame);
                return Ok(());
            }
        }
    }

    /// Takes what belongs to a header; the frame is set when it is complete.
    fn take_header<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], WireError> {
        let mut bytes = bytes;
        loop {
            if let Some(frame) = parse_header(&self.header)? {
                self.header.clear();
                self.frame = Some(frame);
                return Ok(bytes);
            }
            let Some((first, rest)) = bytes.split_first() else { return Ok(bytes) };
            self.header.push(*first);
            bytes = rest;
        }
    }

    fn text(&mut self, mut part: &[u8], ends: bool, lines: &mut impl FnMut(&[u8])) -> Result<(), WireError> {
        if !self.tail.is_empty() {
            let until = part.iter().position(|byte| *byte == b'\n').map(|index| index + 1);
            let (head, rest) = part.split_at(until.unwrap_or(part.len()));
            self.tail.extend_from_slice(head);
            if self.tail.len() > LINE_BYTES {
                return Err(WireError::TooLong);
            }
            part = rest;
            if until.is_none() && !ends {
                return Ok(());
            }
            lines(&self.tail);
            self.tail.clear();
        }
        let whole = if ends { part.len() } else { part.iter().rposition(|byte| *byte == b'\n').map_or(0, |i| i + 1) };
        let (whole, tail) = part.split_at(whole);
        if !whole.is_empty() {
            lines(whole);
        }
        self.tail.extend_from_slice(tail);
        Ok(())
    }

    fn control(&mut self, opcode: u8, part: &[u8], ends: bool, control: &mut impl FnMut(Control)) {
        self.control.extend_from_slice(part);
        if !ends {
            return;
        }
        let payload = std::mem::take(&mut self.control);
        match opcode {
            PING => control(Control::Ping(payload)),
            // 1005: "no status code was present" (section 7.4.1).
            CLOSE => control(Control::Close(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)))),
            _ => {}
        }
    }
}

fn parse_header(header: &[u8]) -> Result<Option<Frame>, WireError> {
    let [first, second, extended @ ..] = header else { return Ok(None) };
    let opcode = first & 0x0f;
    let known = matches!(opcode, CONTINUATION | TEXT | CLOSE | PING | PONG);
    if second & 0x80 != 0 || first & 0x70 != 0 || !known {
        return Err(WireError::Forbidden);
    }
    let remaining = match second & 0x7f {
        126 => extended.first_chunk().map(|bytes| u64::from(u16::from_be_bytes(*bytes))),
        127 => extended.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)),
        short => Some(u64::from(short)),
    };
    let Some(remaining) = remaining else { return Ok(None) };
    if opcode >= CLOSE && remaining > CONTROL_BYTES {
        return Err(WireError::TooLong);
    }
    Ok(Some(Frame { opcode, last: first & 0x80 != 0, remaining }))
}

/// How many lines a piece from [`Incoming::feed`] has. Written so that the compiler counts 16 or more bytes at a time.
pub(super) fn count_lines(piece: &[u8]) -> u64 {
    // 255 bytes at most, so that their count fits a byte.
    let breaks: u64 = piece
        .chunks(255)
        .map(|chunk| u64::from(chunk.iter().fold(0u8, |count, byte| count + u8::from(*byte == b'\n'))))
        .sum();
    breaks + u64::from(piece.last().is_some_and(|last| *last != b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything a server may send, cut anywhere, reads the same.
    #[test]
    fn frames_read_the_same_however_they_are_cut() {
        let mut stream = Vec::new();
        push_plain(&mut stream, TEXT, b"one\ntwo\n");
        push_plain(&mut stream, PING, b"hi");
        push_plain(&mut stream, TEXT, b"three");
        push_plain(&mut stream, TEXT, &[b'x'; 300]);
        stream.extend_from_slice(&[0x01, 2, b'f', b'o', 0x80, 3, b'u', b'r', b'\n']);
        push_plain(&mut stream, CLOSE, &4008u16.to_be_bytes());
        for cut in 1..stream.len() {
            let (mut incoming, mut text, mut count, mut controls) = (Incoming::default(), Vec::new(), 0, Vec::new());
            for bytes in stream.chunks(cut) {
                let mut lines = |piece: &[u8]| {
                    count += count_lines(piece);
                    text.extend_from_slice(piece);
                };
                incoming.feed(bytes, &mut lines, &mut |control| controls.push(control)).unwrap();
            }
            assert_eq!(count, 5, "cut every {cut}");
            assert_eq!(text, [b"one\ntwo\nthree".as_slice(), &[b'x'; 300], b"four\n"].concat());
            assert_eq!(controls, [Control::Ping(b"hi".to_vec()), Control::Close(4008)]);
        }
    }

    #[test]
    fn masked_frames_unmask_to_what_was_meant() {
        for length in [0, 5, 125, 126, 70_000] {
            let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let mut frame = Vec::new();
            push_masked(&mut frame, TEXT, &payload);
            let body = frame.len() - payload.len();
            let key: [u8; 4] = frame[body - 4..body].try_into().unwrap();
            let clear: Vec<u8> = frame[body..].iter().zip(key.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            assert_eq!((frame[0], frame[1] & 0x80, clear), (0x81, 0x80, payload));
        }
    }

    #[test]
    fn what_servers_must_not_send_is_refused() {
        for bytes in [[0x81, 0x80], [0xc1, 0x00], [0x83, 0x00]] {
            let result = Incoming::default().feed(&bytes, &mut |_| {}, &mut |_| {});
            assert_eq!(result, Err(WireError::Forbidden));
        }
        assert_eq!(Incoming::default().feed(&[0x89, 126, 1, 0], &mut |_| {}, &mut |_| {}), Err(WireError::TooLong));
    }
}
