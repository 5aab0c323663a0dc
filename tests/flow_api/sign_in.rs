//! Signing up and in.

use klatch_settings::{ApiSettings, SignUp};
use klatch_store::directory::Users;
use serde_json::{Value, json};

use super::world::{Answer, PASSWORD, World, unlimited};

async fn sign_up(world: &World, body: &Value) -> Answer {
    world.call("POST", "/v1/users").json(body).send().await
}

async fn sign_in(world: &World, name: &str, password: &str) -> Answer {
    let body = json!({"username": name, "password": password, "device_name": "laptop"});
    world.call("POST", "/v1/sessions").json(&body).send().await
}

#[tokio::test]
async fn somebody_signs_up_and_in_and_out() {
    let world = World::new().await;
    let body = json!({"username": "Ada", "password": PASSWORD, "display_name": "Ada L.", "email": "ada@example.org"});
    let user = sign_up(&world, &body).await.is(201, "sign up").body["user"].clone();
    assert_eq!(user["username"], "ada");
    assert_eq!((&user["display_name"], &user["email"]), (&json!("Ada L."), &json!("ada@example.org")));
    let answer = sign_in(&world, "ADA", PASSWORD).await.is(201, "sign in");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.body["user"]["id"], user["id"]);
    assert_eq!(answer.body["expires_in_seconds"], 900);
    assert!(answer.body["refresh_token"].as_str().unwrap().starts_with("kr1."));
    let token = answer.body["access_token"].as_str().unwrap();
    let me = world.call("GET", "/v1/users/me").token(token).send().await.is(200, "me").body;
    assert_eq!(me, user);
    let path = format!("/v1/sessions/{}", answer.body["session_id"].as_str().unwrap());
    world.call("DELETE", path).token(token).send().await.is(204, "sign out");
    world.call("GET", "/v1/users/me").token(token).send().await.is(401, "me").fails("session_revoked");
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_a_user_is_refused() {
    let world = World::new().await;
    world.person("ada").await;
    let good = json!({"username": "bob", "password": PASSWORD, "email": "bob@example.org"});
    for (field, value, code, named) in [
        ("username", json!("ada"), "username_taken", "username"),
        ("username", json!("ADA "), "username_taken", "username"),
        ("username", json!("a b"), "validation_failed", "username"),
        ("username", json!(""), "validation_failed", "username"),
        ("password", json!("short"), "weak_password", ""),
        ("password", json!("password123"), "weak_password", ""),
        ("display_name", json!("a\u{202e}b"), "validation_failed", "display_name"),
        ("email", json!("nowhere"), "validation_failed", "email"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = sign_up(&world, &body).await.fails(code);
        assert_eq!(answer.field(), named, "{body}");
    }
    sign_up(&world, &good).await.is(201, "bob");
    let same_address = json!({"username": "eve", "password": PASSWORD, "email": "BOB@example.org"});
    assert_eq!(sign_up(&world, &same_address).await.fails("validation_failed").field(), "email");
    world.end().await;
}

#[tokio::test]
async fn a_closed_server_takes_nobody() {
    let world = World::with(ApiSettings { sign_up: SignUp::Closed, ..unlimited() }).await;
    let body = json!({"username": "ada", "password": PASSWORD});
    sign_up(&world, &body).await.is(403, "sign up").fails("sign_up_closed");
    let page = world.call("GET", "/").send().await;
    assert!(page.text.contains("Sign-up is closed"));
    world.end().await;
}

#[tokio::test]
async fn a_repeated_sign_up_is_one_user() {
    let world = World::new().await;
    let body = json!({"username": "ada", "password": PASSWORD});
    let call = |body: &Value| world.call("POST", "/v1/users").header("idempotency-key", "k-1").json(body).send();
    let (one, other) = tokio::join!(call(&body), call(&body));
    assert_eq!((one.status, other.status), (201, 201), "{} {}", one.text, other.text);
    assert_eq!(one.body, other.body);
    assert_eq!(call(&body).await.is(201, "again").body, one.body);
    // Who knows the key but not the password learns nothing.
    call(&json!({"username": "ada", "password": "another password"})).await.fails("username_taken");
    world.call("POST", "/v1/users").json(&body).send().await.fails("username_taken");
    world.end().await;
}

#[tokio::test]
async fn a_sign_in_costs_one_hash_whoever_it_is_for() {
    let world = World::new().await;
    let gone = world.person("gone").await;
    world.person("ada").await;
    world.directory.set_disabled(gone.user, true).await.unwrap();
    let mut details = Vec::new();
    for (name, password) in
        [("ada", "wrong password"), ("nobody", PASSWORD), ("no such\u{0}name", PASSWORD), ("gone", PASSWORD)]
    {
        let before = world.api.password_hashes();
        let answer = sign_in(&world, name, password).await.is(401, name).fails("unauthenticated");
        assert_eq!(world.api.password_hashes() - before, 1, "{name}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        details.push(answer.body["detail"].clone());
    }
    // Nor do the words tell.
    assert!(details.iter().all(|detail| *detail == details[0]));
    sign_in(&world, "ada", PASSWORD).await.is(201, "ada");
    world.end().await;
}

#[tokio::test]
async fn a_password_changed_meanwhile_leaves_no_session_behind() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    // The directory answers twice: the hash that is checked, and after the session was made. Between them the password
    // changes, which the second answer shows.
    let body = json!({"username": "ada", "password": PASSWORD, "device_name": "thief"});
    let sign_in = world.call("POST", "/v1/sessions").json(&body).send();
    let change = async {
        while world.api.password_hashes() == 0 {
            tokio::task::yield_now().await;
        }
        world
            .directory
            .set_password(ada.user, "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AA")
            .await
            .unwrap();
    };
    let (answer, ()) = tokio::join!(sign_in, change);
    answer.is(401, "sign in").fails("unauthenticated");
    let sessions = world.get(&ada, "/v1/sessions").await;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{sessions}");
    world.end().await;
}
