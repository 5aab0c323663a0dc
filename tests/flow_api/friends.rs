//! Friends and blocks, and what each side's inbox hears.

use std::collections::HashSet;

use klatch_domain::UserId;
use serde_json::{Value, json};

use super::{
    faulty_directory::Fault,
    world::{Person, World, walk},
};

async fn befriend(world: &World, one: &Person, other: &Person) -> Value {
    world.ask(one, "PUT", format!("/v1/friends/{}", other.user), Value::Null).await.is(200, "befriend").body
}

async fn status(world: &World, one: &Person) -> Vec<String> {
    let friends = walk(world, one, "/v1/friends", "friends", 50).await;
    friends.iter().map(|friend| friend["status"].as_str().unwrap().to_owned()).collect()
}

fn changed(user: &Person, status: &str) -> (String, Value) {
    ("friend_changed".to_owned(), json!({"user": user.user, "status": status}))
}

#[tokio::test]
async fn asking_accepting_and_ending_reach_both_inboxes() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    assert_eq!(befriend(&world, &ada, &bob).await["status"], "requested");
    assert_eq!(
        (status(&world, &ada).await, status(&world, &bob).await),
        (vec!["requested".to_owned()], vec!["incoming".to_owned()])
    );
    // Asking twice asks once.
    assert_eq!(befriend(&world, &ada, &bob).await["status"], "requested");
    assert_eq!(world.inbox_of(&bob, 1).await, [changed(&ada, "incoming")]);
    let accepted = befriend(&world, &bob, &ada).await;
    assert_eq!((&accepted["status"], &accepted["user"]["username"]), (&json!("accepted"), &json!("ada")));
    assert_eq!(world.inbox_of(&ada, 2).await, [changed(&bob, "requested"), changed(&bob, "accepted")]);
    for _ in 0..2 {
        world.ask(&ada, "DELETE", format!("/v1/friends/{}", bob.user), Value::Null).await.is(204, "unfriend");
    }
    assert!(status(&world, &ada).await.is_empty() && status(&world, &bob).await.is_empty());
    let last = world.inbox_of(&bob, 3).await.pop().unwrap();
    assert_eq!(last, ("friend_changed".to_owned(), json!({"user": ada.user})));
    assert_eq!(world.inbox(&bob).await.len(), 3);
    world.end().await;
}

#[tokio::test]
async fn the_same_call_after_a_crash_tells_what_was_not_told() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    world.directory.fail("befriend", Fault::After);
    let path = format!("/v1/friends/{}", bob.user);
    world.ask(&ada, "PUT", path.clone(), Value::Null).await.is(503, "lost").fails("busy");
    assert!(world.inbox(&bob).await.is_empty());
    world.ask(&ada, "PUT", path, Value::Null).await.is(200, "again");
    assert_eq!(world.inbox_of(&bob, 1).await, [changed(&ada, "incoming")]);
    world.end().await;
}

#[tokio::test]
async fn two_who_ask_at_once_are_friends() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    tokio::join!(befriend(&world, &ada, &bob), befriend(&world, &bob, &ada));
    assert_eq!(
        (status(&world, &ada).await, status(&world, &bob).await),
        (vec!["accepted".to_owned()], vec!["accepted".to_owned()])
    );
    world.end().await;
}

#[tokio::test]
async fn the_list_is_walked_whole() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let mut expected = HashSet::new();
    for number in 0..11 {
        let friend = world.person(&format!("friend{number}")).await;
        befriend(&world, &ada, &friend).await;
        expected.insert(friend.user.to_string());
    }
    for limit in [1, 4, 11, 50] {
        let friends = walk(&world, &ada, "/v1/friends", "friends", limit).await;
        let ids: Vec<_> = friends.iter().map(|friend| friend["user"]["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 11);
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected);
    }
    world.end().await;
}

#[tokio::test]
async fn a_block_holds_from_the_answer_on_and_tells_the_other_nothing() {
    let world = World::new().await;
    let (ada, bob, eve) = (world.person("ada").await, world.person("bob").await, world.person("eve").await);
    befriend(&world, &ada, &bob).await;
    befriend(&world, &bob, &ada).await;
    let room = world.direct(&ada, &bob).await;
    world.say(&bob, room, "hi").await.is(201, "before");
    // Asked, accepted, and the room: what a membership change tells an inbox follows its outcome.
    let before = world.inbox_of(&bob, 3).await;
    let block = format!("/v1/blocks/{}", bob.user);
    for _ in 0..2 {
        world.ask(&ada, "PUT", block.clone(), Value::Null).await.is(204, "block");
    }
    assert_eq!(world.inbox(&bob).await, before, "the blocked one hears nothing");
    assert_eq!((status(&world, &ada).await, status(&world, &bob).await.len()), (vec!["blocked".to_owned()], 0));
    for person in [&ada, &bob] {
        world.say(person, room, "no").await.is(403, "blocked").fails("blocked");
    }
    // What is there can still be read, and the room is still that room.
    assert_eq!(world.direct(&bob, &ada).await, room);
    world.get(&bob, format!("/v1/rooms/{room}/messages")).await;
    world.ask(&bob, "PUT", format!("/v1/friends/{}", ada.user), Value::Null).await.is(403, "friend").fails("blocked");
    let group = json!({"kind": "group", "name": "trap", "members": [eve.user, ada.user]});
    world.ask(&bob, "POST", "/v1/rooms", group).await.is(403, "group").fails("blocked");
    let group = world.group(&bob, "trap", &[&eve], "private").await;
    world.ask(&bob, "PUT", format!("/v1/rooms/{group}/members/{}", ada.user), json!({})).await.fails("blocked");
    world.ask(&ada, "DELETE", block, Value::Null).await.is(204, "unblock");
    world.say(&bob, room, "back").await.is(201, "after");
    assert!(status(&world, &ada).await.is_empty(), "the friendship stays ended");
    world.end().await;
}

#[tokio::test]
async fn a_block_before_the_room_keeps_the_room_away() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    world.ask(&ada, "PUT", format!("/v1/blocks/{}", bob.user), Value::Null).await.is(204, "block");
    for (one, other) in [(&ada, &bob), (&bob, &ada)] {
        let body = json!({"kind": "direct", "user": other.user});
        world.ask(one, "POST", "/v1/rooms", body).await.is(403, "direct").fails("blocked");
    }
    world.end().await;
}

#[tokio::test]
async fn nobody_and_oneself_are_no_friends() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    for noun in ["friends", "blocks"] {
        for method in ["PUT", "DELETE"] {
            let nobody = world.ask(&ada, method, format!("/v1/{noun}/{}", UserId::now()), Value::Null).await;
            nobody.is(404, noun).fails("user_not_found");
            let oneself = world.ask(&ada, method, format!("/v1/{noun}/{}", ada.user), Value::Null).await;
            assert_eq!(oneself.is(400, noun).fails("validation_failed").field(), "user");
            let nonsense = world.ask(&ada, method, format!("/v1/{noun}/x"), Value::Null).await;
            assert_eq!(nonsense.fails("validation_failed").field(), "user");
        }
    }
    world.end().await;
}
