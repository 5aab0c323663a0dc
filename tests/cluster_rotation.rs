//! Every password, the cookie, the service token, the signing key and the internal certificate are made new while people chat and sign in: real
//! PostgreSQL, RabbitMQ, Redis, api and gateways end the old ones, and nobody notices.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use klatch_bus::http::PATH;
use klatch_controller::plan::{
    renewal::KNOWN_FROM,
    rotation::{ROTATE, STATE},
};
use klatch_domain::{RoomId, Timestamp};
use klatch_identity::{Keys, LONGEST_TOKEN};
use klatch_tests::{
    clock::now,
    kube::{chat::Chat, port_forward::PortForward, standing::Standing},
    person::{Person, Socket},
};
use lapin::{Connection, ConnectionProperties};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cluster_chat::{read_all, sign_up};

/// Two halves, each with a Job, a start of Redis and a rollout of four Deployments, whose old pods take up to 70 s to end.
const ROTATED_WITHIN: Duration = Duration::from_secs(900);
/// Between two messages of somebody who speaks, and between two who sign in.
const PACE: Duration = Duration::from_millis(250);
/// What a sign-in may take, on a busy machine.
const SIGN_IN: Duration = Duration::from_secs(30);

/// Passwords by Secret and key.
type Passwords = BTreeMap<(&'static str, String), String>;

/// Where logins are.
const SECRETS: [&str; 6] = [
    "chat-database-logins",
    "chat-postgres",
    "chat-broker-logins",
    "chat-rabbitmq",
    "chat-redis",
    "chat-service-token",
];
/// The key of the brokers' cookie, and how many brokers there are.
const COOKIE: (&str, usize) = ("cookie", 3);

fn contents(chat: &Chat<'_>, secret: &str) -> BTreeMap<String, String> {
    let data: BTreeMap<String, String> =
        serde_json::from_str(&chat.must(&["get", "secret", secret, "-o", "jsonpath={.data}"])).unwrap();
    let text = |value: String| String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
    data.into_iter().map(|(key, value)| (key, text(value))).collect()
}

fn passwords(chat: &Chat<'_>) -> Passwords {
    let of = |name: &'static str| contents(chat, name).into_iter().map(move |(key, value)| ((name, key), value));
    SECRETS.into_iter().flat_map(of).collect()
}

/// Who is let in by which of these passwords, as the services themselves say.
struct Doors<'a> {
    chat: &'a Chat<'a>,
    broker: PortForward,
    api: PortForward,
    http: Client,
}

impl<'a> Doors<'a> {
    fn of(standing: &'a Standing, authority: &str) -> Self {
        let chat = &standing.chat;
        let broker = PortForward::to(standing.cluster, &chat.namespace, "pod/chat-rabbitmq-0", 5672);
        let api = PortForward::to(standing.cluster, &chat.namespace, "deployment/chat-api", 8483);
        let authorities = Certificate::from_pem_bundle(authority.as_bytes()).unwrap();
        let address = format!("127.0.0.1:{}", api.port).parse().unwrap();
        let http = Client::builder().tls_certs_only(authorities).resolve("chat-api-internal", address);
        Self { chat, broker, api, http: http.build().unwrap() }
    }

    async fn open(&self, secret: &str, key: &str, password: &str) -> bool {
        match secret {
            "chat-database-logins" | "chat-postgres" => {
                let servers = ["directory", "main-0", "main-1"];
                let open: Vec<_> = servers.iter().map(|part| self.database(part, key, password)).collect();
                assert!(open.iter().all(|one| *one == open[0]), "{key}: {servers:?} differ: {open:?}");
                open[0]
            }
            "chat-rabbitmq" if key == COOKIE.0 => {
                let open: Vec<_> = (0..COOKIE.1).map(|number| self.peer(number, password)).collect();
                assert!(open.iter().all(|one| *one == open[0]), "brokers differ: {open:?}");
                open[0]
            }
            "chat-rabbitmq" => self.broker(&format!("klatch_{}", key.replace('-', "_")), password).await,
            "chat-broker-logins" => self.broker(&format!("{}.chat.{key}", self.chat.namespace), password).await,
            "chat-service-token" => self.api(password).await,
            _ => self.cache(password),
        }
    }

