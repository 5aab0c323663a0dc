//! The generator: one thread, many connections, messages sent when they are due.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use super::{latency::Latencies, pace::Pace, peer::Peer};

/// Bytes of one read: a slow generator catches up with one call.
pub(super) const READ_BYTES: usize = 256 * 1024;
/// Messages sent before sockets get their turn again.
const BURST: usize = 64;
/// Without anything new for this long, what is missing will not come.
const QUIET: Duration = Duration::from_secs(2);

/// What all connections of a run share.
pub(super) struct Generator {
    epoch: Instant,
    /// Every read lands here: connections own no buffers.
    pub(super) buffer: RefCell<Vec<u8>>,
    /// Reads so far: tells a busy turn from an idle one.
    reads: Cell<u64>,
    /// Connections with bytes the socket did not take.
    stuck: RefCell<Vec<Rc<Peer>>>,
    /// Connections that ended.
    lost: Cell<u64>,
    /// Close code of the last one that ended with one.
    last_code: Cell<Option<u16>>,
}

/// What an open loop did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Driven {
    /// Messages that were due.
    pub(super) sent: u64,
    /// When it began, nanoseconds of the generator's clock.
    pub(super) started: u64,
    /// Share of the time the generator had something to do.
    pub(super) busy: f64,
    /// How late the generator itself was, p99.
    pub(super) late_p99_ms: f64,
}

/// Above this share of its time the generator, not the server, may be what limits.
pub(super) const GENERATOR_BOUND: f64 = 0.95;

impl Generator {
    /// A generator whose clock starts now.
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            epoch: Instant::now(),
            buffer: RefCell::new(vec![0; READ_BYTES]),
            reads: Cell::new(0),
            stuck: RefCell::default(),
            lost: Cell::new(0),
            last_code: Cell::new(None),
        })
    }

    /// Nanoseconds of this generator's clock: what messages carry as their due time.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A socket gave something.
    pub(super) fn note_read(&self) {
        self.reads.set(self.reads.get() + 1);
    }

    /// A connection ended, with this close code if it had one.
    pub(super) fn note_end(&self, code: Option<u16>) {
        self.lost.set(self.lost.get() + 1);
        if code.is_some() {
            self.last_code.set(code);
        }
    }

    /// Connections that ended since the start, and the last close code.
    pub(super) fn lost(&self) -> (u64, Option<u16>) {
        (self.lost.get(), self.last_code.get())
    }

    /// This connection has bytes left to write.
    pub(super) fn note_stuck(&self, peer: Rc<Peer>) {
        self.stuck.borrow_mut().push(peer);
    }

    fn flush_stuck(&self) {
        if !self.stuck.borrow().is_empty() {
            self.stuck.borrow_mut().retain(|peer| !peer.flush());
        }
    }

    /// Sends each message when it is due: `send` gets its number and due time. Never waits for an answer. Between two
    /// messages it looks at the sockets without sleeping, as a timer's millisecond would stand in every latency.
    pub(super) async fn open_loop(
        &self,
        rate: f64,
        seconds: f64,
        mut send: impl FnMut(u64, u64),
    ) -> anyhow::Result<Driven> {
        let started = self.now();
        let mut pace = Pace::new(started, rate, seconds);
        let mut late = Latencies::new()?;
        let mut idle = Idle::new(self, started);
        let mut sent = 0;
        while !pace.is_over() {
            let now = self.now();
            let mut burst = 0;
            while burst < BURST
                && let Some((number, due)) = pace.next_due(now)
            {
                late.record(now.saturating_sub(due), 1);
                send(number, due);
                burst += 1;
            }
            sent += burst as u64;
            self.flush_stuck();
            idle.turn(now, burst > 0);
            tokio::task::yield_now().await;
        }
        let late_p99_ms = late.summary().p99_ms;
        Ok(Driven { sent, started, busy: idle.busy(), late_p99_ms })
    }

    /// Looks at the sockets for this long. Answers the share of the time there was something to do.
    pub(super) async fn serve(&self, duration: Duration) -> f64 {
        let until = self.now().saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        let mut idle = Idle::new(self, self.now());
        loop {
            let now = self.now();
            if now >= until {
                return idle.busy();
            }
            self.flush_stuck();
            idle.turn(now, false);
            tokio::task::yield_now().await;
        }
    }

    /// Waits until `done`, or until nothing new came for [`QUIET`], or `longest` is over. `progress` says how far it is.
    pub(super) async fn settle(&self, longest: Duration, done: impl Fn() -> bool, progress: impl Fn() -> u64) {
        let (start, mut last, mut last_change) = (Instant::now(), progress(), Instant::now());
        while !done() && start.elapsed() < longest && last_change.elapsed() < QUIET {
            self.flush_stuck();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = progress();
            if now != last {
                (last, last_change) = (now, Instant::now());
            }
        }
    }
}

/// Tells how much of a busy loop was idle: turns in which nothing was sent or read.
struct Idle<'a> {
    generator: &'a Generator,
    started: u64,
    last: u64,
    reads: u64,
    /// The turn before sent something.
    sent: bool,
    nanos: u64,
}

impl<'a> Idle<'a> {
    fn new(generator: &'a Generator, now: u64) -> Self {
        Self { generator, started: now, last: now, reads: generator.reads.get(), sent: true, nanos: 0 }
    }

    fn turn(&mut self, now: u64, sent: bool) {
        let reads = self.generator.reads.get();
        if reads == self.reads && !self.sent {
            self.nanos += now - self.last;
        }
        (self.last, self.reads, self.sent) = (now, reads, sent);
    }

    fn busy(&self) -> f64 {
        let total = self.last.saturating_sub(self.started).max(1);
        1.0 - self.nanos as f64 / total as f64
    }
}
