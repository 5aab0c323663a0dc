//! Sync.

use klatch_domain::{MessageId, RoomId};
use serde_json::{Value, json};

use super::world::{Person, World};

async fn sync(world: &World, person: &Person, body: Value) -> Value {
    world.ask(person, "POST", "/v1/sync", body).await.is(200, "sync").body
}

fn from_start(room: impl serde::Serialize) -> Value {
    json!({"room": room, "position": {"generation": 0, "seq": 0}})
}

#[tokio::test]
async fn it_answers_in_order_what_is_after_each_position() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let one = world.direct(&ada, &bob).await;
    let other = world.group(&ada, "group", &[&bob], "private").await;
    let nowhere = RoomId::now();
    for number in 0..5 {
        world.say(&ada, one, &number.to_string()).await.is(201, "say");
    }
    let asked = json!({"rooms": [from_start(other), from_start(nowhere), from_start(one)], "limit": 3});
    let answer = sync(&world, &bob, asked).await;
    let rooms = answer["rooms"].as_array().unwrap();
    assert_eq!(
        rooms.iter().map(|room| room["room"].clone()).collect::<Vec<_>>(),
        [json!(other), json!(nowhere), json!(one)]
    );
    assert_eq!(rooms[1], json!({"room": nowhere, "error": "room_not_found"}));
    assert_eq!((rooms[2]["entries"].as_array().unwrap().len(), &rooms[2]["more"]), (3, &json!(true)));
    assert!(answer.get("inbox").is_none() && rooms[2].get("reset").is_none());
    // On from there to the head.
    let position = &rooms[2]["entries"][2]["position"];
    let rest = sync(&world, &bob, json!({"rooms": [{"room": one, "position": position}]})).await;
    let rest = &rest["rooms"][0];
    assert_eq!(
        (&rest["more"], &rest["entries"].as_array().unwrap().last().unwrap()["position"]),
        (&json!(false), &rest["head"])
    );
    let none = sync(&world, &bob, json!({"rooms": [{"room": one, "position": rest["head"]}]})).await;
    assert_eq!((&none["rooms"][0]["entries"], &none["rooms"][0]["head"]), (&json!([]), &rest["head"]));
    world.end().await;
}

#[tokio::test]
async fn another_generation_starts_over() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let whole = sync(&world, &bob, json!({"rooms": [from_start(room)]})).await["rooms"][0].clone();
    let gone = json!({"rooms": [{"room": room, "position": {"generation": 7, "seq": 1}}], "inbox": {"generation": 7, "seq": 3}});
    let answer = sync(&world, &bob, gone).await;
    assert_eq!((&answer["rooms"][0]["reset"], &answer["rooms"][0]["entries"]), (&json!(true), &whole["entries"]));
    assert_eq!(answer["inbox"]["reset"], true);
    world.end().await;
}

#[tokio::test]
async fn the_inbox_comes_when_asked_for() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let nothing = json!({"inbox": {"generation": 0, "seq": 0}});
    let empty = sync(&world, &bob, nothing.clone()).await;
    let inbox = RoomId::inbox_of(bob.user);
    assert_eq!(
        empty,
        json!({"rooms": [], "inbox": {"room": inbox, "head": {"generation": 1, "seq": 0}, "head_ordinal": 0, "entries": [], "more": false}})
    );
    let room = world.group(&ada, "group", &[&bob], "private").await;
    world.inbox_of(&bob, 1).await;
    let answer = sync(&world, &bob, nothing).await;
    assert_eq!(answer["inbox"]["entries"][0]["content"], json!({"room": room}));
    let newest = json!({"inbox": answer["inbox"]["head"], "rooms": [from_start(inbox)]});
    let answer = sync(&world, &bob, newest).await;
    assert_eq!((&answer["inbox"]["entries"], answer["rooms"][0]["entries"].as_array().unwrap().len()), (&json!([]), 1));
    world.end().await;
}

#[tokio::test]
async fn its_size_is_bounded_both_ways() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let rooms: Vec<_> = (0..10_000).map(|_| from_start(RoomId::now())).collect();
    world.ask(&ada, "POST", "/v1/sync", json!({"rooms": rooms})).await.is(413, "10,000").fails("content_too_large");
    let answer = world.ask(&ada, "POST", "/v1/sync", json!({"rooms": &rooms[..501]})).await.is(400, "501");
    assert_eq!(answer.fails("validation_failed").field(), "rooms");
    let answer = sync(&world, &ada, json!({"rooms": &rooms[..500]})).await;
    assert_eq!(answer["rooms"].as_array().unwrap().len(), 500);
    for (body, field) in [
        (json!({"limit": 201}), "limit"),
        (json!({"rooms": [{"room": "x"}]}), "rooms[0].room"),
        (json!({"inbox": {"generation": -1, "seq": 0}}), "inbox.generation"),
    ] {
        assert_eq!(world.ask(&ada, "POST", "/v1/sync", body).await.fails("validation_failed").field(), field);
    }
    // 12 rooms of 20 large entries are some 7.5 MB: one answer has no room for all, and loses none.
    let large = "x".repeat(32_000);
    let mut made = Vec::new();
    for number in 0..12 {
        let room = world.group(&bob, &format!("group {number}"), &[&ada], "private").await;
        made.push(room);
        for _ in 0..20 {
            let body = json!({"message_id": MessageId::now(), "kind": "text", "content": {"text": large}});
            world.ask(&bob, "POST", format!("/v1/rooms/{room}/messages"), body).await.is(201, "say");
        }
    }
    let mut open: Vec<Value> = made.iter().map(from_start).collect();
    let (mut entries, mut rounds) = (0, 0);
    while !open.is_empty() {
        let answer = world.ask(&ada, "POST", "/v1/sync", json!({"rooms": open})).await.is(200, "sync");
        assert!(answer.text.len() < 10 * 1024 * 1024, "{} bytes", answer.text.len());
        rounds += 1;
        let mut next = Vec::new();
        for (asked, room) in open.iter().zip(answer.body["rooms"].as_array().unwrap()) {
            let some = room["entries"].as_array().unwrap();
            entries += some.iter().filter(|entry| entry["kind"] == "text").count();
            if room["more"] == json!(true) {
                let position = some.last().map_or(&asked["position"], |entry| &entry["position"]);
                next.push(json!({"room": room["room"], "position": position}));
            }
        }
        open = next;
    }
    assert_eq!(entries, 12 * 20);
    assert!(rounds > 1, "the bound was met");
    world.end().await;
}

/// Ids of direct rooms can be computed by anybody: what an answer has room for must not tell how much is said there.
#[tokio::test]
async fn rooms_of_others_take_nothing_of_an_answers_room() {
    let world = World::new().await;
    let (ada, bob, eve) = (world.person("ada").await, world.person("bob").await, world.person("eve").await);
    let (theirs, hers) = (world.direct(&ada, &bob).await, world.group(&eve, "mine", &[], "private").await);
    for _ in 0..20 {
        world.say(&ada, theirs, &"x".repeat(16 * 1024)).await.is(201, "say");
    }
    let rooms: Vec<_> = [theirs; 20].into_iter().chain([hers]).map(from_start).collect();
    let answer = sync(&world, &eve, json!({"rooms": rooms, "limit": 200})).await;
    let rooms = answer["rooms"].as_array().unwrap();
    assert_eq!(rooms[0], json!({"room": theirs, "error": "room_not_found"}));
    assert_eq!(rooms[20]["more"], false, "all of hers is there");
    assert!(!rooms[20]["entries"].as_array().unwrap().is_empty());
    world.end().await;
}
