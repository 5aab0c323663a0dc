//! The one task that owns core, socket and timer: it carries inputs in and outputs out.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::StreamExt;
use klatch_domain::{Draft, Entry, MessageId, Position, Refusal, RoomId, Seq};
use klatch_protocol::http::{History, Rooms, SyncAnswer};
use klatch_protocol::{FrameError, ServerFrame, lines};
use reqwest::Method;
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Message;
use tracing::{debug, warn};

use super::event::Event;
use super::http::Http;
use super::sent::StoredAt;
use super::session::{Access, Authority};
use super::socket::{self, OpenError, Socket};
use super::state_file::StateFile;
use super::{ClientError, Status};
use crate::core::{Change, Connection, Core, Failure, Input, ListedRoom, MessageState, Output, Part, RequestId};

/// Far enough that a timer which is not set never fires, near enough for every clock.
const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);
/// A closed client waits this long for its last words.
const FAREWELL_WAIT: Duration = Duration::from_secs(3);

/// What a [`Client`](super::Client) asks of its task.
pub(crate) enum Command {
    Input(Input),
    Say {
        message_id: MessageId,
        room: RoomId,
        draft: Box<Draft>,
        outcome: oneshot::Sender<Result<StoredAt, Refusal>>,
    },
    Rooms(oneshot::Sender<Vec<RoomId>>),
    Timeline {
        room: RoomId,
        after: Seq,
        limit: usize,
        reply: oneshot::Sender<Option<View>>,
    },
    /// The server did not take this access token.
    Rejected(String),
    Close(oneshot::Sender<()>),
}

/// A part of a room's log as the client holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The log is held up to here.
    pub position: Position,
    /// The seq below the first row held; 0 when the log is held from its start.
    pub floor: Seq,
    /// Rows in seq order.
    pub entries: Vec<Entry>,
}

/// What work in the background brings back.
enum Done {
    Opened { attempt: u64, result: Result<Box<Socket>, OpenError> },
    Token(Result<Access, ClientError>),
    Answer(Input),
    Nothing,
}

/// What the task is made of.
pub(crate) struct Parts {
    pub(crate) core: Core,
    pub(crate) http: Http,
    pub(crate) authority: Arc<Mutex<Authority>>,
    pub(crate) access: watch::Sender<Option<String>>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) state_file: Option<StateFile>,
}

struct Task {
    parts: Parts,
    started: Instant,
    timer: Instant,
    socket: Option<Socket>,
    /// Which opening counts: one that was given up may still succeed.
    attempt: u64,
    background: JoinSet<Done>,
    /// Goodbyes and refreshes: a client that closes waits for them.
    last_words: JoinSet<Done>,
    outcomes: HashMap<MessageId, oneshot::Sender<Result<StoredAt, Refusal>>>,
}

/// Runs until the client is closed or every handle of it is gone.
pub(crate) async fn run(parts: Parts) {
    let started = Instant::now();
    let mut task = Task {
        parts,
        started,
        timer: started + NEVER,
        socket: None,
        attempt: 0,
        background: JoinSet::new(),
        last_words: JoinSet::new(),
        outcomes: HashMap::new(),
    };
    let closing = task.serve().await;
    task.farewell().await;
    if let Some(closing) = closing {
        // Nobody may be waiting any more.
        let _ = closing.send(());
    }
}

/// What woke the task.
enum Woken {
    Command(Option<Command>),
    Incoming(Option<Result<Message, tokio_tungstenite::tungstenite::Error>>),
    WriteFailed,
    Done(Done),
    Timer,
}

