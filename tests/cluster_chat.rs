//! From two charts and ten lines to people who chat: the operator and a node together.

use klatch_client_sdk::{Client, Credentials, Options, Roots, core::Part};
use klatch_domain::{Entry, RoomId, Seq};
use klatch_protocol::http::SignUp;
use klatch_settings::place::SETTINGS;
use klatch_tests::{
    encrypted_front::AUTHORITY,
    kube::{
        chat::{Balancer, Chat, OPERATOR, charts, install, previous_charts, run_helm, upgrade},
        cluster::Cluster,
        rights::{ACCOUNT, check_nothing_was_refused},
    },
    person::PASSWORD,
};

/// Messages that are said while gateways are deleted, between two of them.
const BETWEEN: usize = 40;
/// What the two say first.
const BEFORE: [&str; 2] = ["good morning", "good morning to you"];

fn trusting() -> Options {
    Options { roots: Roots::from_pem(AUTHORITY).unwrap(), ..Options::default() }
}

fn credentials(name: &str, password: &str) -> Credentials {
    let (username, password) = (name.to_owned(), password.to_owned());
    Credentials::Password { username, password, device_name: "test".to_owned() }
}

async fn sign_in(server: &str, name: &str) -> Client {
    let client = Client::connect(server, credentials(name, PASSWORD), trusting()).await.unwrap();
    client.ready().await.unwrap();
    client
}

/// Somebody new, by the SDK.
pub async fn sign_up(server: &str, name: &str) -> Client {
    let user = SignUp { username: name.to_owned(), password: PASSWORD.to_owned(), display_name: None, email: None };
    Client::sign_up_with(server, user, &trusting().roots).await.unwrap();
    sign_in(server, name).await
}

fn text(entry: &Entry) -> Option<String> {
    let content: serde_json::Value = entry.content.read().unwrap();
    content["text"].as_str().map(str::to_owned)
}

/// Everything people read in a room, in order.
async fn read(client: &Client, room: RoomId) -> Vec<String> {
    let page = client.history(room, Some(Part::After(Seq::ZERO)), Some(200)).await.unwrap();
    assert!(!page.more, "one page holds all");
    page.entries.iter().filter_map(text).collect()
}

/// Two people who speak with each other, and what they have read.
pub struct Pair {
    ada: Client,
    bob: Client,
    room: RoomId,
}

/// The same of a room that holds more than a page.
pub async fn read_all(client: &Client, room: RoomId) -> Vec<String> {
    let (mut said, mut after) = (Vec::new(), Seq::ZERO);
    loop {
        let page = client.history(room, Some(Part::After(after)), Some(200)).await.unwrap();
        said.extend(page.entries.iter().filter_map(text));
        match page.entries.last() {
            Some(last) if page.more => after = last.position.seq,
            _ => return said,
        }
    }
}

impl Pair {
    /// Two who are new, by any server.
    pub async fn meet(server: &str, by: &str) -> Self {
        let (ada, bob) = (sign_up(server, &format!("ada-{by}")).await, sign_up(server, &format!("bob-{by}")).await);
        let other = ada.find_user(&format!("bob-{by}")).await.unwrap().unwrap();
        let room = ada.open_direct(other.id).await.unwrap().id;
        let pair = Self { ada, bob, room };
        pair.ada.say(room, BEFORE[0]).await.unwrap().await.unwrap();
        pair.bob.say(room, BEFORE[1]).await.unwrap().await.unwrap();
        assert_eq!(read(&pair.bob, room).await, BEFORE, "by {by}");
        pair
    }

    /// Both go.
    pub async fn leave(self) {
        self.ada.close().await;
        self.bob.close().await;
    }

