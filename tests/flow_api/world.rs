//! One server in process, and people who call it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode, header},
};
use klatch_api::{Api, Parts};
use klatch_bus::{Bus, Events, in_process};
use klatch_domain::{MessageId, RoomId, SessionId, Timestamp, UserId, Username};
use klatch_identity::{Keys, Passwords, RefreshToken};
use klatch_message_service::MessageService;
use klatch_service_kit::Clock;
use klatch_settings::{ApiSettings, Limits, MessageServiceSettings};
use klatch_store::{
    Directory, Shards,
    directory::{Session, SessionKind, Sessions, User, Users},
    sqlite::{self, SqliteStores},
};
use prometheus::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tower::ServiceExt;

use super::faulty_directory::FaultyDirectory;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// Where people call from unless a test says otherwise.
pub(crate) const PEER: &str = "192.0.2.1:40000";

/// A server in process.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) router: Router,
    pub(crate) bus: Bus,
    pub(crate) directory: Arc<FaultyDirectory>,
    pub(crate) shards: Shards,
    pub(crate) keys: Arc<Keys>,
    pub(crate) registry: Registry,
    now: Arc<AtomicU64>,
    stores: SqliteStores,
    writer: MessageService,
    settings: ApiSettings,
    folder: Arc<TempDir>,
}