    fn database(&self, part: &str, key: &str, password: &str) -> bool {
        let (pod, role) = (format!("chat-postgres-{part}-0"), format!("klatch_{}", key.replace('-', "_")));
        let password = format!("PGPASSWORD={password}");
        let psql = ["env", &password, "/usr/lib/postgresql/17/bin/psql", "-h", "127.0.0.1", "-U", &role];
        let said = self.chat.run(&[&["exec", &pod, "--"], &psql[..], &["-d", "postgres", "-c", "SELECT 1"]].concat());
        let refused = said.error.contains("password authentication failed");
        assert!(said.success != refused, "{pod} {role}: {}{}", said.output, said.error);
        said.success
    }

    /// Whether a broker takes somebody with this cookie for one of its own.
    fn peer(&self, number: usize, cookie: &str) -> bool {
        let pod = format!("chat-rabbitmq-{number}");
        let ping = format!("io:put_chars(atom_to_list(net_adm:ping('rabbit@{pod}.chat-rabbitmq-nodes'))), halt().");
        let erl = ["env", "HOME=/tmp", "erl", "-noshell", "-hidden", "-start_epmd", "false"];
        let who = ["-name", "probe@127.0.0.1", "-setcookie", cookie, "-eval", &ping];
        let said = self.chat.run(&[&["exec", &pod, "--"], &erl[..], &who[..]].concat());
        assert!(["pong", "pang"].contains(&said.output.trim()), "{pod}: {}{}", said.output, said.error);
        said.output.trim() == "pong"
    }

    async fn broker(&self, user: &str, password: &str) -> bool {
        let vhost = format!("{}.chat", self.chat.namespace);
        let address = format!("amqp://{user}:{password}@127.0.0.1:{}/{vhost}", self.broker.port);
        match Connection::connect(&address, ConnectionProperties::default()).await {
            Ok(connection) => {
                connection.close(200, "bye".into()).await.unwrap();
                true
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("ACCESS_REFUSED") || told.contains("ACCESS-REFUSED"), "{user}: {told}");
                false
            }
        }
    }

    async fn ask(&self, token: &str) -> reqwest::Result<StatusCode> {
        let address = format!("https://chat-api-internal:{}{PATH}/members", self.api.port);
        Ok(self.http.post(address).bearer_auth(token).body("no question").send().await?.status())
    }

    async fn api(&self, token: &str) -> bool {
        let said = self.ask(token).await.unwrap();
        assert!(said == StatusCode::BAD_REQUEST || said == StatusCode::UNAUTHORIZED, "{said}");
        said == StatusCode::BAD_REQUEST
    }

    fn cache(&self, password: &str) -> bool {
        let ask = ["exec", "chat-redis-0", "--", "redis-cli", "--user", "klatch", "--pass", password, "PING"];
        let said = self.chat.run(&ask);
        let told = format!("{}{}", said.output, said.error);
        let refused = told.contains("WRONGPASS");
        assert!(refused != said.output.contains("PONG"), "{told}");
        !refused
    }
}

/// People who sign in, one after the other, and somebody who speaks by the SDK, until they are told to stop.
struct Load {
    stop: CancellationToken,
    sign_ins: tokio::task::JoinHandle<(usize, Vec<String>)>,
    speaking: tokio::task::JoinHandle<Vec<String>>,
    ada: klatch_client_sdk::Client,
    room: RoomId,
}

impl Load {
    async fn begin(url: &str) -> Self {
        let stop = CancellationToken::new();
        let (ada, bob) = (sign_up(url, "rotating-ada").await, sign_up(url, "rotating-bob").await);
        let other = ada.find_user("rotating-bob").await.unwrap().unwrap();
        let room = ada.open_direct(other.id).await.unwrap().id;
        bob.close().await;
        let (stopped, speaker) = (stop.clone(), ada.clone());
        let speaking = tokio::spawn(async move {
            let (mut said, mut sent) = (Vec::new(), Vec::new());
            while !stopped.is_cancelled() {
                let text = format!("message {}", said.len());
                sent.push(speaker.say(room, &text).await.unwrap());
                said.push(text);
                tokio::time::sleep(PACE).await;
            }
            for one in sent {
                one.await.unwrap();
            }
            said
        });
        let (stopped, url) = (stop.clone(), url.to_owned());
        let sign_ins = tokio::spawn(async move {
            let (mut count, mut refused) = (0, Vec::new());
            while !stopped.is_cancelled() {
                match Person::try_sign_in(&url, "rotating-bob", SIGN_IN).await {
                    Ok(Ok(_)) => count += 1,
                    Ok(Err(status)) => refused.push(format!("sign-in {count}: {status}")),
                    Err(error) => refused.push(format!("sign-in {count}: {error:?}")),
                }
                tokio::time::sleep(PACE).await;
            }
            (count, refused)
        });
        Self { stop, sign_ins, speaking, ada, room }
    }

