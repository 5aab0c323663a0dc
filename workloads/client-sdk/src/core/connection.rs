//! From no socket to a welcomed one and back.

use klatch_domain::{Code, ConnectionId};
use klatch_protocol::{ClientFrame, Hello, Reconnect, Refresh, Resume, Resumed, Welcome, close};

use super::backoff::Backoff;
use super::input::Failure;
use super::settings::{GREETING_MS, OPENING_MS, STABLE_MS};
use super::{Change, Connection, Core, Output, Stop};

/// Close code of a client that goes by itself (RFC 6455 section 7.4.1).
const NORMAL: u16 = 1000;

/// How far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// Not wanted.
    #[default]
    Stopped,
    /// Wanted; there is no access token yet.
    TokenWanted,
    /// Wanted; not before this.
    Waiting { until: u64 },
    /// The socket is being opened; given up then.
    Opening { until: u64 },
    /// `hello` was sent; given up then.
    Greeting { until: u64 },
    /// Welcomed.
    Live { since: u64 },
}

/// The connection and what it leaves to the next one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link {
    pub(crate) phase: Phase,
    backoff: Backoff,
    /// The server's word when to come back.
    come_back_at: Option<u64>,
    last: Option<ConnectionId>,
}

impl Link {
    fn has_socket(&self) -> bool {
        matches!(self.phase, Phase::Opening { .. } | Phase::Greeting { .. } | Phase::Live { .. })
    }
}

impl Core {
    /// Whether the connection carries messages.
    #[must_use]
    pub fn is_online(&self) -> bool {
        matches!(self.link.phase, Phase::Live { .. })
    }

    pub(super) fn start(&mut self) {
        if matches!(self.link.phase, Phase::Stopped | Phase::Waiting { .. }) {
            self.connect();
        }
    }

    pub(super) fn foreground(&mut self) {
        match self.link.phase {
            Phase::Waiting { .. } => self.connect(),
            Phase::Live { .. } => self.sync.want_all(self.rooms.keys().copied()),
            _ => {}
        }
    }

    pub(super) fn stop(&mut self, reason: Stop) {
        self.hang_up(NORMAL);
        if self.link.phase != Phase::Stopped {
            self.link.phase = Phase::Stopped;
            self.tell(Change::Connection(Connection::Stopped(reason)));
        }
    }

    fn connect(&mut self) {
        if self.session.token(self.now).is_some() {
            self.link.phase = Phase::Opening { until: self.now.saturating_add(OPENING_MS) };
            self.outputs.push(Output::OpenSocket);
        } else {
            self.session.rejected();
            self.link.phase = Phase::TokenWanted;
        }
    }

    pub(super) fn greet(&mut self) {
        if !matches!(self.link.phase, Phase::Opening { .. }) {
            return;
        }
        let Some(token) = self.session.token(self.now).map(str::to_owned) else {
            self.hang_up(NORMAL);
            return self.connect();
        };
        self.link.phase = Phase::Greeting { until: self.now.saturating_add(GREETING_MS) };
        self.heartbeat.start(self.now, None);
        let hello = Hello {
            token,
            device: None,
            client: Some(self.settings.client.clone()),
            encodings: Vec::new(),
            resume: self.link.last.map(|connection| Resume { connection }),
        };
        self.outputs.push(Output::SendFrames(vec![ClientFrame::Hello(hello)]));
    }

    pub(super) fn welcomed(&mut self, welcome: &Welcome) {
        if !matches!(self.link.phase, Phase::Greeting { .. }) {
            return;
        }
        if self.user.is_some_and(|user| user != welcome.user) {
            return self.stop(Stop::OtherUser);
        }
        self.user = Some(welcome.user);
        self.session_id = Some(welcome.session);
        self.inbox_room = Some(welcome.inbox);
        self.link.phase = Phase::Live { since: self.now };
        self.link.last = Some(welcome.connection);
        self.link.come_back_at = None;
        self.server_clock.heard(welcome.server_time, self.now);
        self.heartbeat.start(self.now, Some(welcome.heartbeat_ms));
        self.outbox.connected(welcome.limits.in_flight, welcome.limits.sends_per_second);
        let complete = welcome.resumed == Resumed::Full;
        self.sync.connected(self.rooms.keys().copied(), complete, self.now, &mut self.random);
        if complete {
            // Nothing is missed since, but what was missed before is still to be asked for.
            let behind = self.rooms.iter().filter(|(_, room)| room.timeline.is_behind()).map(|(id, _)| *id);
            for room in behind.collect::<Vec<_>>() {
                self.sync.want(room);
            }
        }
        self.tell(Change::Connection(Connection::Online));
        let watched = self.watching.all();
        self.send(watched);
    }

