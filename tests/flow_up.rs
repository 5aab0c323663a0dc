//! `klatch up` as its owner meets it: the real binary, its folder, its signals, its limits.

use std::{fs, net::TcpStream, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use klatch_client_sdk::Client;
use klatch_domain::{Kind, RoomId, Seq};
use klatch_tests::{
    klatch_process::{Start, Up, failed, owner, succeeded},
    person::{Ended, PASSWORD, PATIENCE, Person, Socket, text_of},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn two_in_a_room(up: &Up) -> (Person, Person, RoomId) {
    let ada = Person::sign_up(&up.url, "ada").await;
    let bob = Person::sign_up(&up.url, "bob").await;
    let room = ada.direct(&bob).await;
    (ada, bob, room)
}

fn texts(history: &[Value]) -> Vec<String> {
    history.iter().filter_map(|entry| entry["content"]["text"].as_str().map(str::to_owned)).collect()
}

async fn status(url: &str) -> StatusCode {
    reqwest::get(url).await.unwrap().status()
}

#[tokio::test]
async fn two_people_talk_and_the_folder_is_their_owners_alone() {
    let mut up = Start::default().ready();
    let (ada, bob, room) = two_in_a_room(&up).await;
    let (mut from, mut to) = (ada.connect().await, bob.connect().await);
    from.say_stored(room, "hello").await;
    to.hears(room, "hello").await;
    assert_eq!(status(&format!("{}/healthz", up.url)).await, StatusCode::OK);
    assert_eq!(status(&format!("{}/readyz", up.url)).await, StatusCode::OK);
    assert_eq!(mode(&up.data), 0o700);
    for entry in fs::read_dir(&up.data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    up.stop();
    // Drained: the sockets were told before the process ended.
    assert_eq!(from.end().await, Ended::Closed(4000));
}

#[tokio::test]
async fn a_second_up_is_refused_and_changes_nothing() {
    let up = Start::default().ready();
    let before = fs::read(up.data.join("lock")).unwrap();
    let refused = failed(&owner(&up.data, &["up", "--listen", "127.0.0.1:0"], ""), 1);
    let expected = format!("is in use by another klatch (pid {}); stop it first, or give --data another", up.pid());
    assert!(refused.contains(&expected), "{refused}");
    assert_eq!(fs::read(up.data.join("lock")).unwrap(), before);
    assert_eq!(status(&format!("{}/readyz", up.url)).await, StatusCode::OK);
}

#[tokio::test]
async fn a_start_after_kill_keeps_every_message() {
    let mut up = Start::default().ready();
    let (ada, bob, room) = two_in_a_room(&up).await;
    let mut socket = ada.connect().await;
    let said: Vec<String> = (0..50).map(|number| format!("message {number}")).collect();
    for text in &said {
        socket.say_stored(room, text).await;
    }
    up.kill();
    up.start_again(&Start::default());
    let bob = bob.at(&up.url);
    assert_eq!(texts(&bob.history(room).await), said);
    // And it goes on.
    ada.at(&up.url).connect().await.say_stored(room, "after").await;
    assert_eq!(texts(&bob.history(room).await).last().map(String::as_str), Some("after"));
}

#[tokio::test]
async fn wrong_settings_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    fs::write(&file, "gateway: {drainMillis: 5}").unwrap();
    let data = folder.path().join("data");
    let refused = failed(&owner(&data, &["up", "-f", file.to_str().unwrap()], ""), 1);
    assert!(refused.contains("drainMillis") && refused.contains("settings.yaml"), "{refused}");
    let refused = failed(&owner(&data, &["up", "--listen", "nowhere"], ""), 1);
    assert!(refused.contains("HOST:PORT"), "{refused}");
    assert!(!data.exists());
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let refused = failed(&owner(&folder.path().join("data"), &["up", "--listen", &address], ""), 1);
    assert!(refused.contains("is taken by another program"), "{refused}");
}

#[tokio::test]
async fn metrics_are_for_this_machine_or_for_the_admin_listener() {
    let up = Start::default().ready();
    let url = format!("{}/metrics", up.url);
    let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
    assert!(text.contains("process_resident_memory_bytes") && text.contains("klatch_bus_queued"), "{text}");
    let forwarded = reqwest::Client::new().get(&url).header("x-forwarded-for", "192.0.2.1").send().await.unwrap();
    assert_eq!(forwarded.status(), StatusCode::FORBIDDEN);

    let apart = Start::default().with(&["--admin-listen", "127.0.0.1:0"]).ready();
    assert_eq!(status(&format!("{}/metrics", apart.url)).await, StatusCode::NOT_FOUND);
    let log = apart.log();
    let line = log.lines().find(|line| line.contains("admin_address")).expect("the log names the admin listener");
    let line: Value = serde_json::from_str(line).unwrap();
    let address = line["admin_address"].as_str().unwrap();
    assert_eq!(status(&format!("http://{address}/metrics")).await, StatusCode::OK);
}

#[tokio::test]
async fn no_browser_guesses_what_anything_here_is() {
    let up = Start::default().ready();
    for (method, path, expected) in [
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/v1/openapi.json", 200),
        ("GET", "/v1/users/me", 401),
        ("GET", "/nothing", 404),
        ("GET", "/v1/connect", 426),
        ("POST", "/v1/connect", 405),
    ] {
        let url = format!("{}{path}", up.url);
        let answer = reqwest::Client::new().request(method.parse().unwrap(), url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{method} {path}");
        let sniffing = answer.headers().get("x-content-type-options").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(sniffing.as_deref(), Some("nosniff"), "{method} {path}");
        if expected >= 400 {
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["status"], expected, "{method} {path}: a problem document");
        }
    }
}

#[tokio::test]
async fn an_owner_makes_and_keeps_users_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    fs::write(&file, "api: {signUp: Closed}").unwrap();
    let up = Start::default().with(&["-f", file.to_str().unwrap()]).ready();
    let closed = reqwest::Client::new()
        .post(format!("{}/v1/users", up.url))
        .json(&json!({"username": "eve", "password": "correct horse battery staple"}))
        .send()
        .await
        .unwrap();
    assert_eq!(closed.status(), StatusCode::FORBIDDEN);

    let add =
        |name: &str| owner(&up.data, &["user", "add", name, "--password-stdin"], "correct horse battery staple\n");
    succeeded(&add("ada"));
    assert!(failed(&add("ada"), 3).contains("the username is taken"));
    assert!(failed(&add("-no-"), 2).contains("--"));
    let weak = owner(&up.data, &["user", "add", "weak", "--password-stdin"], "12345678\n");
    assert!(failed(&weak, 3).contains("choose another"));
    let ada = Person::sign_in(&up.url, "ada").await;
    let mut socket = ada.connect().await;

    succeeded(&up.owner(&["user", "disable", "ada"]));
    assert_eq!(socket.end().await, Ended::Closed(4503));
    let (status, body) = ada.call(reqwest::Method::GET, "/v1/users/me", None).await;
    assert_eq!((status, body["code"].as_str()), (401, Some("session_revoked")));
    succeeded(&up.owner(&["user", "enable", "ada"]));
    let ada = Person::sign_in(&up.url, "ada").await;

    let output = up.owner(&["user", "reset-password", "ada", "--generate"]);
    let password = succeeded(&output).trim().to_owned();
    assert_eq!(ada.call(reqwest::Method::GET, "/v1/users/me", None).await.0, 401);
    let signed_in = reqwest::Client::new()
        .post(format!("{}/v1/sessions", up.url))
        .json(&json!({"username": "ada", "password": password, "device_name": "test"}))
        .send()
        .await
        .unwrap();
    assert_eq!(signed_in.status(), StatusCode::CREATED);
    succeeded(&up.owner(&["user", "make-admin", "ada"]));
    assert!(failed(&up.owner(&["user", "make-admin", "nobody"]), 3).contains("there is no user nobody"));
}

/// How many keys are published.
async fn published(up: &Up) -> usize {
    let set: Value = reqwest::get(format!("{}/.well-known/jwks.json", up.url)).await.unwrap().json().await.unwrap();
    set["keys"].as_array().unwrap().len()
}

#[tokio::test]
async fn signing_keys_change_when_they_are_due_and_when_their_owner_says_so() {
    let mut up = Start::default().ready();
    let ada = Person::sign_up(&up.url, "ada").await;
    assert_eq!(published(&up).await, 1);
    up.stop();
    // The key gets old.
    let file = fs::read_dir(up.data.join("keys")).unwrap().next().unwrap().unwrap().path();
    let mut key: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    key["created_at"] = json!("2026-01-01T00:00:00.000Z");
    fs::write(&file, key.to_string()).unwrap();
    up.start_again(&Start::default());
    let published_ahead = async {
        while published(&up).await != 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, published_ahead).await.expect("the next key is published");
    let me =
        async |person: &Person, up: &Up| person.at(&up.url).call(reqwest::Method::GET, "/v1/users/me", None).await.0;
    assert_eq!(me(&ada, &up).await, 200);

    succeeded(&up.owner(&["keys", "rotate"]));
    assert_eq!(published(&up).await, 2, "the old one and the new one; the one that waited is gone");
    assert_eq!(me(&ada, &up).await, 200);
    succeeded(&up.owner(&["keys", "rotate", "--compromised"]));
    assert_eq!(published(&up).await, 1);
    assert_eq!(me(&ada, &up).await, 401);
    // The session lives on: its refresh token is signed by no key.
    let body = json!({"refresh_token": ada.refresh_token});
    let call = reqwest::Client::new().post(format!("{}/v1/sessions/refresh", up.url)).json(&body);
    assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);

    up.stop();
    succeeded(&up.owner(&["keys", "rotate"]));
    up.start_again(&Start::default());
    assert_eq!(published(&up).await, 2);
}