    /// How many signed in and how much was said; nobody was refused, and all that was said is there, once and in order.
    async fn end(self) -> (usize, usize) {
        self.stop.cancel();
        let (count, refused) = self.sign_ins.await.unwrap();
        assert!(refused.is_empty(), "of {} sign-ins refused: {refused:?}", count + refused.len());
        let said = self.speaking.await.unwrap();
        assert_eq!(read_all(&self.ada, self.room).await, said, "nothing is lost, doubled or out of order");
        self.ada.close().await;
        (count, said.len())
    }
}

/// The Secret of signing keys.
const KEYS: &str = "chat-signing-keys";
/// Until everybody knows what is in a Secret: a kubelet's next look, an api replica's, a gateway's, each some minute.
const KNOWN_WITHIN: Duration = Duration::from_secs(600);

/// The same person with an access token of an hour by the key of this file.
fn signed_by(person: &Person, file: &str, key: &str) -> Person {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file), key).unwrap();
    let keys = Keys::open_existing(folder.path()).unwrap();
    let token = keys.issue_for(person.user, person.session, now(), LONGEST_TOKEN).unwrap();
    let mut person = person.clone();
    person.token = token;
    person
}

/// What api and a gateway say to whoever shows this token.
async fn is_let_in(person: &Person) -> (bool, bool) {
    let (status, body) = person.call(Method::GET, "/v1/rooms", None).await;
    assert!(status == 200 || status == 401, "{status} {body}");
    let mut socket = Socket::open(&person.server).await.unwrap();
    let welcomed = socket.try_hello(&person.token).await;
    (status == 200, welcomed.is_ok())
}

/// Three hours pass for these keys: the old one's tokens have expired.
fn let_hours_pass(chat: &Chat<'_>, keys: &BTreeMap<String, String>) {
    let older = |(file, key): (&String, &String)| {
        let mut key: Value = serde_json::from_str(key).unwrap();
        let from: Timestamp = serde_json::from_value(key["created_at"].take()).unwrap();
        key["created_at"] = json!(from.minus(Duration::from_secs(3 * 3600)));
        (file.clone(), json!(STANDARD.encode(key.to_string())))
    };
    let patch = json!({"data": keys.iter().map(older).collect::<serde_json::Map<_, _>>()});
    chat.must(&["patch", "secret", KEYS, "--type=merge", "-p", &patch.to_string()]);
}

/// What the old key has signed is good until it has expired, also after the rotation; then nobody knows that key any more.
async fn the_old_key_ends(chat: &Chat<'_>, old: &Person, before: &BTreeMap<String, String>) {
    let after = contents(chat, KEYS);
    let new: Vec<_> = after.keys().filter(|file| !before.contains_key(*file)).collect();
    assert!(new.len() == 1 && after.len() == 2, "one key was made beside the other");
    assert_eq!(is_let_in(old).await, (true, true), "the old key's tokens are good for their time");
    let_hours_pass(chat, &after);
    let took = chat
        .until_within("nobody knows the old key", KNOWN_WITHIN, async || is_let_in(old).await == (false, false))
        .await;
    println!("nobody knows the old signing key {took:?} after its tokens had expired");
    assert_eq!(contents(chat, KEYS).keys().collect::<Vec<_>>(), new, "it is nowhere any more");
    let anew = Person::try_sign_in(&old.server, &old.name, SIGN_IN).await.unwrap().unwrap();
    // For a quarter of an hour it would sign nothing; here a gateway may learn of it later than api signs.
    let is_good = async || is_let_in(&anew).await == (true, true);
    chat.until_within("the new key's tokens are good", KNOWN_WITHIN, is_good).await;
}

/// The Secret of the certificate between gateways and api.
const CERTIFICATE: &str = "chat-internal-tls";

