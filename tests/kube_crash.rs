//! The operator dies between any two writes, or after one whose answer it never gets; the next one ends where it would have. On the
//! way to a new cluster, to a changed one, and back from one that was deleted.
//!
//! In the tier a spread over all points. `KLATCH_CRASH_POINTS=5000` tries all there are; with `KLATCH_CRASH_SEED` so many are drawn by
//! chance, and at each of them the next operator dies as well, somewhere.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use klatch_controller::{
    client::Call,
    kind::{KINDS, OPTIONAL},
    observe::api,
    plan::data::ADOPT,
};
use klatch_desired::LABEL_INSTANCE;
use klatch_tests::{
    asked::number,
    kube::{
        fuse::{Point, spread},
        scene::{Scene, quiet_plane},
        snapshot::{snapshot, treasures},
    },
};
use kube_client::{
    Api,
    api::{DeleteParams, ListParams},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Scenes at a time.
const AT_ONCE: usize = 6;
/// Points that are tried; those of `kube_rotation` make them a hundred.
const POINTS: usize = 76;
/// Writes until a second death, at the most.
const SECOND: usize = 40;

/// Where an operator is on its way to.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// From ten lines to a cluster.
    New,
    /// From there to another one, by this change of the resource.
    Change(&'static str),
    /// Back to the data of one that was deleted.
    Back,
}

/// What is created, pruned, rolled over, migrated, handed over.
const WAYS: [Way; 6] = [
    Way::New,
    Way::Change(
        r#"{"spec": {"gateway": {"scaling": {"type": "Autoscale", "autoscale": {"minReplicas": 3, "maxReplicas": 9}}}}}"#,
    ),
    Way::Change(
        r#"{"spec": {"endpoint": {"type": "None", "hosts": null, "tls": null}, "limits": {"messagesPerSecond": 5}}}"#,
    ),
    Way::Change(r#"{"spec": {"version": "0.1.1", "api": {"scaling": {"type": "Fixed", "fixed": {"replicas": 1}}}}}"#),
    Way::Change(r#"{"spec": {"deletionPolicy": "Delete"}}"#),
    Way::Back,
];

/// A scene where an operator begins this way, and the identities that its ChatClusters have had.
async fn begin(way: Way) -> (Scene, Vec<String>) {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    let mut identities = vec![scene.identity()];
    match way {
        Way::New => {}
        Way::Change(change) => {
            scene.converge(Point::Never).await;
            scene.must(&["patch", "chat", "chat", "--type=merge", "-p", change]);
        }
        Way::Back => {
            scene.converge(Point::Never).await;
            delete(&scene).await;
            scene.apply_ten_lines();
            scene.must(&["annotate", "chat", "chat", &format!("{ADOPT}={}", identities[0])]);
            identities.push(scene.identity());
        }
    }
    (scene, identities)
}

/// There is no garbage collector here: what the resource owns is deleted as it would be.
async fn delete(scene: &Scene) {
    scene.must(&["delete", "chat", "chat"]);
    let labelled = ListParams::default().labels(&format!("{LABEL_INSTANCE}=chat"));
    for kind in KINDS.iter().filter(|kind| ![OPTIONAL, "PersistentVolumeClaim"].contains(&kind.name)) {
        let api = api(&scene.client, &scene.namespace, &kind.resource());
        api.delete_collection(&DeleteParams::background(), &labelled).await.unwrap();
    }
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    for secret in secrets.list(&labelled).await.unwrap().items {
        if secret.metadata.owner_references.is_some() {
            secrets.delete(&secret.metadata.name.unwrap(), &DeleteParams::default()).await.unwrap();
        }
    }
}

async fn whole(scene: &Scene, identities: &[String]) -> String {
    let (last, earlier) = identities.split_last().unwrap();
    let mut text = snapshot(&scene.client, &scene.namespace, last).await;
    earlier.iter().for_each(|one| text = text.replace(one, "EARLIER"));
    format!("{text}\n{}", scene.brokers.shown().replace(&scene.namespace, "NAMESPACE"))
}

/// Nothing is deleted that holds data, or that is still wanted on the way to a first cluster, and no Secret is written twice.
fn check_writes(way: Way, calls: &[Call]) {
    let pruned = |call: &Call| KINDS.iter().any(|kind| kind.pruned && kind.plural == call.kind);
    let asked = |call: &Call| call.verb != "DELETE" || (matches!(way, Way::Change(_)) && pruned(call));
    assert!(calls.iter().all(asked), "{way:?}: {calls:?}");
    let new = matches!(way, Way::New);
    assert!(!new || calls.iter().all(|call| call.kind != "secrets" || call.verb == "POST"), "{calls:?}");
}

/// A death, of the first operator and perhaps of the second.
#[derive(Debug, Clone, Copy)]
struct Death {
    way: Way,
    first: Point,
    second: Point,
}

async fn die(death: Death, expected: Arc<String>) {
    let (scene, identities) = begin(death.way).await;
    let first = scene.converge(death.first).await;
    assert!(first.is_blown(), "{death:?}: it was never reached");
    check_writes(death.way, &first.writes());
    let before = treasures(&scene.client, &scene.namespace).await;
    for point in [death.second, Point::Never] {
        check_writes(death.way, &scene.converge(point).await.writes());
    }
    let after = treasures(&scene.client, &scene.namespace).await;
    assert!(before.iter().all(|secret| after.contains(secret)), "{death:?}: a Secret has changed");
    let last = first.writes().last().map(ToString::to_string).unwrap_or_default();
    let ended = whole(&scene, &identities).await;
    assert!(ended == *expected, "{death:?}, after {last}: it ends elsewhere:\n{}", difference(&ended, &expected));
    assert_eq!(scene.converge(Point::Never).await.writes(), [], "{death:?}, after {last}: it does not rest");
    scene.must(&["delete", "namespace", &scene.namespace, "--wait=false"]);
}

fn difference(one: &str, other: &str) -> String {
    let only = |text: &str, in_other: &str, sign: char| {
        let lines = text.lines().filter(|line| !in_other.lines().any(|other| other == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    format!("{}{}", only(one, other, '+'), only(other, one, '-'))
}

/// Which of all points are tried.
fn choose(all: &[(usize, Point)]) -> Vec<(usize, Death)> {
    let wanted = number("KLATCH_CRASH_POINTS").unwrap_or(POINTS);
    let death = |(way, first): (usize, Point), second| (way, Death { way: WAYS[way], first, second });
    let Some(seed) = number("KLATCH_CRASH_SEED") else {
        return spread(all, wanted).map(|point| death(point, Point::Never)).collect();
    };
    let mut random = StdRng::seed_from_u64(seed);
    let mut draw = || {
        let number = random.random_range(1..SECOND);
        let second = if random.random() { Point::Before(number) } else { Point::After(number) };
        death(all[random.random_range(0..all.len())], second)
    };
    (0..wanted).map(|_| draw()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_any_two_writes_it_ends_where_it_would_have() {
    let (mut expected, mut all) = (Vec::new(), Vec::new());
    for (index, way) in WAYS.into_iter().enumerate() {
        let (scene, identities) = begin(way).await;
        let writes = scene.converge(Point::Never).await.writes();
        check_writes(way, &writes);
        println!("{} writes: {way:?}", writes.len());
        assert!(writes.len() > 1, "{way:?} is no way");
        expected.push(Arc::new(whole(&scene, &identities).await));
        // The last write is the status: after it there is nothing to be killed in.
        all.extend(Point::all(writes.len() - 1).map(|point| (index, point)));
    }
    let deaths = choose(&all);
    println!("{} deaths of {}, seed {:?}", deaths.len(), all.len(), number::<u64>("KLATCH_CRASH_SEED"));
    assert!(all.len() >= POINTS, "{} points are too few", all.len());
    let scenes = deaths.into_iter().map(|(index, death)| {
        let expected = Arc::clone(&expected[index]);
        async move { tokio::spawn(die(death, expected)).await }
    });
    let ended: Vec<_> = stream::iter(scenes).buffer_unordered(AT_ONCE).collect().await;
    let fallen = ended.iter().filter(|one| one.is_err()).count();
    assert_eq!(fallen, 0, "so many ended elsewhere; each said how");
}