impl Task {
    async fn serve(&mut self) -> Option<oneshot::Sender<()>> {
        self.tell(Input::Start).await;
        loop {
            match self.wait().await {
                Woken::Command(None) => return None,
                Woken::Command(Some(Command::Close(reply))) => return Some(reply),
                Woken::Command(Some(command)) => self.take_command(command).await,
                Woken::Incoming(incoming) => self.take_incoming(incoming).await,
                Woken::WriteFailed => self.socket_lost(None).await,
                Woken::Done(done) => self.take_done(done).await,
                Woken::Timer => {
                    self.timer = Instant::now() + NEVER;
                    self.tell(Input::Tick).await;
                }
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let socket = async {
            match &mut self.socket {
                None => std::future::pending().await,
                Some(socket) => tokio::select! {
                    incoming = socket.incoming.next() => Woken::Incoming(incoming),
                    error = socket.outgoing.write() => {
                        debug!(%error, "the socket cannot be written to");
                        Woken::WriteFailed
                    }
                },
            }
        };
        tokio::select! {
            command = self.parts.commands.recv() => Woken::Command(command),
            woken = socket => woken,
            Some(done) = self.background.join_next() => Woken::Done(done.unwrap_or(Done::Nothing)),
            Some(done) = self.last_words.join_next() => Woken::Done(done.unwrap_or(Done::Nothing)),
            () = tokio::time::sleep_until(self.timer) => Woken::Timer,
        }
    }

    async fn take_command(&mut self, command: Command) {
        match command {
            Command::Input(input) => self.tell(input).await,
            Command::Say { message_id, room, draft, outcome } => {
                self.outcomes.insert(message_id, outcome);
                self.tell(Input::Say { message_id, room, draft }).await;
            }
            Command::Rooms(reply) => {
                let _ = reply.send(self.parts.core.rooms().collect());
            }
            Command::Timeline { room, after, limit, reply } => {
                let view = self.parts.core.timeline(room).map(|timeline| View {
                    position: timeline.position(),
                    floor: timeline.floor(),
                    entries: timeline.rows().filter(|row| row.position.seq > after).take(limit).cloned().collect(),
                });
                let _ = reply.send(view);
            }
            Command::Rejected(token) => {
                let current = self.parts.access.borrow().as_ref() == Some(&token);
                if current {
                    self.tell(Input::TokenRejected).await;
                }
            }
            Command::Close(_) => {}
        }
    }

    async fn take_incoming(&mut self, incoming: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) {
        match incoming {
            Some(Ok(Message::Text(text))) => {
                for line in lines(text.as_str()) {
                    let input = match ServerFrame::decode(line) {
                        Ok(frame) => Input::Frame(Box::new(frame)),
                        Err(FrameError::Unknown(_)) => Input::Heard,
                        Err(error) => {
                            warn!(%error, "the server sent a frame that is none");
                            Input::Heard
                        }
                    };
                    self.tell(input).await;
                }
            }
            Some(Ok(Message::Close(frame))) => self.socket_lost(frame.map(|frame| u16::from(frame.code))).await,
            Some(Ok(_)) => self.tell(Input::Heard).await,
            Some(Err(error)) => {
                debug!(%error, "the socket broke");
                self.socket_lost(None).await;
            }
            None => self.socket_lost(None).await,
        }
    }

    async fn socket_lost(&mut self, code: Option<u16>) {
        if self.socket.take().is_some() {
            self.tell(Input::Disconnected { code, retry_after_ms: None }).await;
        }
    }

    async fn take_done(&mut self, done: Done) {
        match done {
            Done::Opened { attempt, result } if attempt == self.attempt => match result {
                Ok(socket) => {
                    self.socket = Some(*socket);
                    self.tell(Input::Connected).await;
                }
                Err(OpenError { reason, retry_after_ms }) => {
                    debug!(%reason, "the socket did not open");
                    self.tell(Input::Disconnected { code: None, retry_after_ms }).await;
                }
            },
            Done::Opened { result, .. } => drop(result),
            Done::Token(Ok(Access { token, lives })) => {
                self.parts.access.send_replace(Some(token.clone()));
                let lives_ms = u64::try_from(lives.as_millis()).unwrap_or(u64::MAX);
                self.tell(Input::TokenRefreshed { access_token: token, lives_ms }).await;
            }
            Done::Token(Err(error)) => {
                warn!(%error, "no access token");
                let failure = match &error {
                    ClientError::Stopped(_) => {
                        Failure { code: Some(klatch_domain::Code::TokenExpired), retry_after_ms: None }
                    }
                    error => error.failure(),
                };
                self.tell(Input::RefreshFailed(failure)).await;
            }
            Done::Answer(input) => self.tell(input).await,
            Done::Nothing => {}
        }
    }

    /// Tells the core, and does what it says. Inputs that come of doing so follow.
    async fn tell(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            for output in self.parts.core.handle(now, input) {
                match output {
                    Output::SendFrames(frames) => {
                        let unread = self.socket.as_mut().is_some_and(|socket| !socket.outgoing.push(&frames));
                        if unread {
                            warn!("the server does not read: the socket is given up");
                            self.socket = None;
                            next = Some(Input::Disconnected { code: None, retry_after_ms: None });
                        }
                    }
                    Output::Save => self.save().await,
                    output => self.perform(output),
                }
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Save | Output::SendFrames(_) => {}
            Output::OpenSocket => {
                self.attempt += 1;
                let (attempt, url, tls) = (self.attempt, self.parts.http.socket_url(), self.parts.http.tls());
                self.background.spawn(async move {
                    Done::Opened { attempt, result: socket::open(&url, tls).await.map(Box::new) }
                });
            }
            Output::CloseSocket { code } => {
                self.attempt += 1;
                if let Some(socket) = self.socket.take() {
                    self.last_words.spawn(async move {
                        socket::close(socket, code).await;
                        Done::Nothing
                    });
                }
            }
            Output::RefreshToken => {
                let authority = Arc::clone(&self.parts.authority);
                self.last_words.spawn(async move { Done::Token(authority.lock().await.access().await) });
            }
            Output::SetTimer(at) => {
                let at = at.map(|at| self.started + Duration::from_millis(at));
                self.timer = at.unwrap_or_else(|| Instant::now() + NEVER);
            }
            Output::Changed(change) => self.publish(change),
            Output::RequestRooms { request, after } => {
                let call = self.parts.http.call("list rooms", Method::GET, &["rooms"]);
                let call = call.query([("limit", klatch_domain::limits::LIST_PAGE.to_string())]);
                let call = call.query(after.map(|after| ("after", after)));
                self.ask(request, call, |request, page: Rooms| Input::RoomsAnswer {
                    request,
                    rooms: page.rooms.iter().map(listed).collect(),
                    next: page.next,
                });
            }
            Output::RequestSync { request, body } => {
                let call = self.parts.http.call("sync", Method::POST, &["sync"]).body(&body);
                self.ask(request, call, |request, answer: SyncAnswer| Input::SyncAnswer { request, answer });
            }
            Output::RequestHistory { request, room, part, limit } => {
                let (name, seq) = match part {
                    Part::After(seq) => ("after", seq),
                    Part::Before(seq) => ("before", seq),
                };
                let room = room.to_string();
                let call = self.parts.http.call("read history", Method::GET, &["rooms", &room, "messages"]);
                let call = call.query([(name, seq.0.to_string()), ("limit", limit.to_string())]);
                self.ask(request, call, |request, page: History| Input::HistoryAnswer {
                    request,
                    entries: page.entries,
                    more: page.more,
                });
            }
        }
    }

    fn ask<T: serde::de::DeserializeOwned + Send + 'static>(
        &mut self,
        request: RequestId,
        call: super::http::Call,
        input: impl FnOnce(RequestId, T) -> Input + Send + 'static,
    ) {
        let http = self.parts.http.clone();
        let token = self.parts.access.borrow().clone();
        self.background.spawn(async move {
            Done::Answer(match http.send::<T>(call, token.as_deref()).await {
                Ok(answer) => input(request, answer),
                Err(error) => {
                    debug!(%error, "no answer");
                    Input::RequestFailed { request, failure: error.failure() }
                }
            })
        });
    }

    fn publish(&mut self, change: Change) {
        match &change {
            Change::Message { message_id, state, .. } => {
                let outcome = match state {
                    MessageState::Stored { position, ordinal, at } => {
                        Ok(StoredAt { position: *position, ordinal: *ordinal, at: *at })
                    }
                    MessageState::Refused(refusal) => Err(refusal.clone()),
                    MessageState::Queued | MessageState::Sending => return self.broadcast(change),
                };
                if let Some(waiting) = self.outcomes.remove(message_id) {
                    // Whoever said it may not want to know.
                    let _ = waiting.send(outcome);
                }
            }
            Change::CaughtUp => {
                self.parts.status.send_replace(Status::Ready);
            }
            Change::Connection(Connection::Online) => {
                self.parts.status.send_replace(Status::Online);
            }
            Change::Connection(Connection::Offline { .. }) => {
                self.parts.status.send_replace(Status::Offline);
            }
            Change::Connection(Connection::Stopped(reason)) => {
                self.parts.status.send_replace(Status::Stopped(*reason));
            }
            _ => {}
        }
        self.broadcast(change);
    }

    fn broadcast(&self, change: Change) {
        // Nobody needs to listen.
        let _ = self.parts.events.send(Event::Changed(change));
    }

    async fn save(&self) {
        let Some(file) = self.parts.state_file.clone() else { return };
        let snapshot = self.parts.core.snapshot();
        let written = tokio::task::spawn_blocking(move || file.write(&snapshot)).await;
        let failed = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        warn!(error = %failed, "the state file could not be written");
        let _ = self.parts.events.send(Event::NotSaved(failed));
    }

    async fn farewell(&mut self) {
        self.tell(Input::Stop).await;
        self.save().await;
        let last_words = async { while self.last_words.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL_WAIT, last_words).await;
    }
}

fn listed(room: &klatch_protocol::http::RoomOut) -> ListedRoom {
    ListedRoom { room: room.id, head: room.head, members: room.member_count }
}
