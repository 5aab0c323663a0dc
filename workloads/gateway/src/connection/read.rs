//! Reading: tungstenite parses, and holds a buffer only while there is something to read.
//!
//! When everything that was read has been handled, parser and buffer are dropped; the next byte makes new ones. So an idle
//! connection has no read buffer, a large frame leaves none behind, and a busy connection reads many frames at once.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use klatch_domain::limits::FRAME_BYTES;
use tokio_tungstenite::tungstenite::{
    Error, Message, Utf8Bytes, WebSocket,
    protocol::{Role, WebSocketConfig},
};

use super::Connection;

/// Bytes of one read: some fifteen usual frames, in one page.
const READ_BYTES: usize = 4 * 1024;

/// What came.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A text message: one or more frames of the wire contract.
    Text(Utf8Bytes),
    Binary,
    /// A ping (its pong waits already) or a pong.
    Alive,
    /// A close frame (its answer waits already).
    Close,
    TooLarge,
    NotUtf8,
    /// Against RFC 6455.
    Violation,
    /// The connection broke.
    Gone,
}

/// The reading half.
pub(crate) struct Reader {
    parser: Option<Box<WebSocket<Link>>>,
    /// Bytes of all messages handed out by this parser, with the smallest head that each can have.
    handled: u64,
}

impl Reader {
    /// `early` was read already, behind the request that was upgraded.
    pub(crate) fn new(connection: &Arc<Connection>, early: Bytes) -> Self {
        if early.is_empty() {
            return Self { parser: None, handled: 0 };
        }
        let link = Link::new(connection, Waker::noop(), early.len() as u64);
        let parser = WebSocket::from_partially_read(link, early.to_vec(), Role::Server, Some(rules()));
        Self { parser: Some(Box::new(parser)), handled: 0 }
    }

    /// The next message. While it is pending, the task is woken when something comes.
    pub(crate) fn poll(&mut self, connection: &Arc<Connection>, context: &mut Context<'_>) -> Poll<Incoming> {
        let parser = match &mut self.parser {
            Some(parser) => parser,
            none => {
                match connection.wire.lock().poll_readable(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Incoming::Gone),
                    Poll::Pending => return Poll::Pending,
                }
                self.handled = 0;
                let link = Link::new(connection, context.waker(), 0);
                none.insert(Box::new(WebSocket::from_raw_socket(link, Role::Server, Some(rules()))))
            }
        };
        parser.get_mut().waker.clone_from(context.waker());
        match parser.read() {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                // Never more than was read: equal means that nothing is left in the parser.
                if parser.get_ref().read == self.handled {
                    self.parser = None;
                }
                Poll::Pending
            }
            Ok(message) => {
                self.handled += least_bytes(&message);
                Poll::Ready(incoming(message))
            }
            Err(error) => Poll::Ready(failed(&error)),
        }
    }

    /// Nothing more is parsed.
    pub(crate) fn drop_parser(&mut self) {
        self.parser = None;
    }
}

fn rules() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        // Pongs and close frames only; they go to the connection's own bounded queue at once.
        .max_write_buffer_size(READ_BYTES)
        .max_message_size(Some(FRAME_BYTES))
        .max_frame_size(Some(FRAME_BYTES))
}

/// A masked frame has a head of at least 6 bytes (RFC 6455 section 5.2).
fn least_bytes(message: &Message) -> u64 {
    let payload = message.len();
    let extended = match payload {
        0..126 => 0,
        126..0x1_0000 => 2,
        _ => 8,
    };
    (6 + extended + payload) as u64
}

fn incoming(message: Message) -> Incoming {
    match message {
        Message::Text(text) => Incoming::Text(text),
        Message::Ping(_) | Message::Pong(_) => Incoming::Alive,
        Message::Close(_) => Incoming::Close,
        Message::Binary(_) | Message::Frame(_) => Incoming::Binary,
    }
}

fn failed(error: &Error) -> Incoming {
    match error {
        Error::Capacity(_) => Incoming::TooLarge,
        Error::Utf8(_) => Incoming::NotUtf8,
        Error::Protocol(violation) => {
            use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
            if *violation == ResetWithoutClosingHandshake { Incoming::Gone } else { Incoming::Violation }
        }
        _ => Incoming::Gone,
    }
}

/// What tungstenite takes for a stream: it reads from the socket, and writes into the connection's queue.
struct Link {
    connection: Arc<Connection>,
    waker: Waker,
    /// Bytes read by this parser.
    read: u64,
}

impl Link {
    fn new(connection: &Arc<Connection>, waker: &Waker, read: u64) -> Self {
        Self { connection: Arc::clone(connection), waker: waker.clone(), read }
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.connection.wire.lock().poll_read(&mut Context::from_waker(&self.waker), buffer);
        match read {
            Poll::Ready(Ok(count)) => {
                self.read += count as u64;
                Ok(count)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Link {
    /// Takes everything: the queue's bound is kept by closing the connection.
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        let pushed = self.connection.wire.lock().push_control(Bytes::copy_from_slice(frame));
        self.connection.pushed(pushed);
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
