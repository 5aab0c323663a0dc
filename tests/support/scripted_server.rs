//! A server that does what a test says: sessions and logs by HTTP as simple as can be, and every WebSocket handed to the test.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::Listener,
};
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use klatch_domain::{ConnectionId, RoomId, SessionId, Timestamp, UserId};
use klatch_protocol::{ClientFrame, Hello, Limits, Resumed, SUBPROTOCOL, ServerFrame, Welcome, lines};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use crate::{encrypted_front::acceptor, person::PATIENCE};

/// One trade of a refresh token, as the server met it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// The token.
    pub refresh_token: String,
    /// `Idempotency-Key`
    pub key: Option<String>,
}

/// What the server knows and is told.
#[derive(Default)]
pub struct Script {
    /// Trades met, in order.
    pub trades: Mutex<Vec<Trade>>,
    /// Answers given, by token and key: the same call gets the same answer.
    answers: Mutex<HashMap<(String, Option<String>), Value>>,
    issued: AtomicUsize,
    /// The refresh token that may be traded next.
    newest: Mutex<String>,
    /// So many WebSocket openings are refused.
    pub refuse_openings: AtomicUsize,
    /// Openings met.
    pub openings: AtomicUsize,
    /// Lives of access tokens in seconds; 0: 900.
    pub lives: AtomicUsize,
    identity: Mutex<Option<(UserId, SessionId)>>,
}

impl Script {
    fn identity(&self) -> (UserId, SessionId) {
        *self.identity.lock().get_or_insert_with(|| (UserId::now(), SessionId::now()))
    }

    fn tokens(&self) -> Value {
        let (user, session) = self.identity();
        let number = self.issued.fetch_add(1, Ordering::SeqCst);
        let refresh = format!("refresh {number}");
        self.newest.lock().clone_from(&refresh);
        let lives = match self.lives.load(Ordering::SeqCst) {
            0 => 900,
            lives => lives,
        };
        json!({
            "session_id": session,
            "user": {"id": user, "username": "ada", "display_name": "ada", "read_receipts": true},
            "access_token": format!("access {number}"),
            "expires_in_seconds": lives,
            "refresh_token": refresh,
        })
    }
}

/// A running server.
pub struct ScriptedServer {
    /// `http://127.0.0.1:PORT`, or https.
    pub url: String,
    /// What it knows and is told.
    pub script: Arc<Script>,
    opened: mpsc::UnboundedReceiver<Peer>,
    serving: JoinHandle<()>,
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ScriptedServer {
    /// Starts one without encryption.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        Self::serve(format!("http://{address}"), listener)
    }

    /// Starts one whose certificate [`AUTHORITY`](crate::encrypted_front::AUTHORITY) vouches for.
    pub async fn start_encrypted() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = acceptor();
        Self::serve(format!("https://localhost:{port}"), Encrypted { listener, acceptor })
    }

    fn serve<L: Listener<Addr = SocketAddr>>(url: String, listener: L) -> Self {
        let script = Arc::new(Script::default());
        let (peers, opened) = mpsc::unbounded_channel();
        let app = router(Arc::clone(&script), peers);
        let serving = tokio::spawn(async move {
            let _ended = axum::serve(listener, app).await;
        });
        Self { url, script, opened, serving }
    }

    /// The next WebSocket that a client opens.
    pub async fn peer(&mut self) -> Peer {
        timeout(PATIENCE, self.opened.recv()).await.expect("a WebSocket in time").expect("the server runs")
    }

    /// The next WebSocket, welcomed.
    pub async fn greeted(&mut self) -> (Peer, Hello) {
        let mut peer = self.peer().await;
        let hello = peer.hello().await;
        peer.welcome(30_000, Resumed::None).await;
        (peer, hello)
    }

    /// Whether a client has opened a WebSocket that nobody has looked at.
    pub fn is_called(&mut self) -> bool {
        self.opened.try_recv().is_ok()
    }
}

/// One WebSocket, by hand.
pub struct Peer {
    socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
    script: Arc<Script>,
    frames: std::collections::VecDeque<ClientFrame>,
    /// This connection's id in `welcome`.
    pub connection: ConnectionId,
}

