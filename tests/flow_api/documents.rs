//! The page, the OpenAPI document, the key set.

use std::collections::HashSet;

use klatch_domain::UserId;
use serde_json::{Value, json};

use super::world::World;

#[tokio::test]
async fn the_page_is_safe_and_says_how_to_begin() {
    let world = World::new().await;
    let page = world.call("GET", "/").send().await.is(200, "page");
    let header = |name: &str| page.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(
        (header("x-content-type-options"), header("referrer-policy")),
        ("nosniff".to_owned(), "no-referrer".to_owned())
    );
    assert!(
        !page.text.contains("<script") && !page.text.contains("style=") && !page.text.contains(" on"),
        "{}",
        page.text
    );
    for part in [
        "curl http://chat.example.org/v1/users",
        "klatch sign-in",
        "/v1/openapi.json",
        "viewport",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(page.text.contains(part), "{part}");
    }
    world.end().await;
}

#[tokio::test]
async fn keys_verify_what_the_server_signs() {
    let world = World::new().await;
    let answer = world.call("GET", "/.well-known/jwks.json").send().await.is(200, "keys");
    assert_eq!(answer.body["keys"][0]["kty"], "OKP");
    assert_eq!(answer.body, world.keys.jwks());
    world.end().await;
}

#[tokio::test]
async fn every_call_of_the_document_is_there_and_none_is_missing() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let document = world.call("GET", "/v1/openapi.json").send().await.is(200, "document").body;
    assert_eq!(document["openapi"], "3.1.0");
    let mut calls = HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            calls.insert(format!("{} {path}", method.to_uppercase()));
            let default = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"];
            assert_eq!(default["$ref"], "#/components/schemas/Problem", "{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
            let there = path.replace("{id}", &UserId::now().to_string()).replace("{user}", &UserId::now().to_string());
            let open = operation["security"] == json!([]);
            let answer = world.call(&method.to_uppercase(), there.clone()).send().await;
            assert!(![404, 405].contains(&answer.status), "{method} {path}: {}", answer.text);
            if open {
                assert!(
                    !answer.body["detail"].as_str().unwrap_or_default().contains("Authorization"),
                    "{method} {path}"
                );
            } else {
                answer.is(401, &there).fails("unauthenticated");
            }
        }
    }
    // protocol.md section 1, line by line.
    for call in [
        "POST /v1/users",
        "POST /v1/sessions",
        "PUT /v1/users/me/password",
        "DELETE /v1/users/me",
        "POST /v1/sessions/refresh",
        "GET /v1/sessions",
        "DELETE /v1/sessions/{id}",
        "GET /v1/users/me",
        "PATCH /v1/users/me",
        "GET /v1/users/{id}",
        "GET /v1/users",
        "GET /v1/friends",
        "PUT /v1/friends/{user}",
        "DELETE /v1/friends/{user}",
        "PUT /v1/blocks/{user}",
        "DELETE /v1/blocks/{user}",
        "POST /v1/rooms",
        "GET /v1/rooms/public",
        "PUT /v1/rooms/{id}/members/{user}",
        "PATCH /v1/rooms/{id}/preferences",
        "GET /v1/rooms",
        "GET /v1/rooms/{id}",
        "PATCH /v1/rooms/{id}",
        "DELETE /v1/rooms/{id}",
        "GET /v1/rooms/{id}/members",
        "DELETE /v1/rooms/{id}/members/{user}",
        "GET /v1/rooms/{id}/messages",
        "POST /v1/rooms/{id}/messages",
        "POST /v1/sync",
        "GET /.well-known/jwks.json",
        "GET /v1/openapi.json",
        "POST /v1/bot-tokens",
        "POST /v1/sessions/exchange",
    ] {
        assert!(calls.contains(call), "{call} is not in the document");
    }
    let tokens = document["components"]["securitySchemes"]["bearer"].clone();
    assert_eq!((&tokens["type"], &tokens["scheme"]), (&json!("http"), &json!("bearer")));
    world.ask(&ada, "GET", "/v1/users/me", Value::Null).await.is(200, "nothing happened to her");
    world.end().await;
}