#[tokio::test]
async fn an_owner_makes_and_keeps_users_while_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("nothing");
    assert!(failed(&owner(&nothing, &["user", "disable", "ada"], ""), 1).contains("there is no Klatch data"));
    assert!(!nothing.exists());

    let mut up = Start::default().ready();
    let (ada, bob, _) = two_in_a_room(&up).await;
    up.stop();
    succeeded(&up.owner(&["user", "disable", "ada"]));
    succeeded(&owner(&up.data, &["user", "add", "cid", "--password-stdin"], "correct horse battery staple"));
    up.start_again(&Start::default());
    let (status, body) = ada.at(&up.url).call(reqwest::Method::GET, "/v1/users/me", None).await;
    assert_eq!((status, body["code"].as_str()), (401, Some("session_revoked")));
    let cid = Person::sign_in(&up.url, "cid").await;
    let room = cid.direct(&bob.at(&up.url)).await;
    cid.connect().await.say_stored(room, "made offline, and yet a user like any other").await;
}

/// Writes until told to stop; answers what was stored, in order.
async fn write_on(person: Person, room: RoomId, stop: tokio::sync::watch::Receiver<bool>) -> Vec<String> {
    let mut socket = person.connect().await;
    let mut stored = Vec::new();
    while !*stop.borrow() {
        let text = format!("{} {}", person.name, stored.len());
        socket.say_stored(room, &text).await;
        stored.push(text);
    }
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_comes_back_in_a_new_generation() {
    let mut up = Start::default().ready();
    let (ada, bob, room) = two_in_a_room(&up).await;
    let mut socket = ada.connect().await;
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let text = format!("before {number}");
        socket.say_stored(room, &text).await;
        acknowledged.push(text);
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writing = tokio::spawn(write_on(bob.clone(), room, stopped));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    let file_text = file.to_str().unwrap();
    succeeded(&up.owner(&["backup", file_text]));
    assert_eq!(mode(&file), 0o600);
    assert!(!file.with_extension("tar.tmp").exists());
    assert!(failed(&up.owner(&["backup", file_text]), 1).contains("never overwrites"));
    stop.send(true).unwrap();
    let written = writing.await.unwrap();
    let live = texts(&ada.history(room).await);
    let left: Vec<_> = fs::read_dir(&up.data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("snapshot-")), "{left:?}");
    up.stop();

    let restored = folder.path().join("restored");
    succeeded(&owner(&restored, &["restore", file_text], ""));
    assert_eq!(mode(&restored), 0o700);
    assert!(failed(&owner(&restored, &["restore", file_text], ""), 1).contains("never overwrites"));

    let again = Start::default().on(&restored).ready();
    // The keys came along: old tokens still hold.
    let ada = ada.at(&again.url);
    let history = ada.history(room).await;
    let kept = texts(&history);
    assert!(kept.starts_with(&acknowledged), "everything acknowledged before the backup is in it");
    assert!(live.starts_with(&kept) && live.len() <= acknowledged.len() + written.len());
    for (number, entry) in history.iter().enumerate() {
        assert_eq!(entry["position"], json!({"generation": 2, "seq": number + 1}), "old entries stand in the new one");
    }

    // A client that has seen what is lost starts over and gets what there is.
    let question = json!({"rooms": [{"room": room, "position": {"generation": 1, "seq": live.len()}}], "limit": 200});
    let (status, answer) = ada.call(reqwest::Method::POST, "/v1/sync", Some(question)).await;
    assert_eq!((status, &answer["rooms"][0]["reset"]), (200, &json!(true)), "{answer}");
    assert_eq!(answer["rooms"][0]["entries"][0]["position"], json!({"generation": 2, "seq": 1}));
    let mut socket = ada.connect().await;
    let stored = socket.say_stored(room, "and on").await;
    assert_eq!((stored.position.generation.0, stored.position.seq.0 as usize), (2, history.len() + 1));
    let (_, page) = ada.call(reqwest::Method::GET, "/v1/rooms", None).await;
    let listed = page["rooms"].as_array().unwrap().iter().find(|listed| listed["id"] == json!(room)).unwrap();
    assert_eq!(listed["head"], json!({"generation": 2, "seq": history.len() + 1}));
}

