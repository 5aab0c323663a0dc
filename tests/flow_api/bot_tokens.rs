//! Bot tokens.

use std::time::Duration;

use klatch_store::directory::Users;
use serde_json::{Value, json};

use super::world::{Answer, Person, World};

async fn create(world: &World, person: &Person, key: Option<&str>) -> Answer {
    let call = world.call("POST", "/v1/bot-tokens").token(&person.token).json(&json!({"name": "weather"}));
    match key {
        Some(key) => call.header("idempotency-key", key).send().await,
        None => call.send().await,
    }
}

#[tokio::test]
async fn a_bot_token_acts_for_its_owner_until_it_is_revoked() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let made = create(&world, &ada, None).await.is(201, "create").body;
    assert_eq!(made["name"], "weather");
    let token = made["bot_token"].as_str().unwrap();
    let bot = Person { token: token.to_owned(), ..ada.clone() };
    world.say(&bot, room, "rain").await.is(201, "say");
    assert_eq!(world.get(&bot, "/v1/users/me").await["id"], json!(ada.user));
    let exchange = || world.call("POST", "/v1/sessions/exchange").json(&json!({"bot_token": token})).send();
    let answer = exchange().await.is(200, "exchange");
    assert!(answer.body.get("refresh_token").is_none());
    let access = Person { token: answer.body["access_token"].as_str().unwrap().to_owned(), ..ada.clone() };
    world.get(&access, "/v1/users/me").await;
    let sessions = world.get(&ada, "/v1/sessions").await;
    assert_eq!(sessions["sessions"][0]["kind"], "bot_token");
    assert_eq!(sessions["sessions"][0]["id"], made["session_id"]);
    assert!(!sessions.to_string().contains(token));
    world
        .ask(&ada, "DELETE", format!("/v1/sessions/{}", made["session_id"].as_str().unwrap()), Value::Null)
        .await
        .is(204, "end");
    // At once, although it was in use a moment ago.
    for ended in [&bot, &access] {
        world.ask(ended, "GET", "/v1/users/me", Value::Null).await.is(401, "ended").fails("session_revoked");
    }
    exchange().await.fails("session_revoked");
    world.end().await;
}

#[tokio::test]
async fn what_is_no_bot_token_is_refused() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let made = create(&world, &ada, None).await.is(201, "create").body;
    let (good, session) = (made["bot_token"].as_str().unwrap(), made["session_id"].as_str().unwrap());
    let made_up = format!("kb1.{session}.{}", "A".repeat(43));
    let device = format!("kb1.{}.{}", ada.session, "A".repeat(43));
    for bad in ["kb1.", "kb1.x.y", &made_up, &device, &good[..good.len() - 1]] {
        world.call("GET", "/v1/users/me").token(bad).send().await.is(401, bad).fails("unauthenticated");
        world
            .call("POST", "/v1/sessions/exchange")
            .json(&json!({"bot_token": bad}))
            .send()
            .await
            .fails("unauthenticated");
    }
    // A cached one, too: the secret is compared every time.
    world.call("GET", "/v1/users/me").token(good).send().await.is(200, "good");
    world.call("GET", "/v1/users/me").token(&made_up).send().await.fails("unauthenticated");
    world
        .call("POST", "/v1/bot-tokens")
        .token(&ada.token)
        .json(&json!({"name": ""}))
        .send()
        .await
        .fails("validation_failed");
    world.end().await;
}

#[tokio::test]
async fn a_repeated_call_makes_one_token() {
    let mut world = World::new().await;
    let ada = world.person("ada").await;
    let (one, other) = tokio::join!(create(&world, &ada, Some("k")), create(&world, &ada, Some("k")));
    assert_eq!((one.status, &one.body), (201, &other.body));
    world.restart_api().await;
    assert_eq!(create(&world, &ada, Some("k")).await.body, one.body);
    let bob = world.person("bob").await;
    assert_ne!(create(&world, &bob, Some("k")).await.body["session_id"], one.body["session_id"]);
    let sessions = world.get(&ada, "/v1/sessions").await;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 2);
    world.call("GET", "/v1/users/me").token(one.body["bot_token"].as_str().unwrap()).send().await.is(200, "works");
    world.end().await;
}

#[tokio::test]
async fn a_disabled_owner_disables_it_and_there_is_a_bound() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    for _ in 0..100 {
        create(&world, &ada, None).await.is(201, "create");
    }
    create(&world, &ada, None).await.is(403, "one more").fails("not_allowed");
    let bob = world.person("bob").await;
    let made = create(&world, &bob, None).await.is(201, "create").body;
    let token = made["bot_token"].as_str().unwrap();
    world.call("GET", "/v1/users/me").token(token).send().await.is(200, "before");
    world.directory.set_disabled(bob.user, true).await.unwrap();
    world.advance(Duration::from_secs(11));
    world.call("GET", "/v1/users/me").token(token).send().await.fails("unauthenticated");
    world.end().await;
}
