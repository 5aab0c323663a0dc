//! The end of a large room's log, kept for the many who read it: true while the log ends there, and without what was deleted.

use klatch_bus::Recent;
use klatch_domain::{Content, MessageId, RoomId};
use klatch_store::shard::Range;
use serde_json::{Value, json};

use super::world::{Person, World};

fn texts(answer: &Value) -> Vec<&str> {
    let entries = answer["entries"].as_array().unwrap();
    entries.iter().filter_map(|entry| entry["content"]["text"].as_str()).collect()
}

/// What is kept, as a run that nobody has written: the last entry says something else.
async fn forge(world: &World, room: RoomId, text: &str) {
    let mut page = world.shards.of(room).page(room, Range::Newest, 50, None, None).await.unwrap();
    page.entries.last_mut().unwrap().content = Content::text(text).unwrap();
    world.bus.recent.keep(room, Recent::of(&page.entries).unwrap()).await;
}

async fn kept(world: &World, room: RoomId) -> Option<Recent> {
    world.bus.recent.read(&[room]).await.remove(0)
}

async fn crowd(world: &World, count: usize) -> (Vec<Person>, RoomId) {
    let mut people = Vec::new();
    for number in 0..count {
        people.push(world.person(&format!("person{number}")).await);
    }
    let others: Vec<_> = people[1..].iter().collect();
    let room = world.group(&people[0], "crowd", &others, "private").await;
    (people, room)
}

#[tokio::test]
async fn a_kept_page_is_read_while_the_log_ends_there_and_no_longer() {
    let world = World::new().await;
    let (people, room) = crowd(&world, 2).await;
    let stranger = world.person("stranger").await;
    world.say(&people[0], room, "one").await.is(201, "one");
    world.say(&people[0], room, "two").await.is(201, "two");
    forge(&world, room, "kept").await;
    let path = format!("/v1/rooms/{room}/messages");
    assert_eq!(texts(&world.get(&people[1], path.clone()).await), ["one", "kept"]);
    assert_eq!(texts(&world.get(&people[1], format!("{path}?limit=1")).await), ["kept"]);
    assert_eq!(texts(&world.get(&people[1], format!("{path}?after=3")).await), ["kept"]);
    let sync = json!({"rooms": [{"room": room, "position": {"generation": 1, "seq": 3}}]});
    let synced = world.ask(&people[1], "POST", "/v1/sync", sync.clone()).await.is(200, "sync");
    assert_eq!(texts(&synced.body["rooms"][0]), ["kept"]);
    // It is for members, and for the log as such.
    world.ask(&stranger, "GET", path.clone(), Value::Null).await.is(404, "stranger").fails("room_not_found");
    assert_eq!(texts(&world.get(&people[1], format!("{path}?before=5")).await), ["one", "two"]);
    world.say(&people[1], room, "three").await.is(201, "three");
    assert_eq!(texts(&world.get(&people[0], path.clone()).await), ["one", "two", "three"]);
    let synced = world.ask(&people[0], "POST", "/v1/sync", sync).await.is(200, "sync");
    assert_eq!(texts(&synced.body["rooms"][0]), ["two", "three"]);
    world.end().await;
}

#[tokio::test]
async fn large_rooms_are_kept_and_a_deleted_body_is_gone_from_there_with_its_outcome() {
    let world = World::new().await;
    let (people, room) = crowd(&world, 33).await;
    let path = format!("/v1/rooms/{room}/messages");
    let secret = world.say(&people[0], room, "secret").await.is(201, "secret").body["position"]["seq"].clone();
    assert_eq!(kept(&world, room).await, None);
    assert_eq!(texts(&world.get(&people[1], path.clone()).await), ["secret"]);
    let old = kept(&world, room).await.expect("kept for the next one");
    assert!(old.entries().iter().any(|entry| entry.content.as_str().contains("secret")));
    let delete = json!({"message_id": MessageId::now(), "kind": "delete", "target": secret, "content": {}});
    world.ask(&people[0], "POST", path.clone(), delete).await.is(201, "delete");
    assert_eq!(kept(&world, room).await, None, "gone before its sender heard so");
    world.bus.recent.keep(room, old).await;
    assert_eq!(kept(&world, room).await, None, "a slow reader does not bring it back");
    assert_eq!(texts(&world.get(&people[2], path.clone()).await), [] as [&str; 0]);
    let new = kept(&world, room).await.expect("kept again");
    assert!(new.entries().iter().all(|entry| !entry.content.as_str().contains("secret")));
    // Sync keeps what it has read to the end, too.
    world.say(&people[0], room, "next").await.is(201, "next");
    let sync = json!({"rooms": [{"room": room, "position": new.head()}]});
    world.ask(&people[3], "POST", "/v1/sync", sync).await.is(200, "sync");
    assert_eq!(kept(&world, room).await.expect("kept by sync").entries().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn small_rooms_are_not_kept_and_what_is_ones_own_never_is() {
    let world = World::new().await;
    let (people, small) = crowd(&world, 2).await;
    world.say(&people[0], small, "hello").await.is(201, "hello");
    world.get(&people[1], format!("/v1/rooms/{small}/messages")).await;
    assert_eq!(kept(&world, small).await, None);
    world.end().await;

    let world = World::new().await;
    let (people, room) = crowd(&world, 33).await;
    let path = format!("/v1/rooms/{room}/messages");
    let liked = world.say(&people[0], room, "liked").await.is(201, "liked").body["position"]["seq"].clone();
    let like = json!({"message_id": MessageId::now(), "kind": "reaction", "target": liked,
        "content": {"emoji": "+", "on": true}});
    world.ask(&people[1], "POST", path.clone(), like).await.is(201, "like");
    for (person, mine) in [(&people[1], true), (&people[2], false), (&people[1], true)] {
        let answer = world.get(person, path.clone()).await;
        let entries = answer["entries"].as_array().unwrap();
        let reaction = entries.iter().find(|entry| entry["position"]["seq"] == liked).unwrap();
        assert_eq!(reaction["reactions"][0]["mine"], json!(mine));
    }
    world.end().await;
}
