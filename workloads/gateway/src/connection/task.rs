//! The task that owns a socket: it reads frames and handles them, and writes when something waits.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use klatch_protocol::close;

use super::{
    Connection, Phase,
    read::{Incoming, Reader},
};
use crate::{accept::Seat, core::Core, frames::Client};

/// Messages handled in one turn before others get theirs.
const TURN_MESSAGES: usize = 64;
/// Reads in one turn of what a closing connection still sends; all of it is thrown away.
const TURN_DISCARDS: usize = 16;
/// Close codes of RFC 6455 section 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
const INVALID_PAYLOAD: u16 = 1007;

/// See [`Task::poll`].
pub(crate) struct Task {
    client: Client,
    reader: Reader,
    /// Given back when the task is dropped.
    _seat: Seat,
    /// The other side was told that nothing follows.
    shut: bool,
}

/// How reading ended for this turn.
enum Read {
    Dry,
    /// There may be more.
    More,
    Gone,
}

impl Task {
    pub(crate) fn new(core: Arc<Core>, connection: Arc<Connection>, early: Bytes, seat: Seat) -> Self {
        let reader = Reader::new(&connection, early);
        Self { client: Client::new(core, connection), reader, _seat: seat, shut: false }
    }

    fn connection(&self) -> &Arc<Connection> {
        &self.client.connection
    }

    fn read(&mut self, context: &mut Context<'_>) -> Read {
        let mut heard = false;
        let mut read = Read::More;
        for _ in 0..TURN_MESSAGES {
            match self.reader.poll(&self.client.connection, context) {
                Poll::Pending => {
                    read = Read::Dry;
                    break;
                }
                Poll::Ready(Incoming::Gone) => return Read::Gone,
                Poll::Ready(incoming) => self.take(&incoming),
            }
            heard = true;
            if self.connection().is_closing() {
                self.reader.drop_parser();
                break;
            }
        }
        if heard {
            self.client.heard();
        }
        self.client.answer();
        read
    }

    fn take(&mut self, incoming: &Incoming) {
        match incoming {
            Incoming::Text(text) => self.client.on_message(text),
            Incoming::Alive | Incoming::Gone => {}
            Incoming::Close => self.connection().close_answered(),
            Incoming::Binary => self.client.close(close::MALFORMED, "binary messages are not spoken here"),
            Incoming::TooLarge => self.client.close(close::FRAME_TOO_LARGE, "a message has at most 64 KiB"),
            Incoming::NotUtf8 => self.client.close(INVALID_PAYLOAD, "text is UTF-8"),
            Incoming::Violation => self.client.close(PROTOCOL_ERROR, "against RFC 6455"),
        }
    }

    /// The close frame has left: waits until the other side has closed too. What it still sends must be read, or the kernel
    /// resets the connection, and the close frame is lost with it.
    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut wire = self.client.connection.wire.lock();
        if !self.shut {
            self.shut = true;
            wire.shut(context);
        }
        let mut scrap = [0; 2 * 1024];
        for _ in 0..TURN_DISCARDS {
            match ready!(wire.poll_read(context, &mut scrap)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Future for Task {
    type Output = ();

    /// One turn: read, handle, write. Ready when the connection is over.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let task = &mut *self;
        if task.connection().phase() == Phase::Ended {
            return Poll::Ready(());
        }
        task.connection().wire.lock().wake_with(context.waker());
        if !task.connection().is_closing() {
            match task.read(context) {
                Read::Dry => {}
                Read::More => context.waker().wake_by_ref(),
                Read::Gone => {
                    task.client.core.instruments.metrics.gone.inc();
                    return Poll::Ready(());
                }
            }
        }
        let (written, flushed) = task.connection().wire.lock().poll_flush(context);
        task.client.core.instruments.metrics.bytes_out.inc_by(written as u64);
        match flushed {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) if task.connection().is_closing() => task.poll_closed(context),
            Poll::Ready(Ok(())) => Poll::Pending,
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.client.core.leave(&self.client.connection);
    }
}