/// Someone with a session.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) token: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// Limits nobody meets by chance.
pub(crate) fn unlimited() -> ApiSettings {
    ApiSettings { limits: Limits { enabled: false, ..Limits::default() }, ..ApiSettings::default() }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(unlimited()).await
    }

    pub(crate) async fn with(settings: ApiSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = sqlite::Options { slots: 16, shards: 2, readers: 2 };
        let stores = sqlite::open(&folder.path().join("data"), options).unwrap();
        let (now, registry) = (Arc::new(AtomicU64::new(1_800_000_000_000_000)), Registry::new());
        let bus = in_process::bus(passing_with(&now), &registry).unwrap();
        let directory = Arc::new(FaultyDirectory::new(Arc::clone(&stores.directory) as Arc<dyn Directory>));
        let writer = MessageService::start(klatch_message_service::Parts {
            settings: MessageServiceSettings::default(),
            bus: bus.clone(),
            shards: stores.shards.clone(),
            directory: Arc::clone(&directory) as Arc<dyn Directory>,
            registry: registry.clone(),
            clock: clock(&now),
        });
        let writer = writer.await.unwrap();
        let keys = Keys::ephemeral().unwrap();
        let (shards, parts) = (stores.shards.clone(), (&bus, &stores.shards, &directory, &keys, &registry));
        let api = start_api(&settings, parts, &now).await;
        let router = api.router();
        Self {
            api,
            router,
            bus,
            directory,
            shards,
            keys,
            registry,
            now,
            stores,
            writer,
            settings,
            folder: Arc::new(folder),
        }
    }

    /// The same data, another api process beside the first: what it knows it has read or heard.
    pub(crate) async fn second_api(&self) -> Api {
        let parts = (&self.bus, &self.shards, &self.directory, &self.keys, &Registry::new());
        start_api(&self.settings, parts, &self.now).await
    }

    /// The api dies and comes back; the directory is all it has kept.
    pub(crate) async fn restart_api(&mut self) {
        self.api.stop().await;
        self.api = self.second_api().await;
        self.router = self.api.router();
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.now.load(Ordering::SeqCst) / 1_000).unwrap())
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.now.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Where everything is stored; it stays until the last holder drops it.
    pub(crate) fn data_folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// Everything stops in the order of `klatch up`.
    pub(crate) async fn end(self) {
        self.api.stop().await;
        self.writer.stop().await;
        self.stores.close().await;
    }

    /// Somebody new, straight through the store: signing up costs an argon2 hash.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let user = User::new(UserId::now(), Username::parse(name).unwrap(), self.now());
        self.directory.create_user(&user, &password_hash().await).await.unwrap();
        self.device(user.id).await.0
    }

    /// One more session of a user, with its refresh token.
    pub(crate) async fn device(&self, user: UserId) -> (Person, RefreshToken) {
        let refresh = RefreshToken::first(SessionId::now()).unwrap();
        let session = Session {
            id: refresh.session(),
            user,
            kind: SessionKind::Device,
            name: "test".to_owned(),
            secret_hash: refresh.hash(),
            secret_number: 0,
            created_at: self.now(),
            last_used_at: self.now(),
            expires_at: Some(self.now().plus(Duration::from_secs(90 * 24 * 3600))),
            revoked_at: None,
        };
        self.directory.create_session(&session).await.unwrap();
        let token = self.keys.issue(user, session.id, self.now()).unwrap();
        (Person { user, session: session.id, token }, refresh)
    }

    pub(crate) fn call(&self, method: &str, path: impl Into<String>) -> Call {
        Call::new(self.router.clone(), method, path.into())
    }

    /// A call of somebody with a JSON body, or none for `Value::Null`.
    pub(crate) async fn ask(&self, person: &Person, method: &str, path: impl Into<String>, body: Value) -> Answer {
        let call = self.call(method, path).token(&person.token);
        if body.is_null() { call.send().await } else { call.json(&body).send().await }
    }

    pub(crate) async fn get(&self, person: &Person, path: impl Into<String>) -> Value {
        let path = path.into();
        self.ask(person, "GET", path.clone(), Value::Null).await.is(200, &path).body
    }

    pub(crate) async fn direct(&self, one: &Person, other: &Person) -> RoomId {
        let made = self.ask(one, "POST", "/v1/rooms", json!({"kind": "direct", "user": other.user})).await;
        assert!([200, 201].contains(&made.status), "direct room: {}", made.text);
        made.room()
    }

    pub(crate) async fn group(&self, owner: &Person, name: &str, others: &[&Person], visibility: &str) -> RoomId {
        let members: Vec<_> = others.iter().map(|other| other.user).collect();
        let body = json!({"kind": "group", "name": name, "members": members, "visibility": visibility});
        self.ask(owner, "POST", "/v1/rooms", body).await.is(201, "group").room()
    }

    pub(crate) async fn say(&self, person: &Person, room: RoomId, text: &str) -> Answer {
        let body = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": text}});
        self.ask(person, "POST", format!("/v1/rooms/{room}/messages"), body).await
    }

    /// Somebody's inbox once it holds so many. What a membership change tells an inbox follows its outcome: it comes for
    /// certain, not at once.
    pub(crate) async fn inbox_of(&self, person: &Person, count: usize) -> Vec<(String, Value)> {
        let wait = async {
            loop {
                let told = self.inbox(person).await;
                if told.len() >= count {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(klatch_tests::person::PATIENCE, wait).await.expect("notices in time")
    }

    /// The (kind, content) of everything in somebody's inbox.
    pub(crate) async fn inbox(&self, person: &Person) -> Vec<(String, Value)> {
        let body = json!({"inbox": {"generation": 0, "seq": 0}, "limit": 200});
        let answer = self.ask(person, "POST", "/v1/sync", body).await.is(200, "sync").body;
        let entries = answer["inbox"]["entries"].as_array().unwrap().clone();
        let shown = |entry: &Value| (entry["kind"].as_str().unwrap().to_owned(), entry["content"].clone());
        entries.iter().map(shown).collect()
    }
}

/// A bus whose limits see the time that tests let pass.
fn passing_with(now: &Arc<AtomicU64>) -> in_process::Options {
    let (now, began, base) = (Arc::clone(now), now.load(Ordering::SeqCst), tokio::time::Instant::now());
    let monotonic = move || base + Duration::from_micros(now.load(Ordering::SeqCst) - began);
    in_process::Options { monotonic: Arc::new(monotonic), ..in_process::Options::default() }
}

fn clock(now: &Arc<AtomicU64>) -> Clock {
    let now = Arc::clone(now);
    Clock::from_fn(move || now.load(Ordering::SeqCst))
}

type ApiParts<'a> = (&'a Bus, &'a Shards, &'a Arc<FaultyDirectory>, &'a Arc<Keys>, &'a Registry);

async fn start_api(settings: &ApiSettings, parts: ApiParts<'_>, now: &Arc<AtomicU64>) -> Api {
    let (bus, shards, directory, keys, registry) = parts;
    let started = Api::start(Parts {
        settings: settings.clone(),
        bus: bus.clone(),
        shards: shards.clone(),
        directory: Arc::clone(directory) as Arc<dyn Directory>,
        keys: Arc::clone(keys),
        registry: registry.clone(),
        clock: clock(now),
    });
    started.await.unwrap()
}

async fn password_hash() -> String {
    static HASH: OnceCell<String> = OnceCell::const_new();
    HASH.get_or_init(|| async { Passwords::new(1).hash(PASSWORD.to_owned()).await.unwrap() }).await.clone()
}

/// One call.
pub(crate) struct Call {
    router: Router,
    request: axum::http::request::Builder,
    body: Body,
    peer: SocketAddr,
}

impl Call {
    pub(crate) fn new(router: Router, method: &str, path: String) -> Self {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "chat.example.org");
        Self { router, request, body: Body::empty(), peer: PEER.parse().unwrap() }
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").raw(body.to_string())
    }

    pub(crate) fn raw(self, body: impl Into<Body>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(crate) fn peer(self, address: &str) -> Self {
        Self { peer: SocketAddr::new(address.parse().unwrap(), 40_000), ..self }
    }

    pub(crate) async fn send(self) -> Answer {
        let mut request = self.request.body(self.body).unwrap();
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let response = self.router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 64 * 1024 * 1024).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, text, body }
    }
}

