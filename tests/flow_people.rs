//! People chat, through the built binary: what each of them sees.

use klatch_domain::{Content, Kind, MessageId, Position, RoomId, Seq};
use klatch_protocol::{ClientFrame, PresenceStatus, Send, ServerFrame, SignalOut, Watch, WatermarkOut};
use klatch_tests::{
    klatch_process::{Start, Up},
    person::{Person, Socket},
};
use reqwest::Method;
use serde_json::{Value, json};

struct Two {
    process: Up,
    ada: Person,
    bob: Person,
    room: RoomId,
}

async fn two() -> Two {
    let process = Start::default().ready();
    let (ada, bob) = (Person::sign_up(&process.url, "ada").await, Person::sign_up(&process.url, "bob").await);
    let room = ada.direct(&bob).await;
    Two { process, ada, bob, room }
}

fn send(room: RoomId, kind: &str, content: Value, target: Option<Seq>) -> Send {
    let content = Content::parse(&content.to_string()).expect("content");
    let mut send = Send::new(MessageId::now(), room, Kind::from_name(kind), content);
    send.target = target;
    send
}

async fn act(socket: &mut Socket, room: RoomId, kind: &str, content: Value, target: Seq) -> Position {
    let send = send(room, kind, content, Some(target));
    let id = send.message_id;
    socket.send(&ClientFrame::Send(send)).await;
    socket.stored(id).await.position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_says_the_other_hears_in_order() {
    let two = two().await;
    let (mut ada, mut bob) = (two.ada.connect().await, two.bob.connect().await);
    let mut said = Vec::new();
    for number in 0..50 {
        said.push(ada.say(two.room, &format!("message {number}")).await);
    }
    let mut positions = Vec::new();
    for id in &said {
        positions.push(ada.stored(*id).await.position);
    }
    assert!(positions.is_sorted(), "stored keeps the order of sending");
    let mut heard = Vec::new();
    while heard.len() < said.len() {
        if let ServerFrame::Message(message) = bob.next().await.expect("a frame")
            && message.room == two.room
        {
            heard.push((message.entry.message_id, message.entry.position));
        }
    }
    let expected: Vec<_> = said.into_iter().zip(positions).collect();
    assert_eq!(heard, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_repeats_nothing_whatever_way_it_comes() {
    let two = two().await;
    let (mut phone, mut laptop) =
        (two.ada.connect().await, Person::sign_in(&two.process.url, "ada").await.connect().await);
    let first = send(two.room, "text", json!({"text": "once", "x": 1}), None);
    phone.send(&ClientFrame::Send(first.clone())).await;
    let stored = phone.stored(first.message_id).await;
    // The same connection, another device with other spaces and key order, and HTTP.
    phone.send(&ClientFrame::Send(first.clone())).await;
    assert_eq!(phone.stored(first.message_id).await.position, stored.position);
    let mut same = first.clone();
    same.content = Content::parse("{ \"x\": 1, \"text\" : \"once\" }").expect("content");
    laptop.send(&ClientFrame::Send(same)).await;
    assert_eq!(laptop.stored(first.message_id).await.position, stored.position);
    let path = format!("/v1/rooms/{}/messages", two.room);
    let body = json!({"message_id": first.message_id, "kind": "text", "content": {"text": "once", "x": 1}});
    let (status, answer) = two.ada.call(Method::POST, &path, Some(body.clone())).await;
    assert_eq!((status, answer["position"]["seq"].as_u64()), (200, Some(stored.position.seq.0)), "{answer}");
    // Another content, another sender.
    let mut other = body.clone();
    other["content"]["text"] = json!("twice");
    let (status, answer) = two.ada.call(Method::POST, &path, Some(other)).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("message_id_conflict")));
    let (status, answer) = two.bob.call(Method::POST, &path, Some(body)).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("message_id_conflict")));
    let with_id = |log: &[Value]| log.iter().filter(|e| e["message_id"] == json!(first.message_id)).count();
    assert_eq!(with_id(&two.ada.history(two.room).await), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_deletes_and_reactions_change_the_row_they_name() {
    let two = two().await;
    let (mut ada, mut bob) = (two.ada.connect().await, two.bob.connect().await);
    let message = ada.say_stored(two.room, "helo").await.position.seq;
    let edited = act(&mut ada, two.room, "edit", json!({"text": "hello"}), message).await;
    let reacted = act(&mut bob, two.room, "reaction", json!({"emoji": "👍", "on": true}), message).await;
    let row = |log: Vec<Value>| log.into_iter().find(|e| e["position"]["seq"] == message.0).expect("the row");
    let seen = row(two.bob.history(two.room).await);
    assert_eq!(seen["content"]["text"], "hello");
    assert_eq!(seen["changed_seq"], reacted.seq.0);
    assert_eq!(seen["reactions"], json!([{"emoji": "👍", "count": 1, "mine": true}]));
    assert!(seen["edited_at"].is_string());
    assert!(edited.seq < reacted.seq);
    // Not allowed: changing what another wrote.
    let foreign = send(two.room, "edit", json!({"text": "mine"}), Some(message));
    let id = foreign.message_id;
    bob.send(&ClientFrame::Send(foreign)).await;
    let refused = bob
        .until(|frame| match frame {
            ServerFrame::Refused(refused) if refused.message_id == id => Some(refused.clone()),
            _ => None,
        })
        .await;
    assert_eq!((refused.code.name(), refused.retryable), ("not_allowed", false));
    let deleted = act(&mut ada, two.room, "delete", json!({}), message).await;
    let seen = row(two.bob.history(two.room).await);
    assert_eq!((&seen["deleted"], &seen["content"], &seen["kind"]), (&json!(true), &json!({}), &json!("text")));
    assert_eq!(seen["changed_seq"], deleted.seq.0);
    let log = two.bob.history(two.room).await;
    assert!(!json!(log).to_string().contains("hello"), "the edit's content is gone too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_replies_and_unread_counts() {
    let two = two().await;
    let mut ada = two.ada.connect().await;
    let root = ada.say_stored(two.room, "shall we?").await;
    let mut reply = send(two.room, "text", json!({"text": "in a thread"}), None);
    reply.thread = Some(root.position.seq);
    reply.reply_to = Some(root.position.seq);
    reply.mentions = Some(klatch_domain::Mentions { users: vec![two.bob.user], room: false });
    ada.send(&ClientFrame::Send(reply.clone())).await;
    let stored = ada.stored(reply.message_id).await;
    act(&mut ada, two.room, "reaction", json!({"emoji": "🎉", "on": true}), root.position.seq).await;
    let mut silent = send(two.room, "text", json!({"text": "psst"}), None);
    silent.silent = true;
    ada.send(&ClientFrame::Send(silent.clone())).await;
    let last = ada.stored(silent.message_id).await;
    assert_eq!(last.ordinal, stored.ordinal, "reactions and silent entries raise no ordinal");

    let thread = two.bob.get(&format!("/v1/rooms/{}/messages?thread={}", two.room, root.position.seq.0)).await;
    let texts: Vec<_> = thread["entries"].as_array().expect("entries").iter().map(|e| &e["content"]["text"]).collect();
    assert_eq!(texts, ["shall we?", "in a thread"]);
    let rooms = two.bob.get("/v1/rooms").await;
    let room = &rooms["rooms"][0];
    let unread = room["head_ordinal"].as_u64().expect("ordinal") - room["read_ordinal"].as_u64().expect("ordinal");
    assert_eq!((unread, &room["unread_mentions"]), (2, &json!(1)), "{room}");
    // Reading clears it, within a second, and what lies beyond the head is clamped.
    let mut bob = two.bob.connect().await;
    let beyond = Position::first(last.position.seq.0 + 1000);
    bob.send(&ClientFrame::Watermark(WatermarkOut { room: two.room, read: Some(beyond), delivered: None })).await;
    let seen = ada
        .until(|frame| match frame {
            ServerFrame::Watermark(moved) if moved.user == two.bob.user && moved.read.is_some() => moved.read,
            _ => None,
        })
        .await;
    assert_eq!(seen, last.position);
    let room = &two.bob.get("/v1/rooms").await["rooms"][0];
    assert_eq!(room["head_ordinal"], room["read_ordinal"]);
    assert_eq!(room["unread_mentions"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_and_presence_reach_those_who_watch() {
    let two = two().await;
    let mut ada = two.ada.connect().await;
    ada.send(&ClientFrame::Watch(Watch { rooms: vec![two.room], presence: vec![two.bob.user] })).await;
    let status = |wanted: PresenceStatus| {
        move |frame: &ServerFrame| match frame {
            ServerFrame::Presence(presence) if presence.user == two.bob.user && presence.status == wanted => Some(()),
            _ => None,
        }
    };
    ada.until(status(PresenceStatus::Offline)).await;
    let mut bob = two.bob.connect().await;
    ada.until(status(PresenceStatus::Online)).await;
    let typing = SignalOut { room: two.room, kind: "typing".into(), payload: None, ttl_ms: Some(3000) };
    bob.send(&ClientFrame::Signal(typing)).await;
    ada.until(|frame| match frame {
        ServerFrame::Signal(signal) if (signal.user, &*signal.kind) == (two.bob.user, "typing") => Some(()),
        _ => None,
    })
    .await;
    drop(bob);
    ada.until(status(PresenceStatus::Offline)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_comes_by_sync() {
    let two = two().await;
    let mut ada = two.ada.connect().await;
    while two.bob.history(RoomId::inbox_of(two.bob.user)).await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    for number in 0..120 {
        ada.say_stored(two.room, &format!("{number}")).await;
    }
    let (mut texts, mut position) = (Vec::new(), Position::NOTHING);
    loop {
        let body =
            json!({"rooms": [{"room": two.room, "position": position}], "inbox": Position::NOTHING, "limit": 50});
        let (status, answer) = two.bob.call(Method::POST, "/v1/sync", Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        let inbox = answer["inbox"]["entries"].as_array().expect("entries");
        assert!(inbox.iter().any(|e| e["kind"] == "member_joined" && e["content"]["room"] == json!(two.room)));
        let entries = answer["rooms"][0]["entries"].as_array().expect("entries").clone();
        texts.extend(entries.iter().filter_map(|e| e["content"]["text"].as_str().map(str::to_owned)));
        position = serde_json::from_value(entries.last().expect("entries")["position"].clone()).expect("a position");
        if answer["rooms"][0]["more"] != true {
            break;
        }
    }
    assert_eq!(texts, (0..120).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_holds_from_the_answer_on() {
    let two = two().await;
    let (mut ada, mut bob) = (two.ada.connect().await, two.bob.connect().await);
    ada.say_stored(two.room, "hi").await;
    let (status, answer) = two.bob.call(Method::PUT, &format!("/v1/blocks/{}", two.ada.user), None).await;
    assert!(status == 200 || status == 204, "{status} {answer}");
    let refusal = |frame: &ServerFrame| match frame {
        ServerFrame::Refused(refused) => Some(refused.code.name()),
        ServerFrame::Stored(_) => Some("stored"),
        _ => None,
    };
    ada.say(two.room, "still there?").await;
    assert_eq!(ada.until(refusal).await, "blocked");
    bob.say(two.room, "no").await;
    assert_eq!(bob.until(refusal).await, "blocked");
    let (status, answer) = two.bob.call(Method::DELETE, &format!("/v1/blocks/{}", two.ada.user), None).await;
    assert!(status == 200 || status == 204, "{status} {answer}");
    ada.say_stored(two.room, "and now?").await;
}
