//! The thin shell: HTTP by reqwest, WebSocket by tokio-tungstenite, one task that owns them.

mod api;
mod error;
mod event;
mod follow;
mod http;
mod sent;
mod session;
mod socket;
mod state_file;
mod task;
mod trust;

use std::{path::PathBuf, sync::Arc, time::Duration};

use klatch_domain::{Content, Draft, Kind, MessageId, RoomId, Seq};
use klatch_protocol::http::{Me, SignUp, UserAnswer};
use klatch_protocol::{SignalOut, Watch};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use reqwest::Method;
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};

pub use error::ClientError;
pub use event::{Event, Events};
pub use follow::Follow;
pub use sent::{SendHandle, StoredAt};
pub use session::{Credentials, KeepSession, Session, SharedSession};
pub use task::View;
pub use trust::Roots;

use crate::core::{Core, Input, Settings, Snapshot, Stop};
use http::{Call, Http};
use session::Authority;
use state_file::StateFile;
use task::{Command, Parts};

/// Commands that wait for the task: a caller beyond waits with its call.
const COMMANDS: usize = 256;
/// Events a slow listener may lag behind before it misses some.
const EVENTS: usize = 4_096;
/// A call whose token was not taken waits this long for a newer one.
const TOKEN_WAIT: Duration = Duration::from_secs(30);
/// How long a typing signal is worth anything, milliseconds.
const TYPING_TTL_MS: u64 = 5_000;

/// How a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No connection; it is being made.
    Offline,
    /// Connected; what was missed is being fetched.
    Online,
    /// Connected, and everything missed is here.
    Ready,
    /// No connection, and none will be made.
    Stopped(Stop),
}

/// What a user of the client decides beside who they are.
#[derive(Clone, Default)]
pub struct Options {
    /// For the core.
    pub settings: Settings,
    /// Keeps the session with every new refresh token, before the token is used.
    pub keep_session: Option<KeepSession>,
    /// Where other processes keep the same session, if they do.
    pub shared_session: Option<Arc<dyn SharedSession>>,
    /// Keeps positions and outbox, so that a message said before a crash is sent after it.
    pub state_file: Option<PathBuf>,
    /// Authorities believed beside the system's, for servers with a certificate of their own.
    pub roots: Roots,
}

/// A signed-in client. Clones share one connection, which closes with the last of them.
#[derive(Clone)]
pub struct Client {
    http: Http,
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<Event>,
    access: watch::Receiver<Option<String>>,
    status: watch::Receiver<Status>,
    authority: Arc<Mutex<Authority>>,
}

impl Client {
    /// Makes a user. Needs no client.
    ///
    /// # Errors
    /// `username_taken`, `weak_password`, `sign_up_closed`, or another [`ClientError`].
    pub async fn sign_up(server: &str, user: SignUp) -> Result<Me, ClientError> {
        Self::sign_up_with(server, user, &Roots::default()).await
    }

    /// [`Self::sign_up`] at a server that these authorities vouch for.
    ///
    /// # Errors
    /// As [`Self::sign_up`].
    pub async fn sign_up_with(server: &str, user: SignUp, roots: &Roots) -> Result<Me, ClientError> {
        let http = Http::new(server, roots)?;
        let call = http.call("sign up", Method::POST, &["users"]).body(&user);
        http.send::<UserAnswer>(call, None).await.map(|answer| answer.user)
    }

