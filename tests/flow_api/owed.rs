//! What a change of the directory owes the logs comes, whatever happens between the two.

use klatch_bus::Target;
use klatch_domain::{Event, Incarnation, Slot};
use klatch_tests::person::PATIENCE;
use serde_json::{Value, json};

use super::{
    faulty_directory::Fault,
    world::{Person, World},
};

async fn slots_busy(world: &World, retry_after_ms: u64) {
    let slots = (0..16).map(Slot).collect();
    let event = Event::SlotsBusy { slots, retry_after_ms };
    let mut publisher = world.bus.events.publisher(Incarnation::now());
    publisher.publish(vec![(Target::Everyone, vec![event])]).await;
}

/// Takes every slot from the api; answers when it knows.
async fn take_slots(world: &World, witness: &Person, room: klatch_domain::RoomId) {
    slots_busy(world, 60_000).await;
    let known = async {
        while world.say(witness, room, "busy?").await.status != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("the api hears of busy slots");
}

fn changed(user: &Person, status: Option<&str>) -> (String, Value) {
    let mut content = json!({"user": user.user});
    if let Some(status) = status {
        content["status"] = json!(status);
    }
    ("friend_changed".to_owned(), content)
}

#[tokio::test]
async fn what_was_interrupted_after_the_directory_is_told_by_a_start() {
    let mut world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let (friend, block) = (format!("/v1/friends/{}", bob.user), format!("/v1/blocks/{}", bob.user));
    let (mut of_ada, mut of_bob) = (world.inbox_of(&ada, 1).await.len(), world.inbox_of(&bob, 1).await.len());
    let preferences = format!("/v1/rooms/{room}/preferences");
    // The call, what fails after it was done, how many entries it brings to ada's inbox and to bob's.
    let calls = [
        ("PUT", &friend, json!({}), "befriend", 1, 1),
        ("DELETE", &friend, Value::Null, "unfriend", 1, 1),
        ("PATCH", &preferences, json!({"hidden": true}), "set_preferences", 1, 0),
        ("PUT", &block, Value::Null, "set_block", 1, 0),
    ];
    for (method, path, body, step, to_ada, to_bob) in calls {
        world.directory.fail(step, Fault::After);
        world.ask(&ada, method, path.clone(), body).await.is(503, step).fails("busy");
        world.restart_api().await;
        (of_ada, of_bob) = (of_ada + to_ada, of_bob + to_bob);
        assert_eq!(world.inbox_of(&ada, of_ada).await.len(), of_ada, "{step}");
        assert_eq!(world.inbox_of(&bob, of_bob).await.len(), of_bob, "{step}");
    }
    // The direct room's writer knows the block, though no call came to its end.
    world.say(&bob, room, "hello?").await.fails("blocked");
    // Told once: a further start tells nothing.
    world.restart_api().await;
    world.ask(&ada, "DELETE", block, Value::Null).await.is(204, "unblock");
    assert_eq!(world.inbox_of(&ada, of_ada + 1).await.len(), of_ada + 1);
    assert_eq!(world.inbox(&bob).await.len(), of_bob);
    world.end().await;
}

#[tokio::test]
async fn a_change_whose_news_cannot_be_told_now_is_made_and_told_later() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    let before = world.inbox_of(&bob, 1).await.len();
    take_slots(&world, &ada, room).await;
    let path = format!("/v1/friends/{}", bob.user);
    for _ in 0..2 {
        world.ask(&ada, "PUT", path.clone(), Value::Null).await.is(200, "befriend");
        world.ask(&ada, "DELETE", path.clone(), Value::Null).await.is(204, "unfriend");
    }
    assert_eq!(world.inbox(&bob).await.len(), before);
    slots_busy(&world, 0).await;
    let (asked, ended) = (changed(&ada, Some("incoming")), changed(&ada, None));
    let told = world.inbox_of(&bob, before + 4).await;
    assert_eq!(told[before..], [asked.clone(), ended.clone(), asked, ended], "in order, each once");
    world.end().await;
}

#[tokio::test]
async fn a_failed_look_at_what_is_owed_is_repeated() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    // One for each inbox.
    world.directory.fail("owed", Fault::Before);
    world.directory.fail("owed", Fault::Before);
    world.ask(&ada, "PUT", format!("/v1/friends/{}", bob.user), Value::Null).await.is(200, "befriend");
    assert_eq!(world.inbox_of(&bob, 1).await, [changed(&ada, Some("incoming"))]);
    assert_eq!(world.inbox_of(&ada, 1).await, [changed(&bob, Some("requested"))]);
    // Done, and nobody heard that it was forgotten: done again, it is one.
    world.directory.fail("settle_owed", Fault::Before);
    world.ask(&bob, "PUT", format!("/v1/friends/{}", ada.user), Value::Null).await.is(200, "accept");
    world.ask(&bob, "DELETE", format!("/v1/friends/{}", ada.user), Value::Null).await.is(204, "unfriend");
    let told = world.inbox_of(&ada, 3).await;
    assert_eq!(told[1..], [changed(&bob, Some("accepted")), changed(&bob, None)]);
    world.end().await;
}

#[tokio::test]
async fn a_block_is_not_answered_before_it_holds() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let room = world.direct(&ada, &bob).await;
    take_slots(&world, &bob, room).await;
    let path = format!("/v1/blocks/{}", bob.user);
    world.ask(&ada, "PUT", path.clone(), Value::Null).await.is(503, "block").fails("busy");
    slots_busy(&world, 0).await;
    // Without the call again: what was begun is brought to its end.
    let holds = async {
        while world.say(&bob, room, "still there?").await.status != 403 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, holds).await.expect("the block comes to hold");
    world.ask(&ada, "PUT", path, Value::Null).await.is(204, "again");
    world.end().await;
}