/// A client that was connected all the time, and has seen what the backup lacks.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_converges_after_a_restore() {
    let mut up = Start::default().ready();
    let (ada, _bob, room) = two_in_a_room(&up).await;
    let client = Client::sign_in(&up.url, "bob", PASSWORD, "the test's").await.unwrap();
    client.ready().await.unwrap();
    let mut socket = ada.connect().await;
    for number in 0..5 {
        socket.say_stored(room, &format!("kept {number}")).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    succeeded(&up.owner(&["backup", file.to_str().unwrap()]));
    for number in 0..5 {
        socket.say_stored(room, &format!("lost {number}")).await;
    }
    let mut follow = client.follow(room, Some(Seq(0))).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 10 {
        let entry = follow.next().await.unwrap();
        if entry.kind == Kind::Text {
            seen.push(text_of(entry.content.as_str()));
        }
    }
    assert_eq!(seen[9], "lost 4");
    up.stop();
    let restored = folder.path().join("restored");
    succeeded(&owner(&restored, &["restore", file.to_str().unwrap()], ""));
    let again = Start::default().on(&restored).listen(up.address()).ready();
    ada.at(&again.url).connect().await.say_stored(room, "new").await;

    let server = ada.at(&again.url).history(room).await;
    let head = &server.last().unwrap()["position"];
    let held = async {
        loop {
            if let Some(view) = client.timeline(room).await.unwrap()
                && json!(view.position) == *head
            {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, held).await.expect("it converges");
    assert_eq!(head["generation"], 2);
    let rows: Vec<Value> = held.entries.iter().map(|entry| serde_json::to_value(entry).unwrap()).collect();
    assert_eq!(rows[..], server[server.len() - rows.len()..]);
    assert_eq!(texts(&rows).last().map(String::as_str), Some("new"));
    // And whoever follows it goes on.
    let stored = client.say(room, "from the client").await.unwrap().await.unwrap();
    assert_eq!(stored.position.generation.0, 2);
    loop {
        let entry = follow.next().await.unwrap();
        if text_of(entry.content.as_str()) == "from the client" {
            assert_eq!(entry.position, stored.position);
            break;
        }
    }
    client.close().await;
}

#[tokio::test]
async fn a_restore_of_something_else_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    fs::write(&file, "dear ada, ".repeat(500)).unwrap();
    let data = folder.path().join("data");
    let refused = failed(&owner(&data, &["restore", file.to_str().unwrap()], ""), 1);
    assert!(refused.contains("is no backup of Klatch"), "{refused}");
    assert!(!data.exists());

    let mut up = Start::default().ready();
    let _ = two_in_a_room(&up).await;
    up.stop();
    let backup = folder.path().join("backup.tar");
    succeeded(&up.owner(&["backup", backup.to_str().unwrap()]));
    let mut bytes = fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&backup, bytes).unwrap();
    let refused = failed(&owner(&data, &["restore", backup.to_str().unwrap()], ""), 1);
    assert!(refused.contains("damaged"), "{refused}");
    assert!(!data.exists());
}

