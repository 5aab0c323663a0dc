//! Making, listing, finding, changing, deleting rooms.

use std::collections::HashSet;

use klatch_domain::{RoomId, UserId};
use serde_json::{Value, json};

use super::world::{World, walk};

#[tokio::test]
async fn there_is_one_direct_room_for_a_pair() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let body = json!({"kind": "direct", "user": bob.user});
    let made = world.ask(&ada, "POST", "/v1/rooms", body.clone()).await.is(201, "first");
    let room = &made.body["room"];
    assert_eq!(made.room(), RoomId::direct_of(ada.user, bob.user));
    assert_eq!((&room["kind"], &room["member_count"], &room["role"]), (&json!("direct"), &json!(2), &json!("member")));
    assert_eq!(room["peer"]["username"], "bob");
    assert!(room.get("name").is_none() && room.get("visibility").is_none());
    assert_eq!(world.ask(&ada, "POST", "/v1/rooms", body).await.is(200, "again").room(), made.room());
    let back = json!({"kind": "direct", "user": ada.user});
    let same = world.ask(&bob, "POST", "/v1/rooms", back).await.is(200, "from the other side");
    assert_eq!((same.room(), &same.body["room"]["peer"]["username"]), (made.room(), &json!("ada")));
    // It is in both lists as soon as it was answered.
    for person in [&ada, &bob] {
        let rooms = world.get(person, "/v1/rooms").await;
        assert_eq!(rooms["rooms"][0]["id"], json!(made.room()));
    }
    for (body, code) in [
        (json!({"kind": "direct", "user": UserId::now()}), "user_not_found"),
        (json!({"kind": "direct", "user": ada.user}), "validation_failed"),
        (json!({"kind": "direct", "user": "x"}), "validation_failed"),
        (json!({"kind": "inbox"}), "validation_failed"),
        (json!({}), "validation_failed"),
    ] {
        world.ask(&ada, "POST", "/v1/rooms", body).await.fails(code);
    }
    world.end().await;
}

#[tokio::test]
async fn a_group_has_a_name_members_and_an_owner() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let body = json!({"kind": "group", "name": " Lunch ", "members": [bob.user, bob.user, ada.user]});
    let room = world.ask(&ada, "POST", "/v1/rooms", body).await.is(201, "group");
    assert_eq!(room.body["room"]["name"], "Lunch");
    assert_eq!((&room.body["room"]["visibility"], &room.body["room"]["member_count"]), (&json!("private"), &json!(2)));
    assert_eq!(room.body["room"]["role"], "owner");
    let seen = world.get(&bob, format!("/v1/rooms/{}", room.room())).await;
    assert_eq!(seen["room"]["role"], "member");
    assert_eq!(world.inbox_of(&bob, 1).await, [("member_joined".to_owned(), json!({"room": room.room()}))]);
    let many: Vec<_> = (0..5_001).map(|_| UserId::now()).collect();
    for (body, code, field) in [
        (json!({"kind": "group", "name": ""}), "validation_failed", "name"),
        (json!({"kind": "group", "name": "x".repeat(101)}), "validation_failed", "name"),
        (json!({"kind": "group", "name": "x", "members": [UserId::now()]}), "user_not_found", "members"),
        (json!({"kind": "group", "name": "x", "members": many}), "validation_failed", "members"),
        (json!({"kind": "group", "name": "x", "visibility": "secret"}), "validation_failed", ""),
    ] {
        let answer = world.ask(&ada, "POST", "/v1/rooms", body).await.fails(code);
        assert!(field.is_empty() || answer.field() == field, "{}", answer.text);
    }
    assert_eq!(walk(&world, &ada, "/v1/rooms", "rooms", 50).await.len(), 1, "what was refused left nothing behind");
    world.end().await;
}

#[tokio::test]
async fn a_repeated_call_makes_one_group() {
    let mut world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let body = json!({"kind": "group", "name": "lunch", "members": [bob.user]});
    let make = |world: &World, token: &str| {
        world.call("POST", "/v1/rooms").token(token).header("idempotency-key", "k").json(&body).send()
    };
    let (one, other) = tokio::join!(make(&world, &ada.token), make(&world, &ada.token));
    assert_eq!(one.room(), other.room());
    world.restart_api().await;
    assert_eq!(make(&world, &ada.token).await.room(), one.room());
    assert_ne!(make(&world, &bob.token).await.is(201, "another's key").room(), one.room());
    assert_eq!(walk(&world, &ada, "/v1/rooms", "rooms", 50).await.len(), 1);
    assert_eq!(world.inbox_of(&bob, 2).await.len(), 2, "one invitation, and his own group");
    world.end().await;
}

