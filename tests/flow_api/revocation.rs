//! Ended sessions are refused everywhere at once.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use klatch_store::directory::{Revoke, Sessions};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    faulty_directory::Fault,
    world::{Call, PASSWORD, World, listen, next_revoked, walk},
};

#[tokio::test]
async fn the_list_shows_sessions_newest_first_and_each_can_be_ended() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let mut devices = vec![ada.session];
    for _ in 0..6 {
        devices.push(world.device(ada.user).await.0.session);
    }
    let sessions = walk(&world, &ada, "/v1/sessions", "sessions", 2).await;
    let ids: Vec<_> = sessions.iter().rev().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, devices.iter().map(ToString::to_string).collect::<Vec<_>>());
    let current: Vec<_> = sessions.iter().map(|session| session["current"] == json!(true)).collect();
    assert_eq!(current, [vec![false; 6], vec![true]].concat());
    let path = format!("/v1/sessions/{}", devices[3]);
    world.ask(&ada, "DELETE", path.clone(), Value::Null).await.is(204, "end");
    world.ask(&ada, "DELETE", path.clone(), Value::Null).await.is(204, "end again");
    assert_eq!(walk(&world, &ada, "/v1/sessions", "sessions", 50).await.len(), 6);
    // Somebody else's session is not there for anybody else.
    let eve = world.person("eve").await;
    world
        .ask(&eve, "DELETE", format!("/v1/sessions/{}", ada.session), Value::Null)
        .await
        .is(404, "eve")
        .fails("not_found");
    world.get(&ada, "/v1/users/me").await;
    world.end().await;
}

#[tokio::test]
async fn another_api_and_every_gateway_hear_of_it() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, _) = world.device(ada.user).await;
    let other = world.second_api().await;
    let mut events = listen(&world.bus.events).await;
    let at_other = || Call::new(other.router(), "GET", "/v1/users/me".to_owned()).token(&phone.token).send();
    at_other().await.is(200, "before");
    world.ask(&ada, "DELETE", format!("/v1/sessions/{}", phone.session), Value::Null).await.is(204, "end");
    assert_eq!(next_revoked(&mut events).await, phone.session);
    // The other api reads the same stream; nothing but its turn is waited for.
    let refused = async {
        while at_other().await.status != 401 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.expect("the other api hears of it");
    at_other().await.fails("session_revoked");
    other.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_crash_between_directory_and_news_is_made_good_by_a_start() {
    let mut world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, _) = world.device(ada.user).await;
    // What whoever died has left behind: ended in the directory, told to nobody.
    world.directory.revoke_sessions(ada.user, Revoke::Only(&[phone.session]), world.now()).await.unwrap();
    let mut events = listen(&world.bus.events).await;
    world.restart_api().await;
    assert_eq!(next_revoked(&mut events).await, phone.session);
    world.ask(&phone, "GET", "/v1/users/me", Value::Null).await.fails("session_revoked");
    world.end().await;
}

#[tokio::test]
async fn a_lost_answer_of_the_directory_is_repeated_to_the_end() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, _) = world.device(ada.user).await;
    let mut events = listen(&world.bus.events).await;
    world.directory.fail("revoke_sessions", Fault::After);
    let path = format!("/v1/sessions/{}", phone.session);
    world.ask(&ada, "DELETE", path.clone(), Value::Null).await.is(503, "lost").fails("busy");
    world.ask(&ada, "DELETE", path, Value::Null).await.is(204, "again");
    // Ended the first time, told the second: told all the same.
    assert_eq!(next_revoked(&mut events).await, phone.session);
    world.end().await;
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, _) = world.device(ada.user).await;
    let change =
        |old: &str, new: &str| world.ask(&ada, "PUT", "/v1/users/me/password", json!({"old": old, "new": new}));
    assert_eq!(change("wrong password", "a whole new one").await.is(403, "wrong").fails("not_allowed").field(), "old");
    change(PASSWORD, "short").await.fails("weak_password");
    world.get(&phone, "/v1/users/me").await;
    change(PASSWORD, "a whole new one").await.is(204, "change");
    world.ask(&phone, "GET", "/v1/users/me", Value::Null).await.fails("session_revoked");
    world.get(&ada, "/v1/users/me").await;
    let sign_in = |password: &str| {
        let body = json!({"username": "ada", "password": password, "device_name": "laptop"});
        world.call("POST", "/v1/sessions").json(&body).send()
    };
    sign_in(PASSWORD).await.fails("unauthenticated");
    sign_in("a whole new one").await.is(201, "sign in");
    world.end().await;
}

