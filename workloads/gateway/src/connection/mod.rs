//! One connection: a WebSocket, whose it is, and what it has open.

mod output;
mod read;
mod sends;
mod settle;
mod task;
mod watching;
mod wire;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU64, Ordering},
};

use bytes::Bytes;
use klatch_domain::{ConnectionId, Sender, SessionId};
use klatch_protocol::{ServerFrame, close};
use parking_lot::Mutex;
use tokio::net::TcpStream;

pub(crate) use output::{MESSAGE_BYTES, Piece, close as close_frame};
pub(crate) use sends::Held;
use sends::Sends;
pub(crate) use task::Task;
pub(crate) use watching::{NotWatched, WATCHED_ROOMS, WATCHED_USERS, Watching};
use wire::{Pushed, Wire};

use crate::{metrics::Metrics, registry::User, timer::Timer};

/// How long a closing connection may take to read what it still gets and to close its side, milliseconds: a few round trips
/// of a bad mobile network.
const LINGER_MS: u64 = 3_000;
/// Frames of one connection that wait for an answer about a room or about users: nobody opens more rooms at once.
const MOST_ASKED: u16 = 256;

/// What a gateway counts and measures with.
pub(crate) struct Instruments {
    pub(crate) metrics: Metrics,
    pub(crate) timer: Timer,
    /// Bytes that may wait for one connection.
    pub(crate) output_bytes: usize,
}

/// Who a connection belongs to, once `hello` was accepted.
pub(crate) struct Identity {
    pub(crate) user: Arc<User>,
    pub(crate) session: SessionId,
}

impl Identity {
    pub(crate) fn sender(&self) -> Sender {
        Sender { user: self.user.id, session: self.session }
    }
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(crate) enum Phase {
    /// `hello` is awaited until `due`.
    Arriving,
    /// `hello` was accepted; the next ping is `due`.
    Greeted,
    /// The close frame is on its way; the socket is dropped when `due`.
    Closing,
    /// The socket is gone.
    Ended,
}

/// Everything of a connection that others than its task may touch. Small: an idle one holds no buffers.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    /// Its place in the registry.
    pub(crate) index: u32,
    phase: AtomicU8,
    /// Frames that wait for a lookup.
    asked: AtomicU16,
    /// Milliseconds of the timer; what is due says `phase`.
    due_ms: AtomicU64,
    /// When something was last read.
    heard_ms: AtomicU64,
    /// When the token expires, milliseconds since 1970.
    expires_ms: AtomicI64,
    identity: OnceLock<Identity>,
    wire: Mutex<Wire>,
    /// Nothing while nothing is open.
    sends: Mutex<Option<Box<Sends>>>,
    /// Locked after the rooms and the presence watchers, never before.
    pub(crate) watching: Mutex<Watching>,
    instruments: Arc<Instruments>,
}

impl Connection {
    pub(crate) fn new(
        id: ConnectionId,
        index: u32,
        socket: TcpStream,
        hello_timeout_ms: u64,
        instruments: Arc<Instruments>,
    ) -> Self {
        let now = instruments.timer.millis();
        Self {
            id,
            index,
            phase: AtomicU8::new(Phase::Arriving as u8),
            asked: AtomicU16::new(0),
            due_ms: AtomicU64::new(now + hello_timeout_ms),
            heard_ms: AtomicU64::new(now),
            expires_ms: AtomicI64::new(i64::MAX),
            identity: OnceLock::new(),
            wire: Mutex::new(Wire::new(socket, instruments.output_bytes)),
            sends: Mutex::new(None),
            watching: Mutex::new(Watching::default()),
            instruments,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Arriving,
            1 => Phase::Greeted,
            2 => Phase::Closing,
            _ => Phase::Ended,
        }
    }

    /// A phase never goes back.
    fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.phase() >= Phase::Closing
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    pub(crate) fn is_of(&self, session: SessionId) -> bool {
        self.identity().is_some_and(|identity| identity.session == session)
    }

