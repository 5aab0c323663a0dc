//! A person with a plain HTTP client and a plain WebSocket: what any client of the wire contract could do. Not built on the
//! SDK, so that a fault there cannot hide one in the server.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use klatch_domain::{Content, Kind, MessageId, Position, RoomId, SessionId, UserId};
use klatch_protocol::{ClientFrame, Hello, SUBPROTOCOL, Send, ServerFrame, StoredFrame, Welcome, lines};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::encrypted_front::AUTHORITY;

/// How long a test waits for something that must come: generous, as it only bounds a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Before a busy server is asked again.
const LATER: Duration = Duration::from_millis(200);

/// Asks a server again for as long as it says that it is busy (503).
async fn unless_busy<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, (u16, String)>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err((status, said)) => {
                let busy = status == StatusCode::SERVICE_UNAVAILABLE.as_u16();
                assert!(busy && Instant::now() < until, "{what}: {status} {said}");
            }
        }
        tokio::time::sleep(LATER).await;
    }
}

/// A client for HTTP that believes the tests' own authority, and speaks from this address of the machine if one is given.
#[must_use]
pub fn http_client(from: Option<IpAddr>) -> reqwest::Client {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(ClientConfig::clone(&tls())).local_address(from);
    builder.build().expect("a client")
}

/// Trusts the tests' own authority, and no other.
fn tls() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(AUTHORITY).expect("PEM")).expect("an authority");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(builder.expect("protocol versions").with_root_certificates(roots).with_no_client_auth())
    };
    Arc::clone(CONFIG.get_or_init(make))
}

/// The password of every person.
pub const PASSWORD: &str = "correct horse battery staple";

/// Someone signed in.
#[derive(Clone)]
pub struct Person {
    http: reqwest::Client,
    /// `http://HOST:PORT`
    pub server: String,
    /// Username.
    pub name: String,
    /// Id.
    pub user: UserId,
    /// The signed-in device.
    pub session: SessionId,
    /// Access token.
    pub token: String,
    /// Refresh token.
    pub refresh_token: String,
}

impl Person {
    /// Signs up and in.
    pub async fn sign_up(server: &str, name: &str) -> Self {
        let made = Self::try_sign_up(server, name).await;
        made.unwrap_or_else(|(status, said)| panic!("sign up {name}: {status} {said}"));
        Self::sign_in(server, name).await
    }

    /// The same at a server that has too much to do.
    pub async fn sign_up_at_busy(server: &str, name: &str) -> Self {
        unless_busy(&format!("sign up {name}"), async || Self::try_sign_up(server, name).await).await;
        Self::sign_in_at_busy(server, name).await
    }

    async fn try_sign_up(server: &str, name: &str) -> Result<(), (u16, String)> {
        let body = json!({"username": name, "password": PASSWORD});
        let answer = http_client(None).post(format!("{server}/v1/users")).json(&body).send().await.expect("sign up");
        let status = answer.status();
        if status == StatusCode::CREATED {
            return Ok(());
        }
        Err((status.as_u16(), answer.text().await.unwrap_or_default()))
    }

    /// Signs in on one more device.
    pub async fn sign_in(server: &str, name: &str) -> Self {
        let answer = Self::try_sign_in(server, name, PATIENCE).await.expect("an answer");
        answer.unwrap_or_else(|status| panic!("sign in {name}: {status}"))
    }

    /// The same at a server that has too much to do.
    pub async fn sign_in_at_busy(server: &str, name: &str) -> Self {
        unless_busy(&format!("sign in {name}"), async || {
            let answer = Self::try_sign_in(server, name, PATIENCE).await.expect("an answer");
            answer.map_err(|status| (status, String::new()))
        })
        .await
    }

    /// Signs in at a server that may be gone, or stand still. Answers what it said when that was not 201.
    ///
    /// # Errors
    /// No answer within `limit`.
    pub async fn try_sign_in(server: &str, name: &str, limit: Duration) -> Result<Result<Self, u16>, reqwest::Error> {
        let http = http_client(None);
        let body = json!({"username": name, "password": PASSWORD, "device_name": "test"});
        let answer = http.post(format!("{server}/v1/sessions")).json(&body).timeout(limit).send().await?;
        if answer.status() != StatusCode::CREATED {
            return Ok(Err(answer.status().as_u16()));
        }
        let answer: Value = answer.json().await?;
        let text = |field: &str| answer[field].as_str().expect("a string").to_owned();
        Ok(Ok(Self {
            http,
            server: server.to_owned(),
            name: name.to_owned(),
            user: answer["user"]["id"].as_str().expect("an id").parse().expect("a UUID"),
            session: text("session_id").parse().expect("a UUID"),
            token: text("access_token"),
            refresh_token: text("refresh_token"),
        }))
    }