    /// Ada speaks all the time while each gateway is deleted once; then everything is there, once and in order.
    async fn speak_over_the_deletion_of_gateways(&self, chat: &Chat<'_>) {
        let mut heard = self.bob.follow(self.room, None).await.unwrap();
        let gateways = [
            "get",
            "pods",
            "--selector=app.kubernetes.io/component=gateway",
            "-o",
            "jsonpath={.items[*].metadata.name}",
        ];
        let mut said = Vec::new();
        let mut sent = Vec::new();
        for (gateway, grace) in chat.must(&gateways).split_whitespace().zip(["--grace-period=-1", "--grace-period=1"]) {
            // The first may take its time, the second is as good as killed.
            chat.must(&["delete", "pod", "--wait=false", grace, gateway]);
            for _ in 0..BETWEEN {
                let text = format!("message {}", said.len());
                sent.push(self.ada.say(self.room, &text).await.unwrap());
                said.push(text);
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            chat.must(&["rollout", "status", "--timeout=300s", "deployment/chat-gateway"]);
        }
        for one in sent {
            one.await.unwrap();
        }
        let mut read = Vec::new();
        while read.len() < said.len() {
            let entry = heard.next().await.unwrap();
            // What was said before may come after it was read as history.
            read.extend(text(&entry).filter(|text| !BEFORE.contains(&text.as_str())));
        }
        assert_eq!(read, said, "nothing is lost, doubled or out of order");
    }
}

/// No verb of the operator's lets it become more than it is.
fn rights_are_narrow(chat: &Chat<'_>) {
    let listed = chat.must(&["auth", "can-i", "--list", &format!("--as={ACCOUNT}")]);
    for line in listed.lines().skip(1) {
        let verbs = line.rsplit_once('[').unwrap().1.trim_end_matches(']');
        let forbidden = |verb: &str| ["*", "bind", "escalate", "impersonate"].contains(&verb);
        assert!(!verbs.split_whitespace().any(forbidden) && !line.starts_with("*."), "{line}");
    }
}

/// Also where sign-up is closed: in a pod of api, which has the settings and reaches what they name.
async fn an_owner_makes_users_and_locks_them_out(chat: &Chat<'_>, server: &str) {
    let user = |arguments: &[&str]| {
        let program = ["exec", "deployment/chat-api", "--", "klatch", "user"];
        chat.must(&[&program[..], arguments, &["--settings", SETTINGS]].concat())
    };
    let password = user(&["add", "cleo", "--generate"]);
    let cleo = || Client::connect(server, credentials("cleo", password.trim()), trusting());
    cleo().await.unwrap().close().await;
    user(&["disable", "cleo"]);
    let refused = cleo().await.err().expect("they are locked out");
    assert!(refused.to_string().contains("username or password"), "{refused}");
}

/// The operator's pods are replaced, and the leader looks at everything anew.
fn an_operator_of_another_version_restarts_no_pod(chat: &Chat<'_>, cluster: &Cluster) {
    // What was deleted may still be ending.
    cluster.wait_until("no pod is ending", || !chat.must(&["get", "pods"]).contains("Terminating"));
    let pods = chat.pods();
    println!(
        "the operator is upgraded after {:?}",
        upgrade(cluster, &charts(), &["--set", "podAnnotations.upgraded=yes"])
    );
    let lease = ["get", "lease", "klatch-operator", "--namespace", OPERATOR, "-o", "jsonpath={.spec.holderIdentity}"];
    let operators = ["get", "pods", "--namespace", OPERATOR, "-o", "jsonpath={.items[*].metadata.name}"];
    cluster.wait_until("an operator of the new version leads", || {
        let operators = cluster.kubectl().must(&operators);
        let holder = cluster.kubectl().must(&lease);
        operators.split_whitespace().any(|one| holder.starts_with(one)) && chat.condition("Ready").starts_with("True")
    });
    assert_eq!(chat.pods(), pods, "no pod is restarted");
}

/// Deleted, it leaves its data and what opens it; applied again, it goes on only by the user's word.
async fn comes_back_with_its_history(chat: &Chat<'_>, server: &str, pair: &Pair) {
    let (before, retained) = (read(&pair.ada, pair.room).await, chat.retained());
    assert!(retained.iter().filter(|one| one.starts_with("PersistentVolumeClaim")).count() == 6, "{retained:?}");
    let begun = std::time::Instant::now();
    chat.must(&["delete", "chat", "chat", "--cascade=foreground", "--timeout=180s"]);
    println!("deleted in {:?}", begun.elapsed());
    chat.until("all pods are gone", async || chat.must(&["get", "pods", "-o", "name"]).is_empty()).await;
    assert_eq!(chat.retained(), retained, "volumes and credentials stay");

    chat.apply();
    chat.until("it finds the data", async || chat.condition("Stalled").starts_with("True RetainedDataFound")).await;
    let told = chat.condition("Stalled");
    let (_, id) = told.split_once("klatch.dev/adopt-data=").unwrap();
    let id = id.split(';').next().unwrap();
    chat.must(&["annotate", "chat", "chat", &format!("klatch.dev/adopt-data={id}")]);
    println!("ready again after {:?}", chat.wait_ready());
    assert_eq!(chat.retained(), retained, "the same volumes and credentials");
    let ada = sign_in(server, "ada-haproxy").await;
    assert_eq!(read(&ada, pair.room).await, before, "the same history");
    ada.say(pair.room, "and on").await.unwrap().await.unwrap();
    ada.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_charts_and_ten_lines_let_people_chat_until_nothing_of_it_is_left() {
    let cluster = Cluster::shared();
    let previous = previous_charts();
    let installed = previous.as_ref().map_or_else(charts, |folder| folder.path().join("charts"));
    println!("the operator is ready after {:?}", install(cluster, &installed));
    let chat = Chat::in_namespace(cluster);
    chat.apply();
    println!("ready after {:?}", chat.wait_ready());
    let columns = chat.must(&["get", "chat"]);
    println!("{columns}");
    let line = columns.lines().nth(1).unwrap();
    assert_eq!(line.split_whitespace().take(4).collect::<Vec<_>>(), ["chat", "True", "Ready", "0.1.0"], "{columns}");
    assert!(line.contains("https://localhost"), "{columns}");

    let (nginx, _nginx) = chat.open(Balancer::Nginx);
    Pair::meet(&nginx, "nginx").await;
    let (haproxy, _haproxy) = chat.open(Balancer::Haproxy);
    let pair = Pair::meet(&haproxy, "haproxy").await;
    pair.speak_over_the_deletion_of_gateways(&chat).await;
    an_operator_of_another_version_restarts_no_pod(&chat, cluster);
    rights_are_narrow(&chat);
    an_owner_makes_users_and_locks_them_out(&chat, &haproxy).await;
    // The chart before had the rights of its own operator.
    let asked = cluster.requests().len();
    comes_back_with_its_history(&chat, &haproxy, &pair).await;
    check_nothing_was_refused(&cluster.requests()[asked..]);

    // A gateway that holds people lets them go in its own time.
    pair.leave().await;
    for release in ["klatch-operator", "klatch-operator-crds"] {
        run_helm(cluster, &["uninstall", "--wait", "--timeout=60s", release]);
    }
    let begun = std::time::Instant::now();
    cluster.kubectl().must(&["delete", "namespace", &chat.namespace, OPERATOR, "--timeout=120s"]);
    println!("the namespaces are gone after {:?}", begun.elapsed());
}
