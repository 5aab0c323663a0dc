//! What gateways ask over HTTP is answered as in process, to nobody else, and by whichever replica is there.

use std::{collections::BTreeSet, fmt::Debug, fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use klatch_bus::{
    Queries,
    http::{
        Options, OptionsError, PATH, Replicas, ServiceToken, queries,
        shapes::{
            Head, HeadsAnswer, HeadsQuery, Members, MembersAnswer, MembersQuery, Refusal, Revoked, RevokedSinceAnswer,
            RevokedSinceQuery, RoomOfUser, RoomsAboveAnswer, RoomsAboveQuery, VisiblePresenceAnswer,
            VisiblePresenceQuery,
        },
    },
};
use klatch_domain::{Generation, Ordinal, Position, RoomId, RoomKind, Seq, SessionId, Timestamp, UserId};
use klatch_tests::services::certificates::Certificates;
use reqwest::{Client, StatusCode, Url};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::flow_api::world::World;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn token() -> ServiceToken {
    ServiceToken::parse(TOKEN).unwrap()
}

struct Served {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Served {
    fn url(&self) -> Url {
        format!("http://{}", self.address).parse().unwrap()
    }
}

async fn serve(router: Router) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Served { address, _task: AbortOnDropHandle::new(task) }
}

async fn serve_api(world: &World) -> Served {
    serve(world.api.internal_router(&[token()])).await
}

fn ask(urls: Vec<Url>) -> Arc<dyn Queries> {
    queries(Options::new(Replicas::Addresses(urls), token())).unwrap()
}

/// An address where nobody listens.
async fn nobody() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

#[tokio::test]
async fn answers_are_those_given_in_process() {
    let world = World::new().await;
    let (ada, bob, eve) = (world.person("ada").await, world.person("bob").await, world.person("eve").await);
    let direct = world.direct(&ada, &bob).await;
    let group = world.group(&ada, "tea", &[&bob], "private").await;
    let gone = world.group(&ada, "gone", &[&bob], "private").await;
    world.say(&ada, group, "hello").await.is(201, "said");
    world.ask(&ada, "DELETE", format!("/v1/rooms/{gone}"), Value::Null).await;
    let (phone, _) = world.device(ada.user).await;
    world.ask(&ada, "DELETE", format!("/v1/sessions/{}", phone.session), Value::Null).await.is(204, "ended");

    let served = serve_api(&world).await;
    let (here, there) = (world.api.queries(), ask(vec![served.url()]));
    let inbox = RoomId::inbox_of(ada.user);
    for room in [direct, group, gone, inbox, RoomId::now()] {
        assert_eq!(there.members(room).await, here.members(room).await, "{room}");
    }
    assert_eq!(there.members(group).await.unwrap().unwrap().members.len(), 2);
    assert_eq!(there.members(gone).await, Ok(None));
    // More than are asked about at once.
    let mut rooms: Vec<_> = (0..2_500).map(|_| RoomId::now()).collect();
    rooms.extend([direct, group, inbox]);
    rooms.rotate_left(1_300);
    let heads = there.heads(&rooms).await.unwrap();
    assert_eq!(Ok(&heads), here.heads(&rooms).await.as_ref());
    assert_eq!(heads.len(), 3);
    let since = Timestamp::from_millis(0);
    assert_eq!(there.revoked_since(since).await, here.revoked_since(since).await);
    assert_eq!(there.revoked_since(since).await.unwrap(), [(phone.session, ada.user)]);
    let everyone = [ada.user, bob.user, eve.user, UserId::now()];
    let (mut far, mut near) =
        (there.rooms_above(&everyone, 1).await.unwrap(), here.rooms_above(&everyone, 1).await.unwrap());
    far.sort_unstable();
    near.sort_unstable();
    assert_eq!(far, near);
    assert!(far.contains(&(ada.user, group)) && far.contains(&(bob.user, direct)), "{far:?}");
    assert_eq!(there.rooms_above(&everyone, 2).await, Ok(vec![]));
    let users = [bob.user, eve.user, UserId::now()];
    assert_eq!(there.visible_presence(ada.user, &users).await, here.visible_presence(ada.user, &users).await);
    assert_eq!(there.visible_presence(ada.user, &users).await.unwrap(), [bob.user]);
    world.end().await;
}

#[tokio::test]
async fn nobody_is_answered_without_the_token() {
    let world = World::new().await;
    let served = serve_api(&world).await;
    let other = ServiceToken::parse(&TOKEN.replace('0', "1")).unwrap();
    let stranger = queries(Options::new(Replicas::Addresses(vec![served.url()]), other)).unwrap();
    let refused = stranger.revoked_since(Timestamp::from_millis(0)).await.unwrap_err();
    assert!(refused.reason.contains("401") && refused.reason.contains("service token"), "{refused}");
    assert!(!refused.reason.contains(TOKEN));
    let client = Client::new();
    let url = format!("{}{}", served.url().as_str().trim_end_matches('/'), format_args!("{PATH}/members"));
    for header in [
        None,
        Some(String::new()),
        Some(TOKEN.to_owned()),
        Some(format!("Basic {TOKEN}")),
        Some(format!("Bearer {TOKEN}x")),
    ] {
        // Not even what is wrong with the question is told, nor which questions there are.
        for url in [url.clone(), format!("{url}/nonsense")] {
            let mut call = client.post(url).body("{");
            if let Some(header) = &header {
                call = call.header("authorization", header);
            }
            assert_eq!(call.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{header:?}");
        }
    }
    // While tokens are changed, both are taken.
    let old = ServiceToken::parse(&TOKEN.replace('0', "2")).unwrap();
    let served = serve(world.api.internal_router(&[old, token()])).await;
    assert!(ask(vec![served.url()]).revoked_since(Timestamp::from_millis(0)).await.is_ok());
    world.end().await;
}

#[tokio::test]
async fn bad_questions_are_refused_at_a_bounded_cost() {
    let world = World::new().await;
    let served = serve_api(&world).await;
    let base = served.url();
    let ask = |method: &str, path: &str, body: String| {
        let url = base.join(path).unwrap();
        let call = Client::new().request(method.parse().unwrap(), url).bearer_auth(TOKEN).body(body);
        async move {
            let response = call.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.json::<Refusal>().await.unwrap().error)
        }
    };
    let path = |name: &str| format!("{PATH}/{name}");
    let many: Vec<_> = (0..1_025).map(|_| RoomId::now()).collect();
    assert_eq!(ask("POST", &path("heads"), json!({"rooms": many}).to_string()).await.0, 400);
    assert_eq!(
        ask("POST", &path("visible-presence"), json!({"viewer": UserId::now(), "users": many}).to_string()).await.0,
        400
    );
    assert_eq!(ask("POST", &path("rooms-above"), json!({"members": 1, "users": many}).to_string()).await.0, 400);
    assert_eq!(ask("POST", &path("heads"), " ".repeat(100 * 1024)).await.0, 413);
    for body in ["", "{", "[]", "{}", r#"{"room":"x"}"#] {
        let (status, error) = ask("POST", &path("members"), body.to_owned()).await;
        assert_eq!(status, 400, "{body}: {error}");
    }
    assert_eq!(ask("GET", &path("members"), String::new()).await.0, 405);
    assert_eq!(ask("POST", &path("everything"), "{}".to_owned()).await.0, 404);
    assert_eq!(ask("POST", "/internal/v2/queries/members", "{}".to_owned()).await.0, 404);
    // What a later version adds is passed over.
    let known = json!({"room": RoomId::now(), "more": 1}).to_string();
    let response = Client::new().post(base.join(&path("members")).unwrap()).bearer_auth(TOKEN).body(known).send().await;
    assert_eq!(response.unwrap().text().await.unwrap(), "{}");
    world.end().await;
}

#[tokio::test]
async fn another_replica_is_asked_when_one_is_gone_stopping_or_silent() {
    let world = World::new().await;
    let other = world.second_api().await;
    let (served, served_other) = (serve_api(&world).await, serve(other.internal_router(&[token()])).await);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url: Url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let since = Timestamp::from_millis(0);
    let asking = ask(vec![nobody().await, served.url()]);
    for _ in 0..10 {
        assert_eq!(asking.revoked_since(since).await, Ok(vec![]), "one is gone");
    }
    let hurried =
        |urls| Options { timeout: Duration::from_millis(300), ..Options::new(Replicas::Addresses(urls), token()) };
    let asking = queries(hurried(vec![silent_url.clone(), served.url()])).unwrap();
    for _ in 0..4 {
        // A busy machine may take longer than that for an honest answer: that is no silence.
        let answered = async { while asking.revoked_since(since).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(60), answered).await.expect("one is silent, the other answers");
    }
    other.stop().await;
    let asking = ask(vec![served_other.url(), served.url()]);
    for _ in 0..10 {
        assert_eq!(asking.revoked_since(since).await, Ok(vec![]), "one is stopping");
    }
    let asking = ask(vec![served_other.url()]);
    assert!(asking.revoked_since(since).await.unwrap_err().reason.contains("503"));
    let asking = ask(vec![nobody().await, nobody().await]);
    assert!(asking.revoked_since(since).await.is_err());
    world.end().await;
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses() {
    let world = World::new().await;
    let served = serve_api(&world).await;
    let name: Url = format!("http://localhost:{}", served.address.port()).parse().unwrap();
    let asking = queries(Options::new(Replicas::Name(name), token())).unwrap();
    for _ in 0..4 {
        assert_eq!(asking.revoked_since(Timestamp::from_millis(0)).await, Ok(vec![]));
    }
    world.end().await;
}

#[tokio::test]
async fn tls_is_spoken_and_strangers_are_not_believed() {
    let world = World::new().await;
    let plain = serve_api(&world).await;
    let certificates = Certificates::make();
    let front = tls_front(watch::channel(shows(&certificates)).1, plain.address).await;
    let since = Timestamp::from_millis(0);
    let url = |host: &str| -> Url { format!("https://{host}:{}", front.address.port()).parse().unwrap() };
    for replicas in [Replicas::Addresses(vec![url("127.0.0.1")]), Replicas::Name(url("localhost"))] {
        let asking = queries(options(&certificates.ca, replicas)).unwrap();
        assert_eq!(asking.revoked_since(since).await, Ok(vec![]));
    }
    let stranger = Certificates::make();
    let asking = queries(options(&stranger.ca, Replicas::Addresses(vec![url("localhost")]))).unwrap();
    assert!(asking.revoked_since(since).await.is_err());
    let nobody = queries(options("no certificate", Replicas::Addresses(vec![url("localhost")])));
    assert!(matches!(nobody, Err(OptionsError::NoAuthority)));
    let no_web: Url = "redis://localhost".parse().unwrap();
    assert!(queries(options(&certificates.ca, Replicas::Name(no_web))).is_err());
    world.end().await;
}

/// The steps of a renewal, while somebody asks all the time.
#[tokio::test]
async fn a_certificate_is_renewed_and_no_question_is_refused() {
    let world = World::new().await;
    let plain = serve_api(&world).await;
    let (old, new) = (Certificates::make(), Certificates::make());
    let (shown, acceptor) = watch::channel(shows(&old));
    let front = tls_front(acceptor, plain.address).await;
    let url = |host: &str| -> Url { format!("https://{host}:{}", front.address.port()).parse().unwrap() };
    for replicas in [Replicas::Addresses(vec![url("127.0.0.1")]), Replicas::Name(url("localhost"))] {
        shown.send_replace(shows(&old));
        let asking = queries(options(&old.ca, replicas)).unwrap();
        let since = Timestamp::from_millis(0);
        let (stop, all) = (CancellationToken::new(), Arc::clone(&asking));
        let stopped = stop.clone();
        let asked = tokio::spawn(async move {
            let mut count = 0;
            while !stopped.is_cancelled() {
                assert_eq!(all.revoked_since(since).await, Ok(vec![]), "question {count}");
                count += 1;
            }
            count
        });
        let both = format!("{}{}", new.ca, old.ca).into_bytes();
        let steps = [(&old, both.clone()), (&new, both), (&new, new.ca.clone().into_bytes())];
        for (shows_one, ca) in steps {
            shown.send_replace(shows(shows_one));
            // Also where it believes them already: so that the next question begins a connection.
            asking.believe(ca).unwrap();
            assert_eq!(asking.revoked_since(since).await, Ok(vec![]));
        }
        assert!(matches!(asking.believe(b"no certificate".to_vec()), Err(OptionsError::NoAuthority)));
        assert_eq!(asking.revoked_since(since).await, Ok(vec![]), "those believed so far are believed still");
        stop.cancel();
        assert!(asked.await.unwrap() > 0);
        shown.send_replace(shows(&old));
        asking.believe(new.ca.clone().into_bytes()).unwrap();
        assert!(asking.revoked_since(since).await.is_err(), "the old one is forgotten");
    }
    world.end().await;
}

fn options(ca: &str, replicas: Replicas) -> Options {
    Options { ca: Some(ca.as_bytes().to_vec()), ..Options::new(replicas, token()) }
}

fn shows(certificates: &Certificates) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(certificates.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Decrypts for a listener that does not, by what is to be shown when a connection comes.
async fn tls_front(shown: watch::Receiver<TlsAcceptor>, to: SocketAddr) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let acceptor = shown.borrow().clone();
            tokio::spawn(async move {
                // A client that believes somebody else hangs up here.
                let Ok(mut near) = acceptor.accept(socket).await else { return };
                let mut far = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    Served { address, _task: AbortOnDropHandle::new(task) }
}

/// Whether a shape is written and read as agreed; `UPDATE=1` writes the file anew.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, shape: &T, seen: &mut BTreeSet<String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/queries").join(format!("{name}.json"));
    let text = serde_json::to_string(shape).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{text}\n")).unwrap();
    }
    let agreed =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes it", path.display()));
    assert_eq!(text, agreed.trim_end(), "{name}: what is written has changed");
    assert_eq!(&serde_json::from_str::<T>(&agreed).unwrap(), shape, "{name}: what is read has changed");
    seen.insert(format!("{name}.json"));
}

#[test]
fn queries_are_as_agreed() {
    let seen = &mut BTreeSet::new();
    let (room, user) = (RoomId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
    let position = Position { generation: Generation(3), seq: Seq(40) };
    golden("query.members.request", &MembersQuery { room }, seen);
    let members = Members { version: Seq(5), kind: RoomKind::Group, users: vec![user, UserId::from_bytes([3; 16])] };
    golden("query.members.answer", &MembersAnswer { members: Some(members) }, seen);
    golden("query.members.answer.none", &MembersAnswer { members: None }, seen);
    golden("query.heads.request", &HeadsQuery { rooms: vec![room] }, seen);
    let head = Head { room, position, ordinal: Ordinal(39) };
    golden("query.heads.answer", &HeadsAnswer { heads: vec![head] }, seen);
    golden("query.rooms_above.request", &RoomsAboveQuery { members: 24, users: vec![user] }, seen);
    golden("query.rooms_above.answer", &RoomsAboveAnswer { rooms: vec![RoomOfUser { user, room }] }, seen);
    let since = Timestamp::from_millis(1_800_000_000_123);
    golden("query.revoked_since.request", &RevokedSinceQuery { since }, seen);
    let revoked = Revoked { session: SessionId::from_bytes([4; 16]), user };
    golden("query.revoked_since.answer", &RevokedSinceAnswer { sessions: vec![revoked] }, seen);
    golden("query.visible_presence.request", &VisiblePresenceQuery { viewer: user, users: vec![user] }, seen);
    golden("query.visible_presence.answer", &VisiblePresenceAnswer { users: vec![user] }, seen);
    golden("query.refusal", &Refusal { error: "why".to_owned() }, seen);
    // A file nobody compares proves nothing.
    let folder = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/queries")).unwrap();
    let files = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(&files.filter(|file| file.starts_with("query.")).collect::<BTreeSet<_>>(), seen);
}