    /// Signs in on a new device.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn sign_in(server: &str, username: &str, password: &str, device_name: &str) -> Result<Self, ClientError> {
        let credentials = Credentials::Password {
            username: username.to_owned(),
            password: password.to_owned(),
            device_name: device_name.to_owned(),
        };
        Self::connect(server, credentials, Options::default()).await
    }

    /// A bot.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn with_bot_token(server: &str, token: &str) -> Result<Self, ClientError> {
        Self::connect(server, Credentials::BotToken(token.to_owned()), Options::default()).await
    }

    /// Goes on with a kept session. `keep` is called with every new refresh token, before the token is used.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn with_session(session: Session, keep: KeepSession) -> Result<Self, ClientError> {
        let server = session.server.clone();
        let options = Options { keep_session: Some(keep), ..Options::default() };
        Self::connect(&server, Credentials::Session(Box::new(session)), options).await
    }

    /// Checks the credentials with the server, then connects in the background and stays connected.
    ///
    /// # Errors
    /// `unauthenticated`, `session_revoked`, no answer, an unusable address, certificate or state file, a session that could not be
    /// kept.
    pub async fn connect(server: &str, credentials: Credentials, options: Options) -> Result<Self, ClientError> {
        let http = Http::new(server, &options.roots)?;
        let state_file = options.state_file.map(StateFile::new);
        let snapshot = match &state_file {
            Some(file) => file.read().map_err(ClientError::State)?,
            None => Snapshot::default(),
        };
        let mut authority =
            Authority::open(http.clone(), credentials, options.keep_session, options.shared_session).await?;
        let first = authority.access().await?;
        let settings = Settings { save: state_file.is_some(), ..options.settings };
        let mut core = Core::new(settings, Xoshiro256PlusPlus::from_rng(&mut rand::rng()), snapshot);
        let lives_ms = u64::try_from(first.lives.as_millis()).unwrap_or(u64::MAX);
        // Stopped as it is, the core only remembers the token.
        core.handle(0, Input::TokenRefreshed { access_token: first.token.clone(), lives_ms });

        let authority = Arc::new(Mutex::new(authority));
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (events, _) = broadcast::channel(EVENTS);
        let (access_in, access) = watch::channel(Some(first.token));
        let (status_in, status) = watch::channel(Status::Offline);
        let parts = Parts {
            core,
            http: http.clone(),
            authority: Arc::clone(&authority),
            access: access_in,
            status: status_in,
            events: events.clone(),
            commands: inbox,
            state_file,
        };
        tokio::spawn(task::run(parts));
        Ok(Self { http, commands, events, access, status, authority })
    }

    /// The session as it is to be kept; none for bots. Waits while a refresh is on its way.
    pub async fn session(&self) -> Option<Session> {
        self.authority.lock().await.session().cloned()
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Waits until the client is connected and everything missed is here. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError::Stopped`] when that will not happen, [`ClientError::Closed`].
    pub async fn ready(&self) -> Result<(), ClientError> {
        let mut status = self.status.clone();
        let stands = status.wait_for(|status| matches!(status, Status::Ready | Status::Stopped(_))).await;
        match stands.map(|status| *status) {
            Ok(Status::Stopped(Stop::Asked)) | Err(_) => Err(ClientError::Closed),
            Ok(Status::Stopped(reason)) => Err(ClientError::Stopped(reason)),
            Ok(_) => Ok(()),
        }
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.events.subscribe())
    }

    /// Puts a text into the outbox.
    ///
    /// # Errors
    /// [`ClientError::MessageRefused`] for a text above the bound, [`ClientError::Closed`].
    pub async fn say(&self, room: RoomId, text: &str) -> Result<SendHandle, ClientError> {
        let content = Content::text(text).map_err(|error| {
            ClientError::MessageRefused(klatch_domain::Refusal::new(
                klatch_domain::Code::ContentTooLarge,
                error.to_string(),
            ))
        })?;
        self.send(room, Draft::new(Kind::Text, content)).await
    }

    /// Puts a message into the outbox. From then on it is sent, again and again if need be, until it is stored or refused
    /// for good; messages to one room are stored in the order of these calls.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn send(&self, room: RoomId, draft: Draft) -> Result<SendHandle, ClientError> {
        let message_id = MessageId::now();
        let (sender, outcome) = oneshot::channel();
        self.command(Command::Say { message_id, room, draft: Box::new(draft), outcome: sender }).await?;
        Ok(SendHandle { message_id, outcome })
    }

    /// Sends a refused message again.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn retry(&self, message_id: MessageId) -> Result<(), ClientError> {
        self.input(Input::Retry(message_id)).await
    }

    /// Gives a message up. One that is on its way may be stored all the same.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn discard(&self, message_id: MessageId) -> Result<(), ClientError> {
        self.input(Input::Discard(message_id)).await
    }

    /// Ids of the rooms whose logs are held here.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn known_rooms(&self) -> Result<Vec<RoomId>, ClientError> {
        let (sender, reply) = oneshot::channel();
        self.command(Command::Rooms(sender)).await?;
        reply.await.map_err(|_| ClientError::Closed)
    }

    /// A room's log as far as it is held; none when we are not in it, as far as we know.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn timeline(&self, room: RoomId) -> Result<Option<View>, ClientError> {
        self.timeline_after(room, Seq::ZERO, usize::MAX).await
    }

    /// The first `limit` rows held above this seq.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn timeline_after(&self, room: RoomId, after: Seq, limit: usize) -> Result<Option<View>, ClientError> {
        let (sender, reply) = oneshot::channel();
        self.command(Command::Timeline { room, after, limit, reply: sender }).await?;
        reply.await.map_err(|_| ClientError::Closed)
    }

    /// Loads older rows into the timeline; they come as [`Change::Older`](crate::core::Change::Older).
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn load_older(&self, room: RoomId, limit: usize) -> Result<(), ClientError> {
        self.input(Input::Older { room, limit }).await
    }

    /// Reads a room's log after this seq (none: after what is there now), entry by entry, and waits at its end.
    ///
    /// # Errors
    /// As [`Self::ready`]; `room_not_found` when we are not in the room.
    pub async fn follow(&self, room: RoomId, after: Option<Seq>) -> Result<Follow, ClientError> {
        let events = self.events();
        self.ready().await?;
        let view = self.timeline_after(room, Seq::ZERO, 0).await?;
        let view = view.ok_or_else(|| ClientError::MessageRefused(klatch_domain::Refusal::room_not_found()))?;
        Ok(Follow::new(self.clone(), room, after.unwrap_or(view.position.seq), events))
    }

    /// Looks at these rooms, and at the presence of these users.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn watch(&self, watch: Watch) -> Result<(), ClientError> {
        self.input(Input::Watch(watch)).await
    }

    /// No longer.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn unwatch(&self, watch: Watch) -> Result<(), ClientError> {
        self.input(Input::Unwatch(watch)).await
    }

    /// Tells those who watch the room that we type. Lossy.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn typing(&self, room: RoomId) -> Result<(), ClientError> {
        let signal = SignalOut { room, kind: "typing".into(), payload: None, ttl_ms: Some(TYPING_TTL_MS) };
        self.input(Input::Signal(signal)).await
    }

    /// We have read up to here.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn mark_read(&self, room: RoomId, seq: Seq) -> Result<(), ClientError> {
        self.input(Input::Read { room, seq }).await
    }

    /// The user is looking: compare everything with the server now.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn foreground(&self) -> Result<(), ClientError> {
        self.input(Input::Foreground).await
    }

    /// Ends the session at the server and closes. For a bot it only closes: its token is its owner's to revoke.
    ///
    /// # Errors
    /// [`ClientError`] when the server could not be told; the client is closed all the same.
    pub async fn sign_out(self) -> Result<(), ClientError> {
        let told = match self.session().await {
            Some(session) => {
                let path = ["sessions", &session.session_id.to_string()];
                match self.authorised_empty(self.http.call("sign out", Method::DELETE, &path)).await {
                    // It was over already.
                    Err(error) if matches!(error.code(), Some(klatch_domain::Code::SessionRevoked)) => Ok(()),
                    told => told,
                }
            }
            None => Ok(()),
        };
        self.close().await;
        told
    }

    /// Says goodbye and ends. Messages in the outbox stay in the state file, if there is one.
    pub async fn close(self) {
        let (sender, done) = oneshot::channel();
        if self.command(Command::Close(sender)).await.is_ok() {
            // The task answers, or is gone.
            let _ = done.await;
        }
    }

    async fn input(&self, input: Input) -> Result<(), ClientError> {
        self.command(Command::Input(input)).await
    }

    async fn command(&self, command: Command) -> Result<(), ClientError> {
        self.commands.send(command).await.map_err(|_| ClientError::Closed)
    }

    async fn authorised<T: serde::de::DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let token = self.token();
        match self.http.send(call.clone(), token.as_deref()).await {
            Err(error) if token_was_not_taken(&error) => {
                let newer = self.newer_token(token, error).await?;
                self.http.send(call, Some(&newer)).await
            }
            answered => answered,
        }
    }

    async fn authorised_empty(&self, call: Call) -> Result<(), ClientError> {
        let token = self.token();
        match self.http.send_empty(call.clone(), token.as_deref()).await {
            Err(error) if token_was_not_taken(&error) => {
                let newer = self.newer_token(token, error).await?;
                self.http.send_empty(call, Some(&newer)).await
            }
            answered => answered,
        }
    }

    fn token(&self) -> Option<String> {
        self.access.borrow().clone()
    }

    async fn newer_token(&self, token: Option<String>, error: ClientError) -> Result<String, ClientError> {
        if let Some(token) = token.clone() {
            self.command(Command::Rejected(token)).await?;
        }
        let mut access = self.access.clone();
        let mut status = self.status.clone();
        let newer = access.wait_for(|access| *access != token);
        let stopped = status.wait_for(|status| matches!(status, Status::Stopped(_)));
        let found = tokio::time::timeout(TOKEN_WAIT, async {
            tokio::select! {
                newer = newer => newer.ok().and_then(|newer| newer.clone()),
                _ = stopped => None,
            }
        });
        found.await.ok().flatten().ok_or(error)
    }
}

fn token_was_not_taken(error: &ClientError) -> bool {
    use klatch_domain::Code::{TokenExpired, Unauthenticated};
    matches!(error, ClientError::Refused { problem, .. } if matches!(problem.code, TokenExpired | Unauthenticated))
}