    /// `hello` was accepted.
    pub(crate) fn greet(&self, identity: Identity, expires_ms: i64, first_ping_ms: u64) {
        self.expires_ms.store(expires_ms, Ordering::Relaxed);
        self.due_ms.store(first_ping_ms, Ordering::Relaxed);
        let _ = self.identity.set(identity);
        self.advance(Phase::Greeted);
    }

    pub(crate) fn expires_ms(&self) -> i64 {
        self.expires_ms.load(Ordering::Relaxed)
    }

    /// A newer token lives longer; an older one changes nothing.
    pub(crate) fn extend(&self, expires_ms: i64) {
        self.expires_ms.fetch_max(expires_ms, Ordering::Relaxed);
    }

    pub(crate) fn due_ms(&self) -> u64 {
        self.due_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn heard_ms(&self) -> u64 {
        self.heard_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn hear(&self, now_ms: u64) {
        self.heard_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Reserves a place among the frames of this connection that wait for a lookup.
    pub(crate) fn begin_asking(&self) -> bool {
        let taken = self
            .asked
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |asked| (asked < MOST_ASKED).then_some(asked + 1));
        taken.is_ok()
    }

    pub(crate) fn end_asking(&self) {
        let _ = self.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |asked| asked.checked_sub(1));
    }

    /// Writes frames at once, or behind what waits already. A connection for which too much waits is closed.
    pub(crate) fn push(&self, pieces: &[Piece<'_>]) {
        let pushed = self.wire.lock().push(pieces);
        self.pushed(pushed);
    }

    fn pushed(&self, pushed: Pushed) {
        match pushed {
            Pushed::Taken(0) => {}
            Pushed::Taken(written) => self.instruments.metrics.bytes_out.inc_by(written as u64),
            Pushed::Overflow => self.close_dropping(close::SLOW_READER, "reads too slowly"),
        }
    }

    /// Writes one frame; for many connections or many frames see [`crate::batch::Batch`].
    pub(crate) fn push_frame(&self, frame: &ServerFrame) {
        let mut line = Vec::with_capacity(256);
        frame.encode_into(&mut line);
        line.push(b'\n');
        self.push(&[Piece::Own(&line)]);
    }

    /// `welcome`, and behind it everything that waited for it.
    pub(crate) fn open(&self, welcome: &ServerFrame) {
        let mut line = Vec::with_capacity(512);
        welcome.encode_into(&mut line);
        line.push(b'\n');
        let written = self.wire.lock().open(Bytes::from(line));
        self.pushed(Pushed::Taken(written));
    }

    /// A ping; the next is due then.
    pub(crate) fn ping(&self, next_ms: u64) {
        self.due_ms.store(next_ms, Ordering::Relaxed);
        let pushed = self.wire.lock().push_control(output::ping());
        self.pushed(pushed);
    }

    /// Closes behind what waits already.
    pub(crate) fn close(&self, code: u16, reason: &'static str) {
        self.begin_close(code, reason, false);
    }

    /// Closes instead of writing what waits.
    fn close_dropping(&self, code: u16, reason: &'static str) {
        self.begin_close(code, reason, true);
    }

    fn begin_close(&self, code: u16, reason: &'static str, drop_waiting: bool) {
        let due_ms = self.instruments.timer.millis() + LINGER_MS;
        if self.wire.lock().close(output::close(code, reason), drop_waiting) {
            self.due_ms.store(due_ms, Ordering::Relaxed);
            self.advance(Phase::Closing);
            self.instruments.metrics.closed(code).inc();
        }
    }

    /// The client closed first.
    fn close_answered(&self) {
        if !self.is_closing() {
            self.instruments.metrics.closed_by_client.inc();
        }
        self.due_ms.store(self.instruments.timer.millis() + LINGER_MS, Ordering::Relaxed);
        self.advance(Phase::Closing);
        self.wire.lock().close_answered();
    }

    /// Drops the socket, whatever still waits.
    pub(crate) fn end(&self) {
        self.advance(Phase::Ended);
        let waker = self.wire.lock().end();
        // Outside the lock: a waker may run what it wakes.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
