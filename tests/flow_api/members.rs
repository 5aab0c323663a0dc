//! Members: adding, roles, leaving, what the list shows.

use std::collections::HashSet;

use klatch_bus::WatermarkMove;
use klatch_domain::{Position, UserId};
use klatch_store::directory::Users;
use serde_json::{Value, json};

use super::world::{World, walk};

#[tokio::test]
async fn members_come_rise_and_go() {
    let world = World::new().await;
    let (ada, bob, eve) = (world.person("ada").await, world.person("bob").await, world.person("eve").await);
    let room = world.group(&ada, "group", &[&bob], "private").await;
    let member = |user: UserId| format!("/v1/rooms/{room}/members/{user}");
    world.ask(&bob, "PUT", member(eve.user), Value::Null).await.is(403, "a member adds nobody").fails("not_allowed");
    world.ask(&ada, "PUT", member(bob.user), json!({"role": "admin"})).await.is(204, "admin");
    world.ask(&bob, "PUT", member(eve.user), Value::Null).await.is(204, "an admin adds");
    world.ask(&bob, "PUT", member(eve.user), json!({"role": "owner"})).await.fails("not_allowed");
    world.ask(&bob, "DELETE", member(ada.user), Value::Null).await.fails("not_allowed");
    world
        .ask(&ada, "DELETE", format!("/v1/rooms/{room}/members/me"), Value::Null)
        .await
        .is(409, "last")
        .fails("last_owner");
    world.ask(&ada, "PUT", member(UserId::now()), Value::Null).await.is(404, "nobody").fails("user_not_found");
    world.ask(&ada, "DELETE", member(UserId::now()), Value::Null).await.fails("user_not_found");
    world.ask(&ada, "PUT", member(eve.user), json!({"role": "king"})).await.fails("validation_failed");
    assert_eq!(
        world
            .ask(&ada, "PUT", format!("/v1/rooms/{room}/members/x"), Value::Null)
            .await
            .fails("validation_failed")
            .field(),
        "user"
    );
    world.ask(&ada, "PUT", member(bob.user), json!({"role": "owner"})).await.is(204, "owner");
    world.ask(&ada, "DELETE", format!("/v1/rooms/{room}/members/me"), Value::Null).await.is(204, "leave");
    world.ask(&ada, "GET", format!("/v1/rooms/{room}"), Value::Null).await.fails("room_not_found");
    let roles: Vec<_> = walk(&world, &bob, &format!("/v1/rooms/{room}/members"), "members", 50).await;
    let roles: HashSet<_> =
        roles.iter().map(|member| (member["user"]["username"].to_string(), member["role"].to_string())).collect();
    assert_eq!(
        roles,
        [("\"bob\"", "\"owner\""), ("\"eve\"", "\"member\"")].map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    );
    // A removed member sees nothing from the answer on.
    world.ask(&bob, "DELETE", member(eve.user), Value::Null).await.is(204, "remove");
    world
        .ask(&eve, "GET", format!("/v1/rooms/{room}/messages"), Value::Null)
        .await
        .is(404, "removed")
        .fails("room_not_found");
    let direct = world.direct(&bob, &eve).await;
    world.ask(&bob, "PUT", format!("/v1/rooms/{direct}/members/{}", ada.user), Value::Null).await.fails("not_allowed");
    world.end().await;
}

#[tokio::test]
async fn a_disabled_user_is_added_nowhere() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.group(&ada, "group", &[], "private").await;
    world.directory.set_disabled(bob.user, true).await.unwrap();
    world.ask(&ada, "PUT", format!("/v1/rooms/{room}/members/{}", bob.user), Value::Null).await.fails("user_not_found");
    world.ask(&ada, "POST", "/v1/rooms", json!({"kind": "direct", "user": bob.user})).await.fails("user_not_found");
    let group = json!({"kind": "group", "name": "x", "members": [bob.user]});
    world.ask(&ada, "POST", "/v1/rooms", group).await.fails("user_not_found");
    world.end().await;
}

#[tokio::test]
async fn the_list_is_walked_whole() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let mut others = Vec::new();
    for number in 0..20 {
        others.push(world.person(&format!("member{number}")).await);
    }
    let room = world.group(&ada, "group", &others.iter().collect::<Vec<_>>(), "private").await;
    let expected: HashSet<_> = others.iter().chain([&ada]).map(|person| person.user.to_string()).collect();
    for limit in [1, 7, 21, 200] {
        let members = walk(&world, &others[3], &format!("/v1/rooms/{room}/members"), "members", limit).await;
        let ids: Vec<_> = members.iter().map(|member| member["user"]["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 21);
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected);
    }
    world.end().await;
}

#[tokio::test]
async fn read_watermarks_show_unless_their_owner_hides_them_or_the_room_is_large() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.group(&ada, "group", &[&bob], "private").await;
    let head = world.say(&ada, room, "read me").await.is(201, "say").body["position"].clone();
    let position: Position = serde_json::from_value(head.clone()).unwrap();
    let moved = WatermarkMove { room, user: bob.user, session: bob.session, read: Some(position), delivered: None };
    world.bus.watermarks.publish(vec![moved]).await;
    let path = format!("/v1/rooms/{room}/members");
    let of_bob = async || {
        let members = walk(&world, &ada, &path, "members", 50).await;
        members.into_iter().find(|member| member["user"]["username"] == "bob").unwrap()
    };
    // message-service takes watermarks in its own time; the list is asked until it has.
    let seen = async {
        while of_bob().await["read"] != head {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), seen).await.expect("the watermark shows");
    world.ask(&bob, "PATCH", "/v1/users/me", json!({"read_receipts": false})).await.is(200, "hide");
    assert!(of_bob().await.get("read").is_none());
    let own = walk(&world, &bob, &path, "members", 50).await;
    assert!(
        own.iter().any(|member| member["user"]["username"] == "bob" && member["read"] == head),
        "one sees one's own"
    );
    for number in 0..31 {
        let more = world.person(&format!("more{number}")).await;
        world.ask(&ada, "PUT", format!("{path}/{}", more.user), Value::Null).await.is(204, "add");
    }
    let large = walk(&world, &ada, &path, "members", 50).await;
    assert!(
        large.len() == 33
            && large.iter().all(|member| member.get("read").is_none() && member.get("delivered").is_none())
    );
    world.end().await;
}