    pub(super) fn take_reconnect(&mut self, hint: &Reconnect) {
        self.link.come_back_at = Some(self.now.saturating_add(hint.after_ms));
    }

    /// The socket is gone by itself or by the server.
    pub(super) fn lost(&mut self, code: Option<u16>, retry_after_ms: Option<u64>) {
        if !self.link.has_socket() {
            return;
        }
        let since = match self.link.phase {
            Phase::Live { since } => Some(since),
            _ => None,
        };
        self.forget_connection();
        if let Some(code) = code.filter(|code| !close::comes_back(*code)) {
            let reason = if code == close::SESSION_REVOKED { Stop::SignedOut } else { Stop::Closed(code) };
            self.link.phase = Phase::Stopped;
            return self.tell(Change::Connection(Connection::Stopped(reason)));
        }
        if code == Some(close::TOKEN_EXPIRED) {
            self.session.rejected();
        }
        if since.is_some_and(|since| since.saturating_add(STABLE_MS) <= self.now) {
            self.link.backoff.reset();
        }
        let told = self.link.come_back_at.take().map(|at| at.saturating_sub(self.now));
        let wait = self.link.backoff.next_or(told.or(retry_after_ms), &mut self.random);
        self.link.phase = Phase::Waiting { until: self.now.saturating_add(wait) };
        self.tell(Change::Connection(Connection::Offline { code, retry_in_ms: wait }));
    }

    /// Closes the socket from this side.
    fn hang_up(&mut self, code: u16) {
        if self.link.has_socket() {
            self.outputs.push(Output::CloseSocket { code });
            self.forget_connection();
        }
    }

    /// Closes a socket that no longer does its work, and comes back as if it had broken.
    pub(super) fn break_off(&mut self, code: u16) {
        self.outputs.push(Output::CloseSocket { code });
        self.lost(None, None);
    }

    /// Closes the socket and comes back at once.
    pub(super) fn renew(&mut self, code: u16) {
        self.hang_up(code);
        self.link.come_back_at = None;
        self.tell(Change::Connection(Connection::Offline { code: None, retry_in_ms: 0 }));
        self.connect();
    }

    fn forget_connection(&mut self) {
        self.outbox.disconnected();
        self.watermarks.disconnected(self.now);
        self.gaps.clear();
    }

    pub(super) fn token_refreshed(&mut self, access_token: String, lives_ms: u64) {
        self.session.refreshed(self.now, access_token.clone(), lives_ms, &mut self.random);
        match self.link.phase {
            Phase::TokenWanted => self.connect(),
            Phase::Live { .. } => self.send([ClientFrame::Refresh(Refresh { token: access_token })]),
            _ => {}
        }
    }

    pub(super) fn refresh_failed(&mut self, failure: Failure) {
        self.session.refresh_failed(self.now, failure.retry_after_ms, &mut self.random);
        let over = [Code::SessionRevoked, Code::Unauthenticated, Code::TokenExpired, Code::NotAllowed];
        if failure.code.is_some_and(|code| over.contains(&code)) {
            self.stop(Stop::SignedOut);
        }
    }

    pub(super) fn token_rejected(&mut self) {
        self.session.rejected();
        if self.session.ask(self.now) {
            self.outputs.push(Output::RefreshToken);
        }
    }

    pub(super) fn pump_connection(&mut self) {
        match self.link.phase {
            Phase::Waiting { until } if until <= self.now => self.connect(),
            Phase::Opening { until } | Phase::Greeting { until } if until <= self.now => self.break_off(NORMAL),
            Phase::Live { .. } if self.heartbeat.dead_at() <= self.now => self.break_off(close::HEARTBEAT_MISSED),
            Phase::Live { .. } if self.link.come_back_at.is_some_and(|at| at <= self.now) => self.renew(NORMAL),
            _ => {}
        }
    }

    pub(super) fn connection_due(&self) -> Option<u64> {
        match self.link.phase {
            Phase::Stopped | Phase::TokenWanted => None,
            Phase::Waiting { until } | Phase::Opening { until } | Phase::Greeting { until } => Some(until),
            Phase::Live { .. } => Some(self.link.come_back_at.unwrap_or(u64::MAX).min(self.heartbeat.dead_at())),
        }
    }

    pub(super) fn pump_session(&mut self) {
        if self.session_due().is_some() && self.session.ask(self.now) {
            self.outputs.push(Output::RefreshToken);
        }
    }

    pub(super) fn session_due(&self) -> Option<u64> {
        let wanted = matches!(self.link.phase, Phase::TokenWanted | Phase::Live { .. });
        self.session.due().filter(|_| wanted)
    }
}
