//! The client without any I/O: told what happened, it answers what to do. No clock, no socket, no randomness of its own:
//! the same inputs at the same times with the same generator give the same outputs.
//!
//! It promises, whatever the network does: every message said is stored exactly once or reported refused, a sender's
//! order in a room holds, and every log it shows is dense, in order and in the end the server's.

mod answer;
mod backoff;
mod clock;
mod connection;
mod expiry;
mod frame;
mod gap;
mod heartbeat;
mod inbox;
mod input;
mod log;
mod outbox;
mod output;
mod pace;
mod revision;
mod session;
mod settings;
mod snapshot;
mod sync;
mod thread;
mod timeline;
mod user;
mod watching;
mod watermark;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use klatch_domain::{RoomId, SessionId, UserId};
use klatch_protocol::ClientFrame;
use rand::rngs::Xoshiro256PlusPlus;

pub use input::{Failure, Input, ListedRoom, RequestId};
pub use output::{Change, Connection, MessageState, Output, Part, Stop};
pub use settings::{Depth, Settings};
pub use snapshot::{SavedMessage, SavedRefusal, SavedRoom, Snapshot};
pub use thread::ThreadSummary;
pub use timeline::Timeline;

use answer::Purpose;
use clock::Clock;
use connection::{Link, Phase};
use expiry::ServerClock;
use gap::Gaps;
use heartbeat::Heartbeat;
use log::{FirstFold, Room};
use outbox::Outbox;
use session::Session;
use settings::{CATCH_UP_WAIT_MS, SAVE_EVERY_MS};
use sync::{List, Sync};
use watching::Watching;
use watermark::Watermarks;

/// One signed-in client.
#[derive(Clone)]
pub struct Core {
    settings: Settings,
    random: Xoshiro256PlusPlus,
    clock: Clock,
    /// Inside time of the input being handled, milliseconds.
    now: u64,
    outputs: Vec<Output>,
    /// What the timer was last set to, outside time.
    timer: Option<u64>,
    /// When a snapshot is to be written: now, or by then.
    save_at: Option<u64>,

    server_clock: ServerClock,
    user: Option<UserId>,
    session_id: Option<SessionId>,
    link: Link,
    heartbeat: Heartbeat,
    session: Session,

    inbox_room: Option<RoomId>,
    inbox: Timeline,
    rooms: BTreeMap<RoomId, Room>,
    first_fold: Option<FirstFold>,
    sync: Sync,
    gaps: Gaps,
    older: BTreeSet<RoomId>,
    requests: BTreeMap<RequestId, Purpose>,
    last_request: u64,

    outbox: Outbox,
    watermarks: Watermarks,
    watching: Watching,
}

impl Core {
    /// A client, stopped. `random` decides its waits; `snapshot` is what [`Self::snapshot`] gave in an earlier life.
    #[must_use]
    pub fn new(settings: Settings, random: Xoshiro256PlusPlus, snapshot: Snapshot) -> Self {
        let user = snapshot.user;
        let is_new = snapshot.inbox == klatch_domain::Position::NOTHING;
        let mut core = Self {
            random,
            clock: Clock::default(),
            now: 0,
            outputs: Vec::new(),
            timer: None,
            save_at: None,
            server_clock: ServerClock::default(),
            user,
            session_id: None,
            link: Link::default(),
            heartbeat: Heartbeat::new(),
            session: Session::default(),
            inbox_room: None,
            inbox: Timeline::new(0, None),
            rooms: BTreeMap::new(),
            first_fold: is_new.then(FirstFold::default),
            sync: Sync::new(if is_new { List::Wanted(None) } else { List::Read }),
            gaps: Gaps::default(),
            older: BTreeSet::new(),
            requests: BTreeMap::new(),
            last_request: 0,
            outbox: Outbox::default(),
            watermarks: Watermarks::default(),
            watching: Watching::default(),
            settings,
        };
        core.restore(snapshot);
        core
    }

