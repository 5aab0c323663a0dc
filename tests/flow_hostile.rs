//! Bad input and bad environments: a bounded cost, the documented code, no false `stored`, others unaffected.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use klatch_domain::MessageId;
use klatch_protocol::{ServerFrame, close};
use klatch_tests::{
    klatch_process::{Start, Up},
    person::{Ended, Person, Socket},
};
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

async fn start() -> (Up, Person, Person) {
    let process = Start::default().ready();
    let (ada, bob) = (Person::sign_up(&process.url, "ada").await, Person::sign_up(&process.url, "bob").await);
    (process, ada, bob)
}

fn error_code(frame: &ServerFrame) -> Option<&'static str> {
    match frame {
        ServerFrame::Error(error) => Some(error.code.name()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_frames_get_their_code_and_hurt_nobody() {
    let (process, ada, bob) = start().await;
    let room = ada.direct(&bob).await;
    let (mut good, mut listener) = (ada.connect().await, bob.connect().await);

    let mut bad = ada.connect().await;
    bad.send_text("{\"type\":\"dance\"}".to_owned()).await;
    assert_eq!(bad.until(error_code).await, "unknown_frame");
    for text in
        ["[]", "{", "null", "\"hello\"", "{\"type\":5}", "{\"type\":\"send\"}", "{\"type\":\"watch\",\"rooms\":[1]}"]
    {
        bad.send_text(text.to_owned()).await;
        assert_eq!(bad.until(error_code).await, "validation_failed", "{text}");
    }
    let deep = format!("{{\"type\":\"send\",\"content\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    bad.send_text(deep).await;
    assert_eq!(bad.until(error_code).await, "validation_failed");
    for _ in 0..10 {
        bad.send_text("{".to_owned()).await;
    }
    assert_eq!(bad.end().await, Ended::Closed(close::MALFORMED), "the tenth closes");

    let mut binary = ada.connect().await;
    binary.send_message(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.end().await, Ended::Closed(close::MALFORMED));
    let mut large = ada.connect().await;
    large.send_text("x".repeat(64 * 1024 + 1)).await;
    assert!(matches!(large.end().await, Ended::Closed(close::FRAME_TOO_LARGE | 1009)));
    let mut silent = Socket::open(&process.url).await.expect("a WebSocket");
    silent.send_text("{\"type\":\"ping\"}".to_owned()).await;
    assert_eq!(silent.end().await, Ended::Closed(close::HELLO_MISSING));
    let mut forged = Socket::open(&process.url).await.expect("a WebSocket");
    forged.send_text("{\"type\":\"hello\",\"token\":\"eyJhbGciOiJub25lIn0.e30.\"}".to_owned()).await;
    assert_eq!(forged.end().await, Ended::Closed(close::TOKEN_EXPIRED));
    let mut twice = ada.connect().await;
    twice.send_text(format!("{{\"type\":\"hello\",\"token\":\"{}\"}}", ada.token)).await;
    assert_eq!(twice.until(error_code).await, "validation_failed");
    twice.settled().await;

    let content = json!({"text": "x".repeat(33 * 1024)});
    let send =
        json!({"type": "send", "message_id": MessageId::now(), "room": room, "kind": "text", "content": content});
    twice.send_text(send.to_string()).await;
    let code = twice
        .until(|frame| match frame {
            ServerFrame::Refused(refused) => Some(refused.code.name()),
            ServerFrame::Error(error) => Some(error.code.name()),
            _ => None,
        })
        .await;
    assert_eq!(code, "content_too_large");

    good.say_stored(room, "unharmed").await;
    listener.hears(room, "unharmed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_bodies_get_problem_documents() {
    let (process, ada, bob) = start().await;
    let room = ada.direct(&bob).await;
    let rooms: Vec<_> =
        (0..10_000).map(|_| json!({"room": MessageId::now(), "position": {"generation": 0, "seq": 0}})).collect();
    let (status, answer) = ada.call(Method::POST, "/v1/sync", Some(json!({"rooms": rooms}))).await;
    assert_eq!((status, answer["code"].as_str()), (413, Some("content_too_large")), "10,000 rooms are above 128 KiB");
    let (status, answer) = ada.call(Method::POST, "/v1/sync", Some(json!({"rooms": &rooms[..501]}))).await;
    assert_eq!((status, answer["code"].as_str()), (400, Some("validation_failed")), "{answer}");

    let http = reqwest::Client::new();
    let path = format!("{}/v1/rooms/{room}/messages", &process.url);
    let post = |body: Vec<u8>, media_type: &'static str| {
        http.post(&path).bearer_auth(&ada.token).header("content-type", media_type).body(body).send()
    };
    let cases: [(Vec<u8>, &str, u16, &str); 6] = [
        (b"{".to_vec(), "application/json", 400, "validation_failed"),
        (b"\xff\xfe{}".to_vec(), "application/json", 400, "validation_failed"),
        (b"[]".to_vec(), "application/json", 400, "validation_failed"),
        ([b"[".repeat(100_000), b"]".repeat(100_000)].concat(), "application/json", 400, "validation_failed"),
        (b"{}".to_vec(), "text/plain", 415, "unsupported_media_type"),
        (b"x".repeat(256 * 1024 + 1), "application/json", 413, "content_too_large"),
    ];
    for (body, media_type, status, code) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        let answer = post(body, media_type).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{shown}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{shown}");
        let problem: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!(problem["code"], code, "{shown}: {problem}");
        assert!(problem["trace_id"].as_str().is_some_and(|id| !id.is_empty()));
    }
    let (status, answer) = ada.call(Method::GET, "/v1/nowhere", None).await;
    assert_eq!((status, answer["code"].as_str()), (404, Some("not_found")));
    let (status, answer) = ada.call(Method::PUT, "/v1/rooms", None).await;
    assert_eq!((status, answer["code"].as_str()), (405, Some("method_not_allowed")));
    let mut socket = ada.connect().await;
    socket.say_stored(room, "unharmed").await;
}

/// A small file system of its own, so that it can be full.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Self {
        fs::create_dir_all(at).expect("a folder");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o"]).arg(format!("size={size}")).arg("tmpfs").arg(at).status();
        assert!(status.expect("mount").success(), "mounting a tmpfs needs root");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still hold it open for a moment.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stores_nothing_falsely_and_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = SmallDisk::mount(&folder.path().join("disk"), "24m");
    let process = Start::default().with(&["--no-limits"]).on(&disk.0.join("data")).ready();
    let (ada, bob) = (Person::sign_up(&process.url, "ada").await, Person::sign_up(&process.url, "bob").await);
    let room = ada.direct(&bob).await;
    let mut socket = ada.connect().await;
    let mut stored = vec![socket.say_stored(room, "before").await.message_id];

    let filler = disk.0.join("filler");
    // Until it is full; that this ends in an error is the point.
    let _full = fs::write(&filler, vec![0u8; 32 * 1024 * 1024]);
    let text = "x".repeat(16 * 1024);
    // What is on its way waits; once the writer has told, the next sends are refused `busy`. `stored` only for what is on disk.
    let (mut refused, mut sent) = (false, 0);
    while !refused {
        socket.say(room, &text).await;
        sent += 1;
        for frame in socket.settled().await {
            match frame {
                ServerFrame::Stored(frame) => stored.push(frame.message_id),
                ServerFrame::Refused(frame) => {
                    assert!(frame.retryable && matches!(frame.code.name(), "busy" | "rate_limited"), "{frame:?}");
                    refused = true;
                }
                _ => {}
            }
        }
        assert!(stored.len() <= sent, "the disk was not full");
    }
    let mut reader = bob.connect().await;
    reader.settled().await;
    bob.history(room).await;

    fs::remove_file(&filler).expect("the filler");
    let (mut socket, mut tries) = (ada.connect().await, 0);
    loop {
        let id = socket.say(room, "after").await;
        let done = socket
            .until(|frame| match frame {
                ServerFrame::Stored(frame) if frame.message_id == id => Some(true),
                ServerFrame::Refused(frame) if frame.message_id == id => Some(false),
                _ => None,
            })
            .await;
        if done {
            stored.push(id);
            break;
        }
        tries += 1;
        assert!(tries < 600, "it does not recover");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        socket = ada.connect().await;
    }
    let log = bob.history(room).await;
    for (index, entry) in log.iter().enumerate() {
        assert_eq!(entry["position"]["seq"], index as u64 + 1, "a gap");
    }
    for id in stored {
        let count = log.iter().filter(|entry| entry["message_id"] == json!(id)).count();
        assert_eq!(count, 1, "{id} was said to be stored");
    }
}
