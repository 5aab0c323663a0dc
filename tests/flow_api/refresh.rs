//! Refresh tokens: each works once, reuse ends the session, a lost reply does not.

use std::time::Duration;

use klatch_identity::RefreshToken;
use klatch_store::directory::{Sessions, Users};
use serde_json::json;

use super::{
    faulty_directory::Fault,
    world::{Answer, PASSWORD, World, listen, next_revoked},
};

async fn refresh(world: &World, token: &str, key: Option<&str>) -> Answer {
    let call = world.call("POST", "/v1/sessions/refresh").json(&json!({"refresh_token": token}));
    match key {
        Some(key) => call.header("idempotency-key", key).send().await,
        None => call.send().await,
    }
}

fn next(answer: &Answer) -> String {
    answer.body["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_works_once_and_reuse_ends_the_session_for_everyone() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, first) = world.device(ada.user).await;
    let answer = refresh(&world, &first.reveal(), None).await.is(200, "refresh");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let (token, second) = (answer.body["access_token"].as_str().unwrap().to_owned(), next(&answer));
    world.call("GET", "/v1/users/me").token(&token).send().await.is(200, "me");
    let third = next(&refresh(&world, &second, None).await.is(200, "refresh again"));
    let mut events = listen(&world.bus.events).await;
    refresh(&world, &first.reveal(), None).await.is(401, "reuse").fails("session_revoked");
    assert_eq!(next_revoked(&mut events).await, phone.session);
    world.call("GET", "/v1/users/me").token(&token).send().await.fails("session_revoked");
    refresh(&world, &third, None).await.fails("session_revoked");
    // Other sessions of hers live on.
    world.get(&ada, "/v1/users/me").await;
    world.end().await;
}

#[tokio::test]
async fn a_made_up_token_of_a_known_session_changes_nothing() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, first) = world.device(ada.user).await;
    let second = next(&refresh(&world, &first.reveal(), None).await.is(200, "refresh"));
    // Session ids stand in every entry: whoever reads one can write this.
    let made_up = RefreshToken::first(phone.session).unwrap().reveal();
    refresh(&world, &made_up, None).await.is(401, "made up").fails("unauthenticated");
    refresh(&world, &made_up, Some("k")).await.fails("unauthenticated");
    for text in ["", "kr1", "nonsense", &phone.token] {
        refresh(&world, text, None).await.fails("unauthenticated");
    }
    refresh(&world, &second, None).await.is(200, "the real one");
    world.end().await;
}

#[tokio::test]
async fn a_lost_reply_is_given_again_with_the_same_key_also_after_a_restart() {
    let mut world = World::new().await;
    let ada = world.person("ada").await;
    let (_, first) = world.device(ada.user).await;
    let answer = refresh(&world, &first.reveal(), Some("k")).await.is(200, "refresh");
    world.restart_api().await;
    world.advance(Duration::from_secs(59));
    let again = refresh(&world, &first.reveal(), Some("k")).await.is(200, "again");
    assert_eq!(again.body, answer.body);
    // The token of the answer works, and having asked twice did no harm.
    refresh(&world, &next(&answer), Some("k")).await.is(200, "on");
    // Another key is no repeat.
    refresh(&world, &first.reveal(), Some("other")).await.fails("session_revoked");
    world.end().await;
}

#[tokio::test]
async fn after_a_minute_a_repeat_is_reuse() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (_, first) = world.device(ada.user).await;
    refresh(&world, &first.reveal(), Some("k")).await.is(200, "refresh");
    world.advance(Duration::from_secs(61));
    refresh(&world, &first.reveal(), Some("k")).await.fails("session_revoked");
    world.end().await;
}

#[tokio::test]
async fn a_crash_between_any_two_writes_loses_no_session() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    for (method, fault) in [
        ("keep_reply", Fault::Before),
        ("keep_reply", Fault::After),
        ("rotate_secret", Fault::Before),
        ("rotate_secret", Fault::After),
    ] {
        let (_, first) = world.device(ada.user).await;
        world.directory.fail(method, fault);
        refresh(&world, &first.reveal(), Some("k")).await.is(503, method).fails("busy");
        let answer = refresh(&world, &first.reveal(), Some("k")).await.is(200, method);
        refresh(&world, &next(&answer), None).await.is(200, method);
    }
    world.end().await;
}

#[tokio::test]
async fn two_at_the_same_time_are_one_with_a_key_and_reuse_without() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (_, first) = world.device(ada.user).await;
    let text = first.reveal();
    let (one, other) = tokio::join!(refresh(&world, &text, Some("k")), refresh(&world, &text, Some("k")));
    assert_eq!((one.status, other.status), (200, 200));
    assert_eq!(one.body["refresh_token"], other.body["refresh_token"]);
    refresh(&world, &next(&one), None).await.is(200, "on");

    let (tablet, first) = world.device(ada.user).await;
    let text = first.reveal();
    let (one, other) = tokio::join!(refresh(&world, &text, None), refresh(&world, &text, None));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    assert!(world.directory.session(tablet.session).await.unwrap().unwrap().revoked_at.is_some());
    world.end().await;
}

#[tokio::test]
async fn what_the_directory_keeps_holds_no_usable_secret() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (phone, first) = world.device(ada.user).await;
    let answer = refresh(&world, &first.reveal(), Some("k")).await.is(200, "refresh");
    let stored = world.directory.session(phone.session).await.unwrap().unwrap();
    let secret = next(&answer).rsplit('.').next().unwrap().to_owned();
    assert!(!format!("{stored:?}").contains(&secret));
    let folder = world.data_folder();
    world.end().await;
    for file in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        let found = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found(&secret) && !found(answer.body["access_token"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn it_expires_and_a_disabled_user_gets_nothing() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (_, first) = world.device(ada.user).await;
    world.directory.set_disabled(ada.user, true).await.unwrap();
    refresh(&world, &first.reveal(), None).await.fails("unauthenticated");
    world.directory.set_disabled(ada.user, false).await.unwrap();
    let second = next(&refresh(&world, &first.reveal(), None).await.is(200, "refresh"));
    world.advance(Duration::from_secs(91 * 24 * 3600));
    refresh(&world, &second, None).await.is(401, "old").fails("token_expired");
    world.end().await;
}

#[tokio::test]
async fn a_browser_keeps_it_in_a_cookie() {
    let world = World::new().await;
    world.person("ada").await;
    let body = json!({"username": "ada", "password": PASSWORD, "device_name": "browser", "cookie": true});
    let answer = world.call("POST", "/v1/sessions").json(&body).send().await.is(201, "sign in");
    assert!(answer.body.get("refresh_token").is_none());
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/v1/sessions/refresh", "Max-Age=7776000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap().to_owned();
    let call = |pair: &str| world.call("POST", "/v1/sessions/refresh").header("cookie", pair);
    let answer = call(&pair).send().await.is(200, "an empty body");
    assert!(answer.body.get("refresh_token").is_none());
    let newer = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let answer = call(&newer).json(&json!({})).send().await.is(200, "an empty object");
    let newest = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let reuse = call(&pair).send().await.is(401, "reuse").fails("session_revoked");
    assert!(reuse.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    call(&newest).send().await.fails("session_revoked");
    world.call("POST", "/v1/sessions/refresh").send().await.fails("unauthenticated");
    world.end().await;
}