impl Peer {
    /// The next frame of the client; none when it has closed, with its code.
    pub async fn next(&mut self) -> Result<ClientFrame, Option<u16>> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            match timeout(PATIENCE, self.socket.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => {
                    self.frames.extend(lines(text.as_str()).map(|line| ClientFrame::decode(line).expect("a frame")));
                }
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| u16::from(frame.code))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Waits for `hello`.
    pub async fn hello(&mut self) -> Hello {
        match self.next().await {
            Ok(ClientFrame::Hello(hello)) => hello,
            other => panic!("no hello: {other:?}"),
        }
    }

    /// Answers it.
    pub async fn welcome(&mut self, heartbeat_ms: u64, resumed: Resumed) {
        let (user, session) = self.script.identity();
        let limits = Limits { frame_bytes: 65_536, content_bytes: 32_768, in_flight: 64, sends_per_second: 0 };
        let welcome = Welcome {
            connection: self.connection,
            session,
            user,
            inbox: RoomId::inbox_of(user),
            server_time: Timestamp::from_millis(1_800_000_000_000),
            heartbeat_ms,
            limits,
            resumed,
        };
        self.send(&ServerFrame::Welcome(welcome)).await;
    }

    /// Sends one frame.
    pub async fn send(&mut self, frame: &ServerFrame) {
        self.socket.send(Message::text(frame.encode())).await.expect("the client is there");
    }

    /// Closes with this code and waits for the client's answer.
    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        let _gone = self.socket.send(Message::Close(Some(frame))).await;
        while self.next().await.is_ok() {}
    }
}

type Shared = (Arc<Script>, mpsc::UnboundedSender<Peer>);

fn router(script: Arc<Script>, peers: mpsc::UnboundedSender<Peer>) -> Router {
    Router::new()
        .route(
            "/v1/sessions",
            post(async |State((script, _)): State<Shared>| (StatusCode::CREATED, Json(script.tokens()))),
        )
        .route("/v1/sessions/refresh", post(refresh))
        .route("/v1/rooms", get(async || Json(json!({"rooms": []}))))
        .route("/v1/sync", post(sync))
        .route("/v1/connect", get(connect))
        .with_state((script, peers))
}

async fn refresh(State((script, _)): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let token = body["refresh_token"].as_str().unwrap_or_default().to_owned();
    script.trades.lock().push(Trade { refresh_token: token.clone(), key: key.clone() });
    if let Some(answer) = script.answers.lock().get(&(token.clone(), key.clone())) {
        return Json(answer.clone()).into_response();
    }
    if *script.newest.lock() != token {
        return problem(StatusCode::UNAUTHORIZED, "session_revoked");
    }
    let answer = script.tokens();
    script.answers.lock().insert((token, key), answer.clone());
    Json(answer).into_response()
}

fn problem(status: StatusCode, code: &str) -> Response {
    let body = json!({"code": code, "title": code, "status": status.as_u16(), "detail": "as the script says", "trace_id": "0"});
    (status, Json(body)).into_response()
}

/// Every log is empty.
async fn sync(Json(body): Json<Value>) -> Json<Value> {
    let empty = |room: &Value| json!({"room": room, "head": {"generation": 1, "seq": 0}, "head_ordinal": 0, "entries": [], "more": false});
    let rooms: Vec<_> = body["rooms"].as_array().into_iter().flatten().map(|asked| empty(&asked["room"])).collect();
    let mut answer = json!({"rooms": rooms});
    if body.get("inbox").is_some() {
        answer["inbox"] = empty(&json!(RoomId::from_bytes([0; 16])));
    }
    Json(answer)
}

async fn connect(State((script, peers)): State<Shared>, mut request: Request) -> Response {
    script.openings.fetch_add(1, Ordering::SeqCst);
    let refuse = script.refuse_openings.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if refuse.is_ok() {
        let mut refused = problem(StatusCode::SERVICE_UNAVAILABLE, "busy");
        refused.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("0"));
        return refused;
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let frames = std::collections::VecDeque::new();
        let _ended = peers.send(Peer { socket, script, frames, connection: ConnectionId::now() });
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, key.expect("a WebSocket handshake"))
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .body(Body::empty())
        .expect("a response")
}

struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Encrypted {
    async fn next(&self) -> io::Result<(TlsStream<TcpStream>, SocketAddr)> {
        let (stream, address) = self.listener.accept().await?;
        Ok((self.acceptor.accept(stream).await?, address))
    }
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // Who does not trust the certificate breaks off.
            if let Ok(accepted) = self.next().await {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