    /// The same person on a server that has moved to another port.
    #[must_use]
    pub fn at(&self, server: &str) -> Self {
        Self { server: server.to_owned(), ..self.clone() }
    }

    /// One call; answers status and body.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.try_call(method, path, body, PATIENCE).await.expect("an answer")
    }

    /// One call to a server that may be gone, or stand still; answers status and body.
    ///
    /// # Errors
    /// No answer within `limit`.
    pub async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        limit: Duration,
    ) -> Result<(u16, Value), reqwest::Error> {
        let request = self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.timeout(limit).send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Exchanges the refresh token for new ones. Whether that worked: a server that is away is asked again later.
    pub async fn refresh(&mut self, limit: Duration) -> bool {
        // The same key for the same token: an answer that got lost is given again.
        let body = json!({"refresh_token": self.refresh_token});
        let request = self.http.post(format!("{}/v1/sessions/refresh", self.server)).json(&body);
        let key = format!("refresh-{}", &self.refresh_token[self.refresh_token.len().saturating_sub(16)..]);
        let Ok(answer) = request.header("idempotency-key", key).timeout(limit).send().await else { return false };
        if answer.status() != StatusCode::OK {
            return false;
        }
        let Ok(answer) = answer.json::<Value>().await else { return false };
        let (Some(token), Some(refresh)) = (answer["access_token"].as_str(), answer["refresh_token"].as_str()) else {
            return false;
        };
        (self.token, self.refresh_token) = (token.to_owned(), refresh.to_owned());
        true
    }

    /// A GET that must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// The direct room with someone.
    pub async fn direct(&self, other: &Self) -> RoomId {
        let body = json!({"kind": "direct", "user": other.user});
        self.made(self.call(Method::POST, "/v1/rooms", Some(body)).await)
    }

    /// A new private group.
    pub async fn group(&self, name: &str, others: &[&Self]) -> RoomId {
        let members: Vec<_> = others.iter().map(|other| other.user).collect();
        let body = json!({"kind": "group", "name": name, "members": members});
        self.made(self.call(Method::POST, "/v1/rooms", Some(body)).await)
    }

    fn made(&self, (status, body): (u16, Value)) -> RoomId {
        assert!(status == 200 || status == 201, "{} makes a room: {status} {body}", self.name);
        body["room"]["id"].as_str().expect("an id").parse().expect("a UUID")
    }

    /// Everything in a room's log, from the first entry.
    pub async fn history(&self, room: RoomId) -> Vec<Value> {
        let (mut entries, mut after) = (Vec::new(), 0);
        loop {
            let page = self.get(&format!("/v1/rooms/{room}/messages?after={after}&limit=200")).await;
            entries.extend(page["entries"].as_array().expect("entries").iter().cloned());
            if page["more"] != true {
                return entries;
            }
            after = entries.last().expect("more after some")["position"]["seq"].as_u64().expect("a seq");
        }
    }

    /// A WebSocket that has been welcomed.
    pub async fn connect(&self) -> Socket {
        let mut socket = Socket::open(&self.server).await.expect("a WebSocket");
        socket.hello(&self.token).await;
        socket
    }
}

/// One WebSocket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    waiting: VecDeque<ServerFrame>,
    /// What the server said to `hello`.
    pub welcome: Option<Welcome>,
}

/// Why no frame came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Closed with this code.
    Closed(u16),
    /// The transport broke.
    Broken,
}

impl Socket {
    /// The upgrade, without `hello`.
    pub async fn open(server: &str) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let mut request = format!("{}/v1/connect", server.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
        let connector = Connector::Rustls(tls());
        let (stream, _) = connect_async_tls_with_config(request, None, false, Some(connector)).await?;
        Ok(Self { stream, waiting: VecDeque::new(), welcome: None })
    }

    /// Sends `hello` and waits for `welcome`.
    pub async fn hello(&mut self, token: &str) {
        self.say_hello(token).await;
        let welcome = self.until(|frame| match frame {
            ServerFrame::Welcome(welcome) => Some(welcome.clone()),
            _ => None,
        });
        self.welcome = Some(welcome.await);
    }

    /// The same at a server that may close instead.
    ///
    /// # Errors
    /// How the connection ended.
    pub async fn try_hello(&mut self, token: &str) -> Result<(), Ended> {
        self.say_hello(token).await;
        loop {
            if let ServerFrame::Welcome(welcome) = self.next().await? {
                self.welcome = Some(welcome);
                return Ok(());
            }
        }
    }