#[tokio::test]
async fn the_list_is_walked_whole_and_shows_what_is_unread() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let mut expected = HashSet::new();
    for number in 0..12 {
        expected.insert(world.group(&bob, &format!("group {number}"), &[&ada], "private").await.to_string());
    }
    expected.insert(world.direct(&ada, &bob).await.to_string());
    for limit in [1, 5, 13, 200] {
        let rooms = walk(&world, &ada, "/v1/rooms", "rooms", limit).await;
        let ids: Vec<_> = rooms.iter().map(|room| room["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 13);
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected);
    }
    let room = world.direct(&ada, &bob).await;
    for text in ["one", "two", "three"] {
        world.say(&bob, room, text).await.is(201, "say");
    }
    let seen = world.get(&ada, format!("/v1/rooms/{room}")).await["room"].clone();
    let unread = seen["head_ordinal"].as_u64().unwrap() - seen["read_ordinal"].as_u64().unwrap();
    assert_eq!((unread, &seen["last_message"]["content"]["text"]), (3, &json!("three")));
    world.end().await;
}

#[tokio::test]
async fn public_groups_are_found_and_joined() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let mut expected = HashSet::new();
    for number in 0..9 {
        // Two of each name: a name alone is no key.
        expected.insert(world.group(&ada, &format!("Chess {}", number / 2), &[], "public").await.to_string());
    }
    world.group(&ada, "Chess secret", &[], "private").await;
    for limit in [1, 4, 9, 100] {
        let found = walk(&world, &bob, "/v1/rooms/public?query=chess", "rooms", limit).await;
        let ids: Vec<_> = found.iter().map(|room| room["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 9, "{limit} a page");
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected);
    }
    assert_eq!(walk(&world, &bob, "/v1/rooms/public?query=none", "rooms", 10).await.len(), 0);
    let room = world.get(&bob, "/v1/rooms/public?query=chess%204").await["rooms"][0].clone();
    assert_eq!((&room["name"], &room["member_count"]), (&json!("Chess 4"), &json!(1)));
    let id = room["id"].as_str().unwrap();
    world.ask(&bob, "GET", format!("/v1/rooms/{id}"), Value::Null).await.fails("room_not_found");
    for _ in 0..2 {
        world.ask(&bob, "PUT", format!("/v1/rooms/{id}/members/me"), Value::Null).await.is(204, "join");
    }
    assert_eq!(world.get(&bob, format!("/v1/rooms/{id}")).await["room"]["member_count"], 2);
    world.end().await;
}

#[tokio::test]
async fn owners_and_admins_change_a_group() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.group(&ada, "old", &[&bob], "private").await;
    let path = format!("/v1/rooms/{room}");
    world.ask(&bob, "PATCH", path.clone(), json!({"name": "mine"})).await.is(403, "member").fails("not_allowed");
    world.ask(&bob, "DELETE", path.clone(), Value::Null).await.fails("not_allowed");
    let changed =
        world.ask(&ada, "PATCH", path.clone(), json!({"name": "new", "visibility": "public"})).await.is(200, "change");
    assert_eq!((&changed.body["room"]["name"], &changed.body["room"]["visibility"]), (&json!("new"), &json!("public")));
    assert_eq!(
        world.ask(&ada, "PATCH", path.clone(), json!({"name": ""})).await.fails("validation_failed").field(),
        "name"
    );
    let found = world.get(&bob, "/v1/rooms/public?query=new").await;
    assert_eq!(found["rooms"][0]["id"], json!(room));
    let direct = world.direct(&ada, &bob).await;
    world.ask(&ada, "PATCH", format!("/v1/rooms/{direct}"), json!({"name": "x"})).await.fails("not_allowed");
    world.ask(&ada, "DELETE", path.clone(), Value::Null).await.is(204, "delete");
    for person in [&ada, &bob] {
        world.ask(person, "GET", path.clone(), Value::Null).await.fails("room_not_found");
        world.ask(person, "GET", format!("{path}/messages"), Value::Null).await.fails("room_not_found");
        assert_eq!(walk(&world, person, "/v1/rooms", "rooms", 50).await.len(), 1);
    }
    assert_eq!(world.get(&bob, "/v1/rooms/public?query=new").await["rooms"], json!([]));
    world.end().await;
}

#[tokio::test]
async fn preferences_are_ones_own_and_reach_ones_devices() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let path = format!("/v1/rooms/{room}/preferences");
    let set = world.ask(&ada, "PATCH", path.clone(), json!({"notify": "mentions", "marked_unread": true})).await;
    assert_eq!(set.is(200, "set").body, json!({"notify": "mentions", "marked_unread": true}));
    let set = world.ask(&ada, "PATCH", path.clone(), json!({"hidden": true})).await;
    assert_eq!(set.is(200, "more").body, json!({"notify": "mentions", "hidden": true, "marked_unread": true}));
    let seen = world.get(&ada, format!("/v1/rooms/{room}")).await["room"].clone();
    assert_eq!((&seen["preferences"]["notify"], &seen["marked_unread"]), (&json!("mentions"), &json!(true)));
    assert_eq!(world.get(&bob, format!("/v1/rooms/{room}")).await["room"]["preferences"], json!({"notify": "all"}));
    let notice = ("preferences_changed".to_owned(), json!({"room": room}));
    // The room, and each change.
    assert_eq!(world.inbox_of(&ada, 3).await.iter().filter(|entry| **entry == notice).count(), 2);
    assert!(!world.inbox(&bob).await.contains(&notice));
    world.ask(&ada, "PATCH", path, json!({"notify": "sometimes"})).await.fails("validation_failed");
    world.end().await;
}
