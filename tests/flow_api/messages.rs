//! Sending and reading by HTTP.

use klatch_domain::MessageId;
use serde_json::{Value, json};

use super::world::World;

fn text(entry: &Value) -> &str {
    entry["content"]["text"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_message_is_stored_once_however_often_it_comes() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let path = format!("/v1/rooms/{room}/messages");
    let body = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "hi"}});
    let first = world.ask(&ada, "POST", path.clone(), body.clone()).await.is(201, "first");
    assert_eq!(first.body["message_id"], body["message_id"]);
    let again = world.ask(&ada, "POST", path.clone(), body.clone()).await.is(200, "again");
    assert_eq!(again.body, first.body);
    let mut other = body.clone();
    other["content"] = json!({"text": "something else"});
    world.ask(&ada, "POST", path.clone(), other).await.is(409, "conflict").fails("message_id_conflict");
    world.ask(&bob, "POST", path.clone(), body).await.is(409, "another's id").fails("message_id_conflict");
    let log = world.get(&bob, path).await;
    let said: Vec<_> = log["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "text").collect();
    assert_eq!((said.len(), text(said[0])), (1, "hi"));
    assert_eq!(said[0]["sender"], json!({"user": ada.user, "session": ada.session}));
    world.end().await;
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let path = format!("/v1/rooms/{room}/messages");
    let before = world.get(&ada, path.clone()).await;
    let good = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "hi"}});
    for (field, value, status, code) in [
        ("content", json!({"text": "x".repeat(33_000)}), 413, "content_too_large"),
        ("content", json!([]), 400, "content_invalid"),
        ("content", json!({"text": ""}), 400, "content_invalid"),
        ("content", json!({}), 400, "content_invalid"),
        ("kind", json!("member_joined"), 403, "not_allowed"),
        ("kind", json!("no spaces please"), 400, "validation_failed"),
        ("kind", json!(7), 400, "validation_failed"),
        ("message_id", json!("x"), 400, "validation_failed"),
        ("target", json!(1), 400, "validation_failed"),
        ("reply_to", json!(10_000), 404, "target_not_found"),
        ("thread", json!(0), 404, "target_not_found"),
        ("content_type", json!("x".repeat(200)), 400, "validation_failed"),
        ("if_epoch", json!(3), 409, "epoch_conflict"),
        ("expires_at", json!("soon"), 400, "validation_failed"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        world.ask(&ada, "POST", path.clone(), body).await.is(status, field).fails(code);
    }
    let edit = json!({"message_id": MessageId::now(), "kind": "edit", "target": 9_999, "content": {"text": "hi"}});
    world.ask(&ada, "POST", path.clone(), edit).await.is(404, "edit").fails("target_not_found");
    assert_eq!(world.get(&ada, path).await, before);
    world.end().await;
}

#[tokio::test]
async fn history_is_walked_both_ways_and_by_thread() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let path = format!("/v1/rooms/{room}/messages");
    for number in 0..25 {
        world.say(&ada, room, &number.to_string()).await.is(201, "say");
    }
    let all = world.get(&bob, format!("{path}?after=0&limit=200")).await["entries"].as_array().unwrap().clone();
    let seq = |entry: &Value| entry["position"]["seq"].as_u64().unwrap();
    assert!(all.windows(2).all(|pair| seq(&pair[1]) == seq(&pair[0]) + 1 && pair[1]["prev_seq"] == seq(&pair[0])));
    let (mut forward, mut after) = (Vec::new(), 0);
    loop {
        let page = world.get(&bob, format!("{path}?after={after}&limit=4")).await;
        forward.extend(page["entries"].as_array().unwrap().iter().cloned());
        after = seq(forward.last().unwrap());
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(forward, all);
    let newest = world.get(&bob, format!("{path}?limit=4")).await;
    let (mut backward, mut more) = (newest["entries"].as_array().unwrap().clone(), newest["more"].clone());
    while more == json!(true) {
        let page = world.get(&bob, format!("{path}?before={}&limit=4", seq(&backward[0]))).await;
        backward.splice(0..0, page["entries"].as_array().unwrap().iter().cloned());
        more = page["more"].clone();
    }
    assert_eq!(backward, all);
    let root = seq(&all[all.len() - 3]);
    let reply = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "aside"}, "thread": root});
    world.ask(&bob, "POST", path.clone(), reply).await.is(201, "in a thread");
    world.say(&ada, room, "elsewhere").await.is(201, "say");
    let thread = world.get(&ada, format!("{path}?thread={root}")).await["entries"].as_array().unwrap().clone();
    assert_eq!(thread.iter().map(text).collect::<Vec<_>>(), ["22", "aside"]);
    for (query, field) in [
        ("?before=1&after=1", "after"),
        ("?limit=0", "limit"),
        ("?limit=201", "limit"),
        ("?before=-1", "before"),
        ("?before=x", "before"),
        ("?after=9007199254740992", "after"),
        ("?thread=18446744073709551615", "thread"),
    ] {
        let answer = world.ask(&ada, "GET", format!("{path}{query}"), Value::Null).await;
        assert_eq!(answer.is(400, query).fails("validation_failed").field(), field, "{query}");
    }
    world.end().await;
}

#[tokio::test]
async fn changes_show_on_what_they_change() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let path = format!("/v1/rooms/{room}/messages");
    let target = world.say(&ada, room, "helo").await.is(201, "say").body["position"]["seq"].as_u64().unwrap();
    let change = |kind: &str, content: Value| json!({"message_id": MessageId::now(), "kind": kind, "target": target, "content": content});
    world
        .ask(&bob, "POST", path.clone(), change("edit", json!({"text": "mine"})))
        .await
        .is(403, "edit")
        .fails("not_allowed");
    world.ask(&ada, "POST", path.clone(), change("edit", json!({"text": "hello"}))).await.is(201, "edit");
    world
        .ask(&bob, "POST", path.clone(), change("reaction", json!({"emoji": "👍", "on": true})))
        .await
        .is(201, "react");
    for (person, mine) in [(&ada, false), (&bob, true)] {
        let log = world.get(person, format!("{path}?after={}&limit=1", target - 1)).await;
        let entry = &log["entries"][0];
        assert_eq!((text(entry), &entry["reactions"]), ("hello", &json!([{"emoji": "👍", "count": 1, "mine": mine}])));
        assert!(entry.get("edited_at").is_some());
    }
    world.ask(&ada, "POST", path.clone(), change("delete", json!({}))).await.is(201, "delete");
    let log = world.get(&bob, format!("{path}?after={}&limit=1", target - 1)).await;
    assert_eq!((&log["entries"][0]["deleted"], &log["entries"][0]["content"]), (&json!(true), &json!({})));
    world.end().await;
}
