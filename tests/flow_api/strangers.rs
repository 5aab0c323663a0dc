//! Who is not a member gets `room_not_found` from everything, whether the room exists or not.

use klatch_domain::{MessageId, RoomId};
use serde_json::{Value, json};

use super::world::{Person, World};

fn calls(room: RoomId, member: &Person, stranger: &Person) -> Vec<(&'static str, String, Value)> {
    let send = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": "hello"}});
    vec![
        ("GET", format!("/v1/rooms/{room}"), Value::Null),
        ("PATCH", format!("/v1/rooms/{room}"), json!({"name": "mine"})),
        ("DELETE", format!("/v1/rooms/{room}"), Value::Null),
        ("PATCH", format!("/v1/rooms/{room}/preferences"), json!({"hidden": true})),
        ("GET", format!("/v1/rooms/{room}/members"), Value::Null),
        ("PUT", format!("/v1/rooms/{room}/members/{}", stranger.user), json!({"role": "owner"})),
        ("PUT", format!("/v1/rooms/{room}/members/{}", member.user), json!({"role": "member"})),
        ("PUT", format!("/v1/rooms/{room}/members/{}", MessageId::now()), Value::Null),
        ("DELETE", format!("/v1/rooms/{room}/members/me"), Value::Null),
        ("DELETE", format!("/v1/rooms/{room}/members/{}", member.user), Value::Null),
        ("GET", format!("/v1/rooms/{room}/messages"), Value::Null),
        ("GET", format!("/v1/rooms/{room}/messages?before=100"), Value::Null),
        ("GET", format!("/v1/rooms/{room}/messages?after=0&thread=1"), Value::Null),
        ("POST", format!("/v1/rooms/{room}/messages"), send),
    ]
}

#[tokio::test]
async fn a_stranger_sees_nothing_of_any_room() {
    let world = World::new().await;
    let (ada, bob, eve) = (world.person("ada").await, world.person("bob").await, world.person("eve").await);
    let private = world.group(&ada, "private", &[&bob], "private").await;
    let public = world.group(&ada, "public", &[&bob], "public").await;
    let direct = world.direct(&ada, &bob).await;
    // She was a member once, and knows the room's id.
    let left = world.group(&ada, "left", &[&eve], "private").await;
    world.ask(&eve, "DELETE", format!("/v1/rooms/{left}/members/me"), Value::Null).await.is(204, "leave");
    let deleted = world.group(&eve, "deleted", &[&ada], "public").await;
    world.ask(&eve, "DELETE", format!("/v1/rooms/{deleted}"), Value::Null).await.is(204, "delete");
    let nowhere = RoomId::now();
    for room in [private, public, direct, left] {
        world.say(&ada, room, "a secret").await.is(201, "say");
    }
    let rooms = [private, public, direct, left, deleted, RoomId::inbox_of(ada.user), nowhere];
    for room in rooms {
        for (method, path, body) in calls(room, &ada, &eve) {
            if room == public && method == "PUT" && path.contains(&eve.user.to_string()) {
                continue; // joining is open; with another role it is not
            }
            let answer = world.ask(&eve, method, path.clone(), body.clone()).await;
            let answer = answer.is(404, &format!("{method} {path}")).fails("room_not_found");
            assert!(!answer.text.contains("secret"));
            let same = world.ask(&eve, method, path.replace(&room.to_string(), &nowhere.to_string()), body).await;
            assert_eq!(answer.body["detail"], same.body["detail"], "{method} {path} tells that the room exists");
        }
        if room != public {
            let join = world.ask(&eve, "PUT", format!("/v1/rooms/{room}/members/me"), Value::Null).await;
            join.is(404, "join").fails("room_not_found");
        }
    }
    world
        .ask(&eve, "PUT", format!("/v1/rooms/{public}/members/me"), json!({"role": "owner"}))
        .await
        .fails("room_not_found");
    let asked: Vec<_> =
        rooms.iter().map(|room| json!({"room": room, "position": {"generation": 0, "seq": 0}})).collect();
    let answer = world.ask(&eve, "POST", "/v1/sync", json!({"rooms": asked})).await.is(200, "sync");
    for (room, answer) in rooms.iter().zip(answer.body["rooms"].as_array().unwrap()) {
        assert_eq!(*answer, json!({"room": room, "error": "room_not_found"}));
    }
    assert_eq!(world.get(&eve, "/v1/rooms").await["rooms"], json!([]));
    // Nothing of all this did anything.
    let log = world.get(&ada, format!("/v1/rooms/{private}/messages")).await;
    assert_eq!(
        log["entries"].as_array().unwrap().iter().filter(|entry| entry["sender"]["user"] == json!(eve.user)).count(),
        0
    );
    world.end().await;
}

#[tokio::test]
async fn an_inbox_is_read_by_its_owner_and_written_by_nobody() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let inbox = RoomId::inbox_of(ada.user);
    let empty = world.get(&ada, format!("/v1/rooms/{inbox}/messages")).await;
    assert_eq!(empty, json!({"entries": [], "more": false}));
    let room = world.group(&bob, "group", &[&ada], "private").await;
    world.inbox_of(&ada, 1).await;
    let entries = world.get(&ada, format!("/v1/rooms/{inbox}/messages")).await["entries"].clone();
    assert_eq!(entries[0]["content"], json!({"room": room}));
    world.say(&ada, inbox, "note to self").await.is(403, "write").fails("not_allowed");
    world.ask(&ada, "PUT", format!("/v1/rooms/{inbox}/members/{}", bob.user), Value::Null).await.fails("not_allowed");
    assert_eq!(world.get(&ada, "/v1/rooms").await["rooms"].as_array().unwrap().len(), 1, "it is no room of the list");
    world.ask(&ada, "GET", format!("/v1/rooms/{inbox}"), Value::Null).await.fails("room_not_found");
    world.end().await;
}