    /// Tells it what happened at this time of the outside clock, in milliseconds; answers what to do, in order. The clock
    /// may jump; a step back only makes the core wait.
    pub fn handle(&mut self, now_ms: u64, input: Input) -> Vec<Output> {
        self.now = self.clock.advance(now_ms);
        self.take(input);
        self.pump();
        self.finish()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Tick => {}
            Input::Start => self.start(),
            Input::Stop => self.stop(Stop::Asked),
            Input::Foreground => self.foreground(),
            Input::Connected => self.greet(),
            Input::Frame(frame) => self.take_frame(*frame),
            Input::Heard => self.heartbeat.heard(self.now),
            Input::Disconnected { code, retry_after_ms } => self.lost(code, retry_after_ms),
            Input::TokenRefreshed { access_token, lives_ms } => self.token_refreshed(access_token, lives_ms),
            Input::RefreshFailed(failure) => self.refresh_failed(failure),
            Input::TokenRejected => self.token_rejected(),
            Input::RoomsAnswer { request, rooms, next } => self.rooms_answer(request, rooms, next),
            Input::SyncAnswer { request, answer } => self.sync_answer(request, answer),
            Input::HistoryAnswer { request, entries, more: _ } => self.history_answer(request, entries),
            Input::RequestFailed { request, failure } => self.request_failed(request, failure),
            Input::Say { message_id, room, draft } => self.say(message_id, room, *draft),
            Input::Retry(message_id) => self.retry(message_id),
            Input::Discard(message_id) => self.discard(message_id),
            Input::Read { room, seq } => self.read(room, seq),
            Input::Watch(watch) => {
                let frame = self.watching.add(watch);
                self.send(frame);
            }
            Input::Unwatch(watch) => {
                let frame = self.watching.remove(watch);
                self.send(frame);
            }
            Input::Signal(signal) => {
                if self.is_online() && self.watching.may_signal(&signal, self.now) {
                    self.send([ClientFrame::Signal(signal)]);
                }
            }
            Input::Older { room, limit } => self.ask_older(room, limit),
            Input::Entered(room) => self.enter(room, None),
        }
    }

    /// Does whatever is due.
    fn pump(&mut self) {
        self.pump_expiry();
        self.pump_connection();
        self.pump_session();
        let Phase::Live { since } = self.link.phase else { return };
        if self.sync.check_is_due(self.now, &mut self.random) {
            self.sync.want_all(self.rooms.keys().copied());
        }
        self.pump_gaps();
        self.pump_sync();
        if self.sync.has_just_caught_up() {
            self.tell(Change::CaughtUp);
        }
        self.outbox.check_silence(self.now);
        if self.may_send_messages(since) {
            let leaving = self.outbox.pump(self.now, self.session_id);
            for (room, send) in &leaving {
                let (message_id, room) = (send.message_id, *room);
                self.tell(Change::Message { message_id, room, state: MessageState::Sending });
            }
            self.send(outbox::frames(leaving));
        }
        let marks = self.watermarks.flush(self.now);
        self.send(marks);
    }

    fn may_send_messages(&self, since: u64) -> bool {
        self.sync.is_caught_up() || since.saturating_add(CATCH_UP_WAIT_MS) <= self.now
    }

    fn finish(&mut self) -> Vec<Output> {
        let mut outputs = Vec::with_capacity(self.outputs.len() + 2);
        if self.settings.save && self.save_at.is_some_and(|at| at <= self.now) {
            self.save_at = None;
            outputs.push(Output::Save);
        }
        for output in self.outputs.drain(..) {
            match (outputs.last_mut(), output) {
                (Some(Output::SendFrames(frames)), Output::SendFrames(more)) => frames.extend(more),
                (_, output) => outputs.push(output),
            }
        }
        let timer = self.next_due().map(|due| self.clock.outside(due.max(self.now + 1)));
        if timer != self.timer {
            self.timer = timer;
            outputs.push(Output::SetTimer(timer));
        }
        outputs
    }

    fn next_due(&self) -> Option<u64> {
        let always =
            [self.connection_due(), self.session_due(), self.expiry_due(), self.save_at.filter(|_| self.settings.save)];
        let always = always.into_iter().flatten();
        let Phase::Live { since } = self.link.phase else {
            return always.min();
        };
        let outbox = if self.may_send_messages(since) {
            self.outbox.due()
        } else {
            (self.outbox.len() > 0).then_some(since.saturating_add(CATCH_UP_WAIT_MS))
        };
        let live = [Some(self.sync.due()), self.gaps.due(), outbox, self.watermarks.due()];
        live.into_iter().flatten().chain(always).min()
    }

    fn tell(&mut self, change: Change) {
        self.outputs.push(Output::Changed(change));
    }

    fn send(&mut self, frames: impl IntoIterator<Item = ClientFrame>) {
        let frames: Vec<_> = frames.into_iter().collect();
        if !frames.is_empty() && self.is_online() {
            self.outputs.push(Output::SendFrames(frames));
        }
    }

    fn save_now(&mut self) {
        self.save_at = Some(self.now);
    }

    fn save_soon(&mut self) {
        self.save_at.get_or_insert(self.now.saturating_add(SAVE_EVERY_MS));
    }

    fn request(&mut self, purpose: Purpose) -> RequestId {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.requests.insert(request, purpose);
        request
    }
}
