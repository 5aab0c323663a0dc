//! Profiles and finding people.

use std::{collections::HashSet, time::Duration};

use klatch_domain::UserId;
use klatch_store::directory::Users;
use serde_json::{Value, json};

use super::world::{World, walk};

#[tokio::test]
async fn a_profile_changes_field_by_field() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let change = |body: Value| world.ask(&ada, "PATCH", "/v1/users/me", body);
    let until = world.now().plus(Duration::from_secs(60));
    let status = json!({"text": "at lunch", "emoji": "🍜", "until": until});
    let me =
        change(json!({"display_name": "Ada", "email": "ada@example.org", "status": status, "read_receipts": false}))
            .await;
    let me = me.is(200, "change").body;
    assert_eq!((&me["display_name"], &me["read_receipts"], &me["status"]), (&json!("Ada"), &json!(false), &status));
    let me = change(json!({"email": null, "avatar": "https://example.org/a.png"})).await.is(200, "remove").body;
    assert_eq!((me.get("email"), &me["display_name"]), (None, &json!("Ada")));
    assert_eq!(me["avatar"], "https://example.org/a.png");
    // Others see no address, and no status whose time has passed.
    let bob = world.person("bob").await;
    let path = format!("/v1/users/{}", ada.user);
    let seen = world.get(&bob, path.clone()).await;
    assert_eq!(seen["status"]["text"], "at lunch");
    assert!(seen.get("read_receipts").is_none() && seen.get("email").is_none());
    world.advance(Duration::from_secs(61));
    assert!(world.get(&bob, path).await.get("status").is_none());
    for (body, field) in [
        (json!({"display_name": ""}), "display_name"),
        (json!({"display_name": "x".repeat(101)}), "display_name"),
        (json!({"email": "x"}), "email"),
        (json!({"avatar": "javascript:alert(1)"}), "avatar"),
        (json!({"avatar": format!("https://{}", "x".repeat(2_000))}), "avatar"),
        (json!({"status": {"text": "x".repeat(101)}}), "status.text"),
        (json!({"status": {"text": "a\u{202e}b"}}), "status.text"),
        (json!({"status": {"emoji": "🍜".repeat(17)}}), "status.emoji"),
        (json!({"read_receipts": "yes"}), "read_receipts"),
        (json!({"do_not_disturb_until": "tomorrow"}), "do_not_disturb_until"),
    ] {
        assert_eq!(change(body.clone()).await.is(400, "bad").fails("validation_failed").field(), field, "{body}");
    }
    world.end().await;
}

#[tokio::test]
async fn people_are_found_by_name_and_by_ids() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let mut expected = HashSet::new();
    for number in 0..23 {
        expected.insert(world.person(&format!("finder{number}")).await.user.to_string());
    }
    let gone = world.person("finder-gone").await;
    world.directory.set_disabled(gone.user, true).await.unwrap();
    for limit in [1, 5, 23, 200] {
        let found = walk(&world, &ada, "/v1/users?query=FIND", "users", limit).await;
        let ids: Vec<_> = found.iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), expected.len(), "each once, {limit} a page");
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected);
    }
    let asked = format!("{},{},{}", ada.user, UserId::now(), ada.user);
    let found = world.get(&ada, format!("/v1/users?ids={asked}")).await;
    assert_eq!(found["users"].as_array().unwrap().len(), 1);
    let many = vec![ada.user.to_string(); 101].join(",");
    for (query, field) in [
        ("", "query"),
        ("?query=", "query"),
        ("?query=a&ids=b", "query"),
        ("?ids=x", "ids"),
        (&*format!("?ids={many}"), "ids"),
        (&*format!("?query={}", "x".repeat(101)), "query"),
        ("?query=a&limit=0", "limit"),
        ("?query=a&limit=201", "limit"),
        ("?query=a&limit=-1", "limit"),
        ("?query=a&after=!!!", "after"),
    ] {
        let answer = world.ask(&ada, "GET", format!("/v1/users{query}"), Value::Null).await;
        assert_eq!(answer.is(400, query).fails("validation_failed").field(), field, "{query:.40}");
    }
    world
        .ask(&ada, "GET", format!("/v1/users/{}", UserId::now()), Value::Null)
        .await
        .is(404, "nobody")
        .fails("user_not_found");
    assert_eq!(world.ask(&ada, "GET", "/v1/users/x", Value::Null).await.fails("validation_failed").field(), "id");
    world.end().await;
}