#[tokio::test]
async fn who_signs_in_with_the_old_password_while_it_is_changed_is_ended_too() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let gate = world.directory.hold("set_password");
    let body = json!({"old": PASSWORD, "new": "a whole new one"});
    let change = tokio::spawn(world.call("PUT", "/v1/users/me/password").token(&ada.token).json(&body).send());
    gate.reached.notified().await;
    // Checked before the change, made after its first look at the sessions.
    let (thief, _) = world.device(ada.user).await;
    world.get(&thief, "/v1/users/me").await;
    gate.open.notify_one();
    change.await.unwrap().is(204, "change");
    world.ask(&thief, "GET", "/v1/users/me", Value::Null).await.fails("session_revoked");
    world.get(&ada, "/v1/users/me").await;
    world.end().await;
}

#[tokio::test]
async fn a_deleted_user_leaves_groups_and_an_owner_behind() {
    let world = World::new().await;
    let (ada, bob, eve) = (world.person("ada").await, world.person("bob").await, world.person("eve").await);
    let (phone, _) = world.device(ada.user).await;
    let shared = world.group(&ada, "shared", &[&bob, &eve], "private").await;
    let alone = world.group(&ada, "alone", &[], "public").await;
    let direct = world.direct(&ada, &bob).await;
    world
        .ask(&ada, "PUT", format!("/v1/rooms/{shared}/members/{}", eve.user), json!({"role": "admin"}))
        .await
        .is(204, "admin");
    world.say(&ada, direct, "remember me").await.is(201, "say");
    world.ask(&ada, "DELETE", "/v1/users/me", Value::Null).await.is(204, "delete");
    for device in [&ada, &phone] {
        world.ask(device, "GET", "/v1/users/me", Value::Null).await.fails("session_revoked");
    }
    let members = world.get(&eve, format!("/v1/rooms/{shared}/members")).await;
    let roles: Vec<_> = members["members"].as_array().unwrap().iter().map(|member| member["role"].clone()).collect();
    assert_eq!(roles, ["member", "owner"], "{members}");
    // What she wrote stays, under a name nobody can sign in by.
    let room = world.get(&bob, format!("/v1/rooms/{direct}")).await;
    assert_eq!(room["room"]["last_message"]["content"]["text"], "remember me");
    assert_ne!(room["room"]["peer"]["username"], "ada");
    let public = world.get(&bob, "/v1/rooms/public").await;
    assert!(!public.to_string().contains(&alone.to_string()) || public["rooms"][0]["member_count"] == 0, "{public}");
    world.ask(&bob, "PUT", format!("/v1/friends/{}", ada.user), Value::Null).await.fails("user_not_found");
    let body = json!({"username": "ada", "password": PASSWORD});
    world.call("POST", "/v1/users").json(&body).send().await.is(201, "the name is free again");
    world.end().await;
}

/// A token without an end, made by whoever was let in before: the body comes when the session is over.
#[tokio::test]
async fn what_was_begun_before_the_end_is_not_done_after_it() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, _) = world.device(ada.user).await;
    let (send, sent) = oneshot::channel::<()>();
    let body = stream::once(async move { sent.await.map(|()| Bytes::from(r#"{"name": "for ever"}"#)) });
    let call = world.call("POST", "/v1/bot-tokens").token(&phone.token).header("content-type", "application/json");
    let mut call = Box::pin(call.raw(Body::from_stream(body)).send());
    assert!(futures_util::poll!(&mut call).is_pending(), "it waits for its body");
    world.ask(&ada, "DELETE", format!("/v1/sessions/{}", phone.session), Value::Null).await.is(204, "end");
    send.send(()).unwrap();
    call.await.is(401, "too late").fails("session_revoked");
    assert_eq!(world.get(&ada, "/v1/sessions").await["sessions"].as_array().unwrap().len(), 1, "nothing was made");
    world.end().await;
}
