//! Every password is made new while people chat and sign in: real PostgreSQL, RabbitMQ and Redis end the old ones, and nobody notices.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use klatch_client_sdk::Client;
use klatch_controller::plan::rotation::{ROTATE, STATE};
use klatch_domain::RoomId;
use klatch_tests::{
    kube::{chat::Chat, port_forward::PortForward, standing::Standing},
    person::Person,
};
use lapin::{Connection, ConnectionProperties};
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
const SECRETS: [&str; 3] = ["chat-database-logins", "chat-broker-logins", "chat-redis"];

fn passwords(chat: &Chat<'_>) -> Passwords {
    let mut all = Passwords::new();
    for name in SECRETS {
        let data: BTreeMap<String, String> =
            serde_json::from_str(&chat.must(&["get", "secret", name, "-o", "jsonpath={.data}"])).unwrap();
        for (key, value) in data {
            all.insert((name, key), String::from_utf8(STANDARD.decode(value).unwrap()).unwrap());
        }
    }
    all
}

/// Who is let in by which of these passwords, as the services themselves say.
struct Doors<'a> {
    chat: &'a Chat<'a>,
    broker: PortForward,
}

impl<'a> Doors<'a> {
    fn of(standing: &'a Standing) -> Self {
        let chat = &standing.chat;
        let broker = PortForward::to(standing.cluster, &chat.namespace, "pod/chat-rabbitmq-0", 5672);
        Self { chat, broker }
    }

    async fn open(&self, secret: &str, key: &str, password: &str) -> bool {
        match secret {
            "chat-database-logins" => {
                let servers = ["directory", "main-0", "main-1"];
                let open: Vec<_> = servers.iter().map(|part| self.database(part, key, password)).collect();
                assert!(open.iter().all(|one| *one == open[0]), "{key}: {servers:?} differ: {open:?}");
                open[0]
            }
            "chat-broker-logins" => self.broker(key, password).await,
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

    async fn broker(&self, key: &str, password: &str) -> bool {
        let vhost = format!("{}.chat", self.chat.namespace);
        let address = format!("amqp://{vhost}.{key}:{password}@127.0.0.1:{}/{vhost}", self.broker.port);
        match Connection::connect(&address, ConnectionProperties::default()).await {
            Ok(connection) => {
                connection.close(200, "bye".into()).await.unwrap();
                true
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("ACCESS_REFUSED") || told.contains("ACCESS-REFUSED"), "{key}: {told}");
                false
            }
        }
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
    ada: Client,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_is_made_new_while_people_chat_and_sign_in() {
    let standing = Standing::shared();
    let chat = &standing.chat;
    let before = passwords(chat);
    let mut cast = standing.cast("rotating-").await;
    let load = Load::begin(&standing.url).await;
    cast.stored_more(50).await;

    let stored = cast.desk.stored();
    chat.must(&["annotate", "chat", "chat", "--overwrite", &format!("{ROTATE}=by-test")]);
    let state = format!("jsonpath={{.metadata.annotations.{}}}", STATE.replace('.', "\\."));
    let took = chat
        .until_within("both halves are done", ROTATED_WITHIN, async || {
            let state = chat.must(&["get", "secret", "chat-broker-logins", "-o", &state]);
            state.contains(r#""half":"Rest""#) && state.contains("by-test")
        })
        .await;
    let stored = cast.desk.stored() - stored;
    println!("every password is new after {took:?}; {stored} messages were stored meanwhile");
    println!("refused for now: {:?}", cast.desk.refusals());
    let (sign_ins, said) = load.end().await;
    println!("{sign_ins} signed in, {said} messages were said by the SDK");
    cast.converge().await;
    // `busy` asks for patience, and the same message comes again: that is no failure, whatever else there is would be one.
    let failed: Vec<_> = cast.desk.refusals().into_keys().filter(|code| code != "busy").collect();
    assert!(failed.is_empty(), "no send fails: {failed:?}");

    let (doors, after) = (Doors::of(standing), passwords(chat));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for ((secret, key), old) in &before {
        let new = &after[&(*secret, key.clone())];
        assert!(doors.open(secret, key, new).await, "{secret} {key}: the new password");
        assert!(old != new && !doors.open(secret, key, old).await, "{secret} {key}: the old password still opens");
    }
    cast.read_all_again().await;
}