#[tokio::test]
async fn an_unfinished_restore_is_not_served_and_can_be_repeated() {
    let mut up = Start::default().ready();
    let (ada, _, room) = two_in_a_room(&up).await;
    ada.connect().await.say_stored(room, "kept").await;
    up.stop();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    succeeded(&up.owner(&["backup", file.to_str().unwrap()]));
    // As a kill between two of its steps leaves it: some files at their place, some not.
    let data = folder.path().join("data");
    fs::create_dir_all(data.join("restoring")).unwrap();
    fs::write(data.join("lock"), "").unwrap();
    fs::write(data.join("shard-0.sqlite"), "half").unwrap();
    let refused = failed(&owner(&data, &["up", "--listen", "127.0.0.1:0"], ""), 1);
    assert!(refused.contains("did not finish"), "{refused}");
    succeeded(&owner(&data, &["restore", file.to_str().unwrap()], ""));
    let again = Start::default().on(&data).ready();
    assert_eq!(texts(&ada.at(&again.url).history(room).await), ["kept"]);
}

#[tokio::test]
async fn it_recovers_when_the_file_descriptors_were_used_up() {
    const LIMIT: u64 = 96;
    let mut up = Start::default().open_files(LIMIT).ready();
    assert!(up.log().contains("the open-file limit is 96"), "it says that the limit is low");
    let (ada, bob, room) = two_in_a_room(&up).await;
    let mut socket = ada.connect().await;
    let address = up.url.strip_prefix("http://").unwrap().to_owned();
    let hogs: Vec<TcpStream> = (0..2 * LIMIT).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    // Who is connected already is served on.
    wait_until(|| up.log().contains("cannot accept connections")).await;
    socket.say_stored(room, "meanwhile").await;
    drop(hogs);
    assert_eq!(texts(&bob.history(room).await), ["meanwhile"]);
    let late = tokio::time::timeout(PATIENCE, Socket::open(&up.url)).await.expect("an answer in time");
    let mut late = late.expect("new connections are taken again");
    late.hello(&bob.token).await;
    let complaints = up.log().lines().filter(|line| line.contains("cannot accept connections")).count();
    assert_eq!(complaints, 1, "said once");
    up.stop();
}

async fn wait_until(holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("it comes in time");
}