    async fn say_hello(&mut self, token: &str) {
        let hello = Hello { token: token.to_owned(), device: None, client: None, encodings: Vec::new(), resume: None };
        self.send(&ClientFrame::Hello(hello)).await;
    }

    /// Sends one frame.
    pub async fn send(&mut self, frame: &ClientFrame) {
        self.send_text(frame.encode()).await;
    }

    /// Sends any text.
    pub async fn send_text(&mut self, text: String) {
        // A server that has closed says so on the reading side.
        let _closed = self.stream.send(Message::text(text)).await;
    }

    /// Sends any message.
    pub async fn send_message(&mut self, message: Message) {
        let _closed = self.stream.send(message).await;
    }

    /// Says something, without waiting for anything.
    pub async fn say(&mut self, room: RoomId, text: &str) -> MessageId {
        let id = MessageId::now();
        let content = Content::text(text).expect("content");
        self.send(&ClientFrame::Send(Send::new(id, room, Kind::Text, content))).await;
        id
    }

    /// Says something and waits until it is stored.
    pub async fn say_stored(&mut self, room: RoomId, text: &str) -> StoredFrame {
        let id = self.say(room, text).await;
        self.stored(id).await
    }

    /// Waits for `stored` of this id; a refusal fails the test.
    pub async fn stored(&mut self, id: MessageId) -> StoredFrame {
        self.until(|frame| match frame {
            ServerFrame::Stored(stored) if stored.message_id == id => Some(stored.clone()),
            ServerFrame::Refused(refused) if refused.message_id == id => panic!("refused: {refused:?}"),
            _ => None,
        })
        .await
    }

    /// The next frame, or how the connection ended.
    pub async fn next(&mut self) -> Result<ServerFrame, Ended> {
        if let Some(frame) = self.waiting.pop_front() {
            return Ok(frame);
        }
        self.read().await
    }

    async fn read(&mut self) -> Result<ServerFrame, Ended> {
        let (mut fresh, deadline) = (VecDeque::new(), tokio::time::Instant::now() + PATIENCE);
        while fresh.is_empty() {
            // One deadline for all: pings of the server must not keep a test waiting for ever.
            let message = tokio::time::timeout_at(deadline, self.stream.next()).await.expect("a frame in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    fresh.extend(lines(&text).map(|line| ServerFrame::decode(line).expect("a frame of the contract")));
                }
                Some(Ok(Message::Close(Some(close)))) => return Err(Ended::Closed(close.code.into())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("the server sends text only, got {other:?}"),
                Some(Err(_)) | None => return Err(Ended::Broken),
            }
        }
        let first = fresh.pop_front().expect("not empty");
        self.waiting.append(&mut fresh);
        Ok(first)
    }

    /// Reads on until `wanted` finds something; what it does not want is kept for later calls, in order.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&ServerFrame) -> Option<T>) -> T {
        let mut place = 0;
        loop {
            while place < self.waiting.len() {
                if let Some(found) = wanted(&self.waiting[place]) {
                    self.waiting.remove(place);
                    return found;
                }
                place += 1;
            }
            // `read` puts what came with the first frame behind what waits; the first goes between.
            let behind = self.waiting.len();
            let frame = self.read().await.unwrap_or_else(|ended| panic!("the connection ended: {ended:?}"));
            self.waiting.insert(behind, frame);
        }
    }

    /// Waits for a `message` with this text.
    pub async fn hears(&mut self, room: RoomId, text: &str) -> Position {
        self.until(|frame| match frame {
            ServerFrame::Message(message)
                if message.room == room && text_of(message.entry.content.as_str()) == text =>
            {
                Some(message.entry.position)
            }
            _ => None,
        })
        .await
    }

    /// Reads on until the connection ends, and tells how.
    pub async fn end(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.next().await {
                return ended;
            }
        }
    }

    /// Everything that was sent before the answer to a ping: what has arrived, in order.
    pub async fn settled(&mut self) -> Vec<ServerFrame> {
        let reference = MessageId::now().to_string();
        self.send(&ClientFrame::Ping(klatch_protocol::Ping { reference: Some(reference.clone()) })).await;
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Ok(ServerFrame::Pong(pong)) if pong.reference.as_ref() == Some(&reference) => return frames,
                Ok(frame) => frames.push(frame),
                Err(ended) => panic!("the connection ended: {ended:?}"),
            }
        }
    }
}

/// The `text` of a content, empty when there is none.
#[must_use]
pub fn text_of(content: &str) -> String {
    let content: Value = serde_json::from_str(content).unwrap_or_default();
    content["text"].as_str().unwrap_or_default().to_owned()
}
