//! Bad input: a clear problem, a bounded cost, nothing changed.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{World, unlimited};

#[tokio::test]
async fn bodies_are_checked_before_anything_else() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let post = |media_type: &str, body: Vec<u8>| {
        world.call("POST", "/v1/rooms").token(&ada.token).header("content-type", media_type).raw(body).send()
    };
    let deep = [b"{\"kind\":".repeat(5_000), b"1".to_vec(), b"}".repeat(5_000)].concat();
    for (body, status, code) in [
        (b"{".to_vec(), 400, "validation_failed"),
        (b"".to_vec(), 400, "validation_failed"),
        (b"null".to_vec(), 400, "validation_failed"),
        (b"{}{}".to_vec(), 400, "validation_failed"),
        (b"\xff\xfe{}".to_vec(), 400, "validation_failed"),
        (b"{\"kind\":\"gro\xffup\"}".to_vec(), 400, "validation_failed"),
        (deep, 400, "validation_failed"),
        (b"[".repeat(200_000), 400, "validation_failed"),
        (b" ".repeat(256 * 1024 + 1), 413, "content_too_large"),
    ] {
        post("application/json", body).await.is(status, code).fails(code);
    }
    post("text/plain", b"{}".to_vec()).await.is(415, "media type").fails("unsupported_media_type");
    world.call("POST", "/v1/rooms").token(&ada.token).raw("{}").send().await.fails("unsupported_media_type");
    let announced = world.call("POST", "/v1/rooms").token(&ada.token).header("content-length", "99999999999");
    announced.send().await.is(413, "announced").fails("content_too_large");
    world
        .call("POST", "/v1/sync")
        .token(&ada.token)
        .json(&json!({"x": "y".repeat(130 * 1024)}))
        .send()
        .await
        .is(413, "sync");
    // A token is asked for before a body is read.
    world.call("POST", "/v1/rooms").raw(vec![b'x'; 300_000]).send().await.is(401, "no token").fails("unauthenticated");
    assert_eq!(world.get(&ada, "/v1/rooms").await["rooms"], json!([]));
    world.end().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_have_problems_too() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    for path in ["/v1/nowhere", "/v2/users", "/v1/rooms/", "/index.php", "/v1/rooms/public/x"] {
        world.ask(&ada, "GET", path, Value::Null).await.is(404, path).fails("not_found");
        world.call("POST", path).send().await.is(404, path).fails("not_found");
    }
    for (method, path, allow) in [
        ("PUT", "/v1/rooms", vec!["GET", "HEAD", "POST"]),
        ("GET", "/v1/sync", vec!["POST"]),
        ("POST", "/v1/users/me", vec!["DELETE", "GET", "HEAD", "PATCH"]),
        ("BREW", "/", vec!["GET", "HEAD"]),
    ] {
        let answer = world.ask(&ada, method, path, Value::Null).await.is(405, path).fails("method_not_allowed");
        let mut allowed: Vec<_> = answer.headers["allow"].to_str().unwrap().split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, allow, "{method} {path}");
    }
    for path in ["/v1/rooms/x", "/v1/rooms/%FF", "/v1/rooms/..%2f..", "/v1/rooms/x/messages", "/v1/users/x"] {
        world.ask(&ada, "GET", path, Value::Null).await.is(400, path).fails("validation_failed");
    }
    world.end().await;
}

#[tokio::test]
async fn tokens_are_refused_by_what_is_wrong_with_them() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let get = |header: String| world.call("GET", "/v1/users/me").header("authorization", &header).send();
    world.call("GET", "/v1/users/me").send().await.is(401, "none").fails("unauthenticated");
    for header in ["", "Bearer", "Bearer ", "Basic YWRhOng=", "Bearer x.y.z", &format!("Bearer {}x", ada.token)] {
        get(header.to_owned()).await.is(401, header).fails("unauthenticated");
    }
    get(format!("bearer {}", ada.token)).await.is(200, "the scheme's case is free");
    world.advance(Duration::from_secs(15 * 60));
    get(format!("Bearer {}", ada.token)).await.is(401, "old").fails("token_expired");
    world.end().await;
}

#[tokio::test]
async fn a_trace_is_carried_or_begun() {
    let world = World::with(unlimited()).await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let call = |parent: &str| world.call("GET", "/v1/nowhere").header("traceparent", parent).send();
    let answer = call(&format!("00-{id}-00f067aa0ba902b7-01")).await.fails("not_found");
    assert_eq!((&answer.body["trace_id"], answer.headers["trace-id"].to_str().unwrap()), (&json!(id), id));
    let answer = call("00-nonsense").await.fails("not_found");
    assert_eq!(answer.body["trace_id"].as_str().unwrap().len(), 32);
    assert_ne!(answer.body["trace_id"], call("").await.body["trace_id"]);
    world.end().await;
}
