//! Rate limits.

use std::{task::Poll, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use klatch_settings::{ApiSettings, Limits};
use serde_json::{Value, json};

use super::world::{Call, PASSWORD, World};

fn limited(limits: Limits) -> ApiSettings {
    ApiSettings { limits, ..ApiSettings::default() }
}

#[tokio::test]
async fn failed_sign_ins_make_sign_in_wait() {
    let world = World::with(limited(Limits { failed_sign_ins: 3, ..Limits::default() })).await;
    let ada = world.person("ada").await;
    let sign_in = |password: &str, from: &str| {
        let body = json!({"username": "ada", "password": password, "device_name": "laptop"});
        world.call("POST", "/v1/sessions").peer(from).json(&body).send()
    };
    for _ in 0..3 {
        sign_in("wrong password", "192.0.2.9").await.fails("unauthenticated");
    }
    let hashes = world.api.password_hashes();
    let wait = sign_in(PASSWORD, "192.0.2.9").await.is(429, "the right one waits, too").fails("rate_limited");
    assert_eq!(wait.headers["retry-after"], "900");
    assert_eq!(world.api.password_hashes(), hashes, "a refused one costs no hash");
    sign_in(PASSWORD, "192.0.2.10").await.is(201, "she is not locked out");
    world.get(&ada, "/v1/users/me").await;
    world.advance(Duration::from_secs(15 * 60));
    sign_in(PASSWORD, "192.0.2.9").await.is(201, "later");
    world.end().await;
}

#[tokio::test]
async fn calls_without_a_valid_token_are_counted_by_address() {
    let world = World::with(limited(Limits { unauthenticated_per_minute: 5, ..Limits::default() })).await;
    let ada = world.person("ada").await;
    for number in 0..5 {
        // Neither an open call nor a made-up token gets around it.
        let call = world.call("GET", ["/", "/v1/users/me", "/v1/nowhere"][number % 3]);
        let call = if number % 2 == 0 { call } else { call.token("made.up.token") };
        assert_ne!(call.send().await.status, 429);
    }
    for call in [
        world.call("GET", "/"),
        world.call("GET", "/v1/users/me").token("made.up.token"),
        world.call("POST", "/v1/sessions"),
    ] {
        call.send().await.is(429, "enough").fails("rate_limited");
    }
    world.get(&ada, "/v1/users/me").await;
    world.call("GET", "/").peer("192.0.2.77").send().await.is(200, "elsewhere");
    world.advance(Duration::from_secs(12));
    world.call("GET", "/").send().await.is(200, "one more in 12 s");
    world.call("GET", "/").send().await.is(429, "and no two");
    world.end().await;
}

#[tokio::test]
async fn limits_hold_over_all_replicas() {
    let limits = Limits { unauthenticated_per_minute: 10, failed_sign_ins: 2, ..Limits::default() };
    let world = World::with(limited(limits)).await;
    world.person("ada").await;
    let other = world.second_api().await;
    let sign_in = |router: axum::Router, password: &str| {
        let body = json!({"username": "ada", "password": password, "device_name": "laptop"});
        Call::new(router, "POST", "/v1/sessions".to_owned()).json(&body).send()
    };
    sign_in(world.api.router(), "wrong password").await.fails("unauthenticated");
    sign_in(other.router(), "wrong password").await.fails("unauthenticated");
    for router in [world.api.router(), other.router()] {
        sign_in(router, PASSWORD).await.is(429, "two replicas are no two chances").fails("rate_limited");
    }
    world.advance(Duration::from_secs(15 * 60));
    sign_in(other.router(), PASSWORD).await.is(201, "later");
    for _ in 0..5 {
        sign_in(world.api.router(), PASSWORD).await.is(201, "who knows the password is not counted");
    }
    world.advance(Duration::from_secs(60));
    for number in 0..10 {
        let router = if number % 2 == 0 { world.api.router() } else { other.router() };
        Call::new(router, "GET", "/".to_owned()).send().await.is(200, "ten a minute, wherever");
    }
    Call::new(other.router(), "GET", "/".to_owned()).send().await.is(429, "half of them were elsewhere");
    other.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_forwarded_address_counts_from_trusted_proxies_only() {
    let limits = Limits { unauthenticated_per_minute: 1, ..Limits::default() };
    let world = World::with(ApiSettings { trusted_proxies: vec!["10.0.0.0/8".to_owned()], ..limited(limits) }).await;
    let get =
        |peer: &str, forwarded: &str| world.call("GET", "/").peer(peer).header("x-forwarded-for", forwarded).send();
    get("10.0.0.1", "198.51.100.1").await.is(200, "one client");
    get("10.0.0.1", "198.51.100.2").await.is(200, "another");
    get("10.0.0.2", "203.0.113.5, 198.51.100.1").await.is(429, "the first again, whatever it wrote before");
    get("192.0.2.1", "198.51.100.3").await.is(200, "no proxy of ours");
    get("192.0.2.1", "198.51.100.4").await.is(429, "the same peer");
    world.end().await;
}

#[tokio::test]
async fn calls_of_one_user_are_bounded_by_cost() {
    let world = World::with(limited(Limits { calls_per_second: 10, ..Limits::default() })).await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    for _ in 0..10 {
        world.get(&ada, "/v1/users/me").await;
    }
    let wait = world.ask(&ada, "GET", "/v1/users/me", Value::Null).await.is(429, "enough").fails("rate_limited");
    assert_eq!(wait.headers["retry-after"], "1");
    world.get(&bob, "/v1/users/me").await;
    // A sync of 500 rooms is ten calls more.
    world.advance(Duration::from_secs(60));
    let rooms: Vec<_> = (0..450).map(|_| json!({"room": bob.user, "position": {"generation": 0, "seq": 0}})).collect();
    world.ask(&ada, "POST", "/v1/sync", json!({"rooms": rooms})).await.is(200, "sync");
    world.ask(&ada, "GET", "/v1/users/me", Value::Null).await.is(429, "it cost all there was");
    world.end().await;
}

/// The calls' places are not for whoever lets them hang.
#[tokio::test]
async fn calls_that_hang_take_no_place_from_other_addresses() {
    /// More than any address has.
    const MANY: usize = 1_024;
    let world = World::with(limited(Limits::default())).await;
    let never = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let hang = || world.call("POST", "/v1/sessions").header("content-type", "application/json").raw(never()).send();
    let mut hanging: Vec<_> = (0..MANY).map(|_| Box::pin(hang())).collect();
    let mut refused = 0;
    for call in &mut hanging {
        if let Poll::Ready(answer) = futures_util::poll!(call) {
            answer.is(429, "too many of its own").fails("rate_limited");
            refused += 1;
        }
    }
    assert!(refused >= MANY / 2, "{refused}");
    let body = json!({"username": "ada", "password": PASSWORD, "device_name": "laptop"});
    let other = world.call("POST", "/v1/sessions").peer("192.0.2.9").json(&body).send().await;
    other.is(401, "somebody else is answered").fails("unauthenticated");
    drop(hanging);
    world.call("POST", "/v1/sessions").json(&body).send().await.is(401, "and so is the address, later");
    world.end().await;
}
