//! The operator dies between any two writes, or after one whose answer it never gets; the next one ends where it would have.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use klatch_controller::client::Call;
use klatch_tests::kube::{
    fuse::Point,
    scene::{Scene, quiet_plane},
    snapshot::{snapshot, treasures},
};

/// Scenes at a time.
const AT_ONCE: usize = 6;
/// Points that are tried, spread evenly. `KLATCH_CRASH_POINTS=1000` tries all there are.
const POINTS: usize = 100;

async fn whole(scene: &Scene) -> String {
    let uid = scene.must(&["get", "chat", "chat", "-o", "jsonpath={.metadata.uid}"]);
    let text = snapshot(&scene.client, &scene.namespace, &uid).await;
    format!("{text}\n{}", scene.brokers.shown().replace(&scene.namespace, "NAMESPACE"))
}

/// Nothing is deleted on the way to the first cluster, and no Secret is written twice.
fn check_writes(calls: &[Call]) {
    assert!(calls.iter().all(|call| call.verb != "DELETE"), "{calls:?}");
    assert!(calls.iter().all(|call| call.kind != "secrets" || call.verb == "POST"), "{calls:?}");
}

async fn crash(point: Point, expected: Arc<String>) {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    let first = scene.converge(point).await;
    assert!(first.is_blown(), "{point:?}: it was never reached");
    check_writes(&first.writes());
    let before = treasures(&scene.client, &scene.namespace).await;
    let second = scene.converge(Point::Never).await;
    check_writes(&second.writes());
    let after = treasures(&scene.client, &scene.namespace).await;
    assert!(before.iter().all(|secret| after.contains(secret)), "{point:?}: a Secret has changed");
    let last = first.writes().last().map(ToString::to_string).unwrap_or_default();
    assert!(whole(&scene).await == *expected, "{point:?}, after {last}: it ends elsewhere");
    assert_eq!(scene.converge(Point::Never).await.writes(), [], "{point:?}, after {last}: it does not rest");
    scene.must(&["delete", "namespace", &scene.namespace, "--wait=false"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_any_two_writes_it_ends_where_it_would_have() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    let writes = scene.converge(Point::Never).await.writes();
    check_writes(&writes);
    let expected = Arc::new(whole(&scene).await);
    let wanted = std::env::var("KLATCH_CRASH_POINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(POINTS);
    // The last write is the status: after it there is nothing to be killed in.
    let all: Vec<_> = (1..writes.len()).flat_map(|number| [Point::Before(number), Point::After(number)]).collect();
    let tried = wanted.min(all.len());
    let points: Vec<_> = (0..tried).map(|index| all[index * all.len() / tried]).collect();
    println!("{} writes, {} points of {}", writes.len(), points.len(), all.len());
    assert!(points.len() >= POINTS, "{} writes are too few", writes.len());
    let scenes = stream::iter(points).map(|point| tokio::spawn(crash(point, Arc::clone(&expected))));
    let ended: Vec<_> = scenes.buffer_unordered(AT_ONCE).collect().await;
    for one in ended {
        one.unwrap();
    }
}
