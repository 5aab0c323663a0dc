//! The socket of one connection and what waits for it, under one lock: there are never two writers.
//!
//! While nothing waits, whoever has something for the connection writes it directly. A short write leaves the rest here, and
//! from then on only the connection's own task writes, until nothing waits again.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::output::{Header, Output, Piece, Slices, fit};

/// Bytes one turn of a task writes before others get theirs.
const TURN_BYTES: usize = 256 * 1024;

/// How far a connection has come, seen from its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before `welcome`: lines wait, so that it comes first.
    Gated,
    Open,
    /// The close frame is the last thing that is written.
    Closing,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Written, waiting, or too late for this connection. So many bytes have left.
    Taken(usize),
    /// More waits now than may wait.
    Overflow,
}

pub(crate) struct Wire {
    /// Taken when the connection ends: others may hold the connection longer than its file descriptor may live.
    socket: Option<TcpStream>,
    output: Output,
    /// Of the connection's task.
    waker: Option<Waker>,
    stage: Stage,
    /// A write failed: nothing more will leave.
    broken: bool,
    most_bytes: usize,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream, most_bytes: usize) -> Self {
        Self {
            socket: Some(socket),
            output: Output::default(),
            waker: None,
            stage: Stage::Gated,
            broken: false,
            most_bytes,
        }
    }

    pub(crate) fn wake_with(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Writes frames, or lets them wait behind what waits already.
    pub(crate) fn push(&mut self, pieces: &[Piece<'_>]) -> Pushed {
        if self.stage == Stage::Closing || self.broken {
            return Pushed::Taken(0);
        }
        let mut written = 0;
        if self.stage == Stage::Gated || !self.output.is_empty() {
            self.output.push(pieces);
        } else {
            written = self.write_directly(pieces);
        }
        if self.output.bytes() > self.most_bytes { Pushed::Overflow } else { Pushed::Taken(written) }
    }

    /// The queue is empty: one write for each message, from the caller's own buffers.
    fn write_directly(&mut self, mut pieces: &[Piece<'_>]) -> usize {
        let Some(socket) = &self.socket else { return 0 };
        let mut written = 0;
        while !pieces.is_empty() {
            let (count, total) = fit(pieces);
            let (message, later) = pieces.split_at(count);
            let header = Header::text(total - 1);
            match socket.try_write_vectored(&direct_slices(&header, message)) {
                Ok(left) if left == header.unsent().len() + total - 1 => {
                    written += left;
                    pieces = later;
                    continue;
                }
                Ok(left) => {
                    written += left;
                    self.output.take_over(header, message, left);
                    self.output.push(later);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.output.push(pieces),
                Err(_) => self.broken = true,
            }
            self.wake();
            break;
        }
        written
    }

    /// Something of the WebSocket layer, a whole frame. The connection's task writes it.
    pub(crate) fn push_control(&mut self, frame: Bytes) -> Pushed {
        if self.stage == Stage::Closing || self.broken {
            return Pushed::Taken(0);
        }
        self.output.push_control(frame);
        self.wake();
        if self.output.bytes() > self.most_bytes { Pushed::Overflow } else { Pushed::Taken(0) }
    }

    /// Lets everything out that waited for `welcome`, behind it.
    pub(crate) fn open(&mut self, welcome: Bytes) -> usize {
        if self.stage != Stage::Gated {
            return 0;
        }
        self.stage = Stage::Open;
        if self.output.is_empty() {
            return self.write_directly(&[Piece::Shared(&welcome)]);
        }
        self.output.push_first(welcome);
        self.wake();
        0
    }

    /// Nothing is taken from now on, and `frame` is the last to be written: behind what waits, or instead of it. False when
    /// it was closing already.
    pub(crate) fn close(&mut self, frame: Bytes, drop_waiting: bool) -> bool {
        if self.stage == Stage::Closing {
            return false;
        }
        if drop_waiting || self.stage == Stage::Gated {
            self.output.drop_waiting();
        }
        self.stage = Stage::Closing;
        self.output.push_control(frame);
        self.wake();
        true
    }

    /// The client closed: its close frame is answered (the answer waits already), nothing else is taken.
    pub(crate) fn close_answered(&mut self) {
        self.stage = Stage::Closing;
        self.wake();
    }

    /// Closes the file descriptor. Answers who is to be told.
    pub(crate) fn end(&mut self) -> Option<Waker> {
        self.stage = Stage::Closing;
        self.broken = true;
        self.output = Output::default();
        self.socket = None;
        self.waker.take()
    }

    /// Writes what waits, as far as the socket takes it. Answers how much has left, and whether it is all.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> (usize, Poll<io::Result<()>>) {
        let mut written = 0;
        while written < TURN_BYTES {
            let Some(socket) = &mut self.socket else { return (written, Poll::Ready(Err(gone()))) };
            if self.broken {
                return (written, Poll::Ready(Err(gone())));
            }
            let slices = self.output.slices(self.stage != Stage::Gated);
            if slices.is_empty() {
                return (written, Poll::Ready(Ok(())));
            }
            match Pin::new(socket).poll_write_vectored(context, &slices) {
                Poll::Ready(Ok(left)) => {
                    drop(slices);
                    self.output.advance(left);
                    written += left;
                }
                Poll::Ready(Err(error)) => return (written, Poll::Ready(Err(error))),
                Poll::Pending => return (written, Poll::Pending),
            }
        }
        context.waker().wake_by_ref();
        (written, Poll::Pending)
    }

    /// Tells the other side that nothing follows.
    pub(crate) fn shut(&mut self, context: &mut Context<'_>) {
        if let Some(socket) = &mut self.socket {
            // Done at once (tokio calls shutdown(2)); an error means that the connection is gone anyway.
            let _ = Pin::new(socket).poll_shutdown(context);
        }
    }

    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.socket {
            Some(socket) => socket.poll_read_ready(context),
            None => Poll::Ready(Err(gone())),
        }
    }

    /// Reads what is there. A read that does not fill the buffer is known to be the last: no second call finds that out.
    pub(crate) fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(Err(gone())) };
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(socket).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

fn direct_slices<'a>(header: &'a Header, message: &[Piece<'a>]) -> Slices<'a> {
    let mut slices = Slices::new();
    slices.push(IoSlice::new(header.unsent()));
    let last = message.len().saturating_sub(1);
    for (index, piece) in message.iter().enumerate() {
        let bytes = piece.bytes();
        // Frames are separated by line breaks: none behind the last.
        slices.push(IoSlice::new(&bytes[..bytes.len() - usize::from(index == last)]));
    }
    slices
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}
