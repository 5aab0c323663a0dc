//! Who is not, or no longer, a member gets nothing, by any way; an ended session ends everywhere.

use std::time::Duration;

use klatch_domain::{MessageId, Position};
use klatch_protocol::{ClientFrame, Hello, Ping, ServerFrame, SignalOut, Watch, WatermarkOut, close};
use klatch_tests::{
    klatch_process::{Start, Up},
    person::{Ended, Person, Socket},
};
use reqwest::Method;
use serde_json::json;

/// Within this a revoked session is closed everywhere: the promise itself, not a guess at speed.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

async fn start(names: &[&str]) -> (Up, Vec<Person>) {
    let process = Start::default().ready();
    let mut people = Vec::new();
    for name in names {
        people.push(Person::sign_up(&process.url, name).await);
    }
    (process, people)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_nothing_by_any_way() {
    let (_process, people) = start(&["ada", "bob", "eve"]).await;
    let [ada, bob, eve] = &people[..] else { unreachable!("three people") };
    let room = ada.group("private", &[bob]).await;
    let mut socket = ada.connect().await;
    socket.say_stored(room, "a secret").await;
    let user = bob.user;
    let send = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "let me in"}});
    let calls = [
        (Method::GET, format!("/v1/rooms/{room}"), None),
        (Method::PATCH, format!("/v1/rooms/{room}"), Some(json!({"name": "mine"}))),
        (Method::DELETE, format!("/v1/rooms/{room}"), None),
        (Method::GET, format!("/v1/rooms/{room}/members"), None),
        (Method::PUT, format!("/v1/rooms/{room}/members/me"), None),
        (Method::PUT, format!("/v1/rooms/{room}/members/{}", eve.user), Some(json!({"role": "member"}))),
        (Method::DELETE, format!("/v1/rooms/{room}/members/{user}"), None),
        (Method::DELETE, format!("/v1/rooms/{room}/members/me"), None),
        (Method::GET, format!("/v1/rooms/{room}/messages"), None),
        (Method::GET, format!("/v1/rooms/{room}/messages?after=0"), None),
        (Method::GET, format!("/v1/rooms/{room}/messages?thread=1"), None),
        (Method::POST, format!("/v1/rooms/{room}/messages"), Some(send)),
        (Method::PATCH, format!("/v1/rooms/{room}/preferences"), Some(json!({"notify": "none"}))),
    ];
    for (method, path, body) in calls {
        let (status, answer) = eve.call(method.clone(), &path, body.clone()).await;
        let (nowhere, other) =
            eve.call(method.clone(), &path.replace(&room.to_string(), &MessageId::now().to_string()), body).await;
        assert_eq!((status, answer["code"].as_str()), (404, Some("room_not_found")), "{method} {path}: {answer}");
        assert_eq!(nowhere, 404, "{method} {path}");
        assert_eq!(answer["detail"], other["detail"], "{method} {path} tells that the room exists");
    }
    let body = json!({"rooms": [{"room": room, "position": Position::NOTHING}]});
    let (_, answer) = eve.call(Method::POST, "/v1/sync", Some(body)).await;
    assert_eq!(answer["rooms"][0], json!({"room": room, "error": "room_not_found"}));
    assert_eq!(eve.get("/v1/rooms").await["rooms"], json!([]));
    assert!(!eve.get("/v1/rooms/public").await.to_string().contains("private"));

    let mut stranger = eve.connect().await;
    let refused = stranger.say(room, "let me in").await;
    let code = stranger
        .until(|frame| match frame {
            ServerFrame::Refused(refusal) if refusal.message_id == refused => Some(refusal.code.name()),
            _ => None,
        })
        .await;
    assert_eq!(code, "room_not_found");
    let not_found = |frame: &ServerFrame| match frame {
        ServerFrame::Error(error) => Some(error.code.name()),
        _ => None,
    };
    stranger.send(&ClientFrame::Watch(Watch { rooms: vec![room], presence: vec![] })).await;
    assert_eq!(stranger.until(not_found).await, "room_not_found");
    let typing = SignalOut { room, kind: "typing".into(), payload: None, ttl_ms: None };
    stranger.send(&ClientFrame::Signal(typing)).await;
    assert_eq!(stranger.until(not_found).await, "room_not_found");
    let read = WatermarkOut { room, read: Some(Position::first(1)), delivered: None };
    stranger.send(&ClientFrame::Watermark(read)).await;
    assert_eq!(stranger.until(not_found).await, "room_not_found");
    // Presence of those one has nothing in common with does not show, not even as offline.
    stranger.send(&ClientFrame::Watch(Watch { rooms: vec![], presence: vec![user] })).await;
    socket.say_stored(room, "another secret").await;
    let frames = stranger.settled().await;
    let told = |frame: &ServerFrame| {
        matches!(frame, ServerFrame::Message(_) | ServerFrame::Position(_) | ServerFrame::Presence(_))
    };
    assert!(!frames.iter().any(told), "{frames:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_member_stops_receiving_at_once() {
    let (_process, people) = start(&["ada", "bob", "eve"]).await;
    let [ada, bob, eve] = &people[..] else { unreachable!("three people") };
    let room = ada.group("kitchen", &[bob, eve]).await;
    let (mut ada_socket, mut bob_socket, mut eve_socket) =
        (ada.connect().await, bob.connect().await, eve.connect().await);
    for socket in [&mut bob_socket, &mut eve_socket] {
        socket.send(&ClientFrame::Watch(Watch { rooms: vec![room], presence: vec![] })).await;
    }
    ada_socket.say_stored(room, "all three").await;
    eve_socket.hears(room, "all three").await;
    let (status, answer) = ada.call(Method::DELETE, &format!("/v1/rooms/{room}/members/{}", eve.user), None).await;
    assert!(status == 200 || status == 204, "{status} {answer}");
    ada_socket.say_stored(room, "only two").await;
    let typing = SignalOut { room, kind: "typing".into(), payload: None, ttl_ms: None };
    bob_socket.hears(room, "only two").await;
    bob_socket.send(&ClientFrame::Signal(typing)).await;
    bob_socket.settled().await;
    // Her inbox tells her; the room does not.
    let inbox = eve_socket.welcome.clone().expect("welcome").inbox;
    eve_socket
        .until(|frame| match frame {
            ServerFrame::Message(m) if m.room == inbox && m.entry.kind.name() == "member_left" => Some(()),
            _ => None,
        })
        .await;
    let frames = eve_socket.settled().await;
    let of_room = |frame: &ServerFrame| match frame {
        ServerFrame::Message(m) => m.room == room,
        ServerFrame::Signal(s) => s.room == room,
        ServerFrame::Position(p) => p.room == room,
        ServerFrame::Watermark(w) => w.room == room,
        _ => false,
    };
    assert!(!frames.iter().any(of_room), "{frames:?}");
    // A message that was on its way is refused where the order is decided.
    let late = eve_socket.say(room, "too late").await;
    let code = eve_socket
        .until(|frame| match frame {
            ServerFrame::Refused(refused) if refused.message_id == late => Some(refused.code.name()),
            _ => None,
        })
        .await;
    assert_eq!(code, "room_not_found");
    let (status, _) = eve.call(Method::GET, &format!("/v1/rooms/{room}/messages"), None).await;
    assert_eq!(status, 404);
    assert!(!serde_json::json!(ada.history(room).await).to_string().contains("too late"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_session_ends_everywhere_within_two_seconds() {
    let (process, people) = start(&["ada"]).await;
    let laptop = &people[0];
    let phone = Person::sign_in(&process.url, "ada").await;
    let (mut laptop_socket, mut one, mut two) = (laptop.connect().await, phone.connect().await, phone.connect().await);
    let (status, _) = laptop.call(Method::DELETE, &format!("/v1/sessions/{}", phone.session), None).await;
    assert_eq!(status, 204);
    for socket in [&mut one, &mut two] {
        let ended = tokio::time::timeout(REVOKED_WITHIN, socket.end()).await.expect("closed within 2 s");
        assert_eq!(ended, Ended::Closed(close::SESSION_REVOKED));
    }
    let (status, answer) = phone.call(Method::GET, "/v1/users/me", None).await;
    assert_eq!((status, answer["code"].as_str()), (401, Some("session_revoked")));
    let mut again = Socket::open(&process.url).await.expect("a WebSocket");
    let hello = Hello { token: phone.token.clone(), device: None, client: None, encodings: Vec::new(), resume: None };
    again.send(&ClientFrame::Hello(hello)).await;
    assert_eq!(again.end().await, Ended::Closed(close::SESSION_REVOKED));
    // The other device lives on.
    laptop_socket.send(&ClientFrame::Ping(Ping::default())).await;
    laptop_socket.settled().await;
}