/// The certificate between gateways and api goes its three steps. Five minutes lie between two of them, for everybody to read the Secret; who
/// has read it is seen here, so the test does not wait for all of them.
async fn the_certificate_changes(chat: &Chat<'_>, before: &BTreeMap<String, String>) {
    let prepared = contents(chat, CERTIFICATE);
    let authority = prepared["ca.crt"].strip_suffix(&before["ca.crt"]).expect("the old authority is believed, too");
    assert!(!authority.is_empty() && prepared["tls.crt"] == before["tls.crt"]);
    // All gateways have started since then.
    let hasten = || {
        let from = format!("{KNOWN_FROM}={}", now());
        chat.must(&["annotate", "secret", CERTIFICATE, "--overwrite", &from]);
    };
    hasten();
    let shows = |line: &str, component: &str| {
        let pods = format!("app.kubernetes.io/component={component}");
        let names = chat.must(&["get", "pods", "-l", &pods, "-o", "jsonpath={.items[*].metadata.name}"]);
        names.split_whitespace().all(|name| chat.must(&["logs", name]).contains(line))
    };
    let shown = async || shows("another certificate is shown", "api");
    println!("api shows another certificate after {:?}", chat.until_within("api shows it", KNOWN_WITHIN, shown).await);
    assert_eq!(contents(chat, CERTIFICATE)["tls.crt"], prepared["next.crt"]);
    hasten();
    let believed = async || shows("other authorities are believed", "gateway");
    println!(
        "its authority alone is believed after {:?}",
        chat.until_within("gateways believe it", KNOWN_WITHIN, believed).await
    );
    let after = contents(chat, CERTIFICATE);
    assert_eq!((after["ca.crt"].as_str(), after.len()), (authority, 3), "the old authority is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_is_made_new_while_people_chat_and_sign_in() {
    let standing = Standing::shared();
    let chat = &standing.chat;
    let (before, keys, certificate) = (passwords(chat), contents(chat, KEYS), contents(chat, CERTIFICATE));
    let mut cast = standing.cast("rotating-").await;
    let load = Load::begin(&standing.url).await;
    cast.stored_more(50).await;
    let eve = Person::sign_up_at_busy(&standing.url, "rotating-eve").await;
    let (file, key) = keys.last_key_value().unwrap();
    let old = signed_by(&eve, file, key);
    assert_eq!(is_let_in(&old).await, (true, true));

    let stored = cast.desk.stored();
    chat.must(&["annotate", "chat", "chat", "--overwrite", &format!("{ROTATE}=by-test")]);
    let state = format!("jsonpath={{.metadata.annotations.{}}}", STATE.replace('.', "\\."));
    let took = chat
        .until_within("both halves are done", ROTATED_WITHIN, async || {
            let state = chat.must(&["get", "secret", "chat-broker-logins", "-o", &state]);
            state.contains(r#""half":"Rest""#) && state.contains("by-test")
        })
        .await;
    the_certificate_changes(chat, &certificate).await;
    let stored = cast.desk.stored() - stored;
    println!("every password is new after {took:?}; {stored} messages were stored meanwhile");
    println!("refused for now: {:?}", cast.desk.refusals());
    let (sign_ins, said) = load.end().await;
    println!("{sign_ins} signed in, {said} messages were said by the SDK");
    cast.converge().await;
    // `busy` asks for patience, and the same message comes again: that is no failure, whatever else there is would be one.
    let failed: Vec<_> = cast.desk.refusals().into_keys().filter(|code| code != "busy").collect();
    assert!(failed.is_empty(), "no send fails: {failed:?}");

    the_old_key_ends(chat, &old, &keys).await;
    let (doors, after) = (Doors::of(standing, &contents(chat, CERTIFICATE)["ca.crt"]), passwords(chat));
    let by_the_old = Doors::of(standing, &certificate["ca.crt"]);
    assert!(
        by_the_old.ask("").await.is_err_and(|error| error.is_connect()),
        "who believes the old authority goes away"
    );
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for ((secret, key), old) in &before {
        let new = &after[&(*secret, key.clone())];
        assert!(doors.open(secret, key, new).await, "{secret} {key}: the new password");
        assert!(old != new && !doors.open(secret, key, old).await, "{secret} {key}: the old password still opens");
    }
    cast.read_all_again().await;
}