impl Answer {
    /// Itself, when it has this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16, what: &str) -> Self {
        assert_eq!(self.status, status, "{what}: {}", self.text);
        self
    }

    /// Itself, when it is a problem document of this code, whole.
    #[track_caller]
    pub(crate) fn fails(self, code: &str) -> Self {
        assert_eq!(self.body["code"], code, "{} {}", self.status, self.text);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.body["status"], self.status);
        assert_eq!(self.body["trace_id"].as_str().unwrap(), self.headers["trace-id"]);
        assert_eq!(self.headers["x-content-type-options"], "nosniff");
        let waits = [429, 503].contains(&self.status);
        assert_eq!(self.headers.contains_key(header::RETRY_AFTER), waits, "{}", self.text);
        assert!(StatusCode::from_u16(self.status).unwrap().canonical_reason().is_some());
        self
    }

    /// The first wrong field.
    pub(crate) fn field(&self) -> &str {
        self.body["fields"][0]["field"].as_str().unwrap_or_default()
    }

    pub(crate) fn room(&self) -> RoomId {
        self.body["room"]["id"].as_str().unwrap().parse().unwrap()
    }
}

/// Walks a list to its end; answers the lines of all pages.
pub(crate) async fn walk(world: &World, person: &Person, path: &str, noun: &str, limit: usize) -> Vec<Value> {
    let (mut lines, mut after) = (Vec::new(), String::new());
    let separator = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = world.get(person, format!("{path}{separator}limit={limit}{after}")).await;
        let some = page[noun].as_array().unwrap();
        assert!(some.len() <= limit);
        lines.extend(some.iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return lines,
        }
    }
}

/// The session that ended, from the event everyone hears; waits for it.
pub(crate) async fn next_revoked(events: &mut Box<dyn klatch_bus::EventReceiver>) -> SessionId {
    let heard = async {
        loop {
            let Some(klatch_bus::Received::Events(events)) = events.receive().await else { continue };
            for event in events {
                if let klatch_domain::Event::SessionRevoked { session, .. } = event {
                    return session;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), heard).await.expect("news of an ended session")
}

/// A gateway's ears.
pub(crate) async fn listen(events: &Arc<dyn Events>) -> Box<dyn klatch_bus::EventReceiver> {
    events.subscribe(klatch_domain::Incarnation::now(), false).await
}
