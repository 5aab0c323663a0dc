//! New passwords on a real apiserver: both halves, each once, whenever the operator dies. And what is followed by the next in its time:
//! signing keys, and the certificate between gateways and api.

#[path = "kube_rotation/certificate.rs"]
mod certificate;

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use klatch_controller::plan::rotation::{RENEWED, ROTATE, STATE};
use klatch_domain::Timestamp;
use klatch_identity::{new_key_file, rotation::SIGNS_FOR, signs_from};
use klatch_tests::{
    asked::number,
    clock::now,
    kube::{
        fuse::{Point, spread},
        scene::{Scene, quiet_plane},
    },
};
use kube_client::{
    Api,
    api::{ListParams, PostParams},
};

/// Scenes at a time.
const AT_ONCE: usize = 6;
/// Points that are tried, spread evenly. `KLATCH_CRASH_POINTS=1000` tries all there are.
const POINTS: usize = 24;
/// Secrets with two logins each.
const SECRETS: [&str; 6] = [
    "chat-broker-logins",
    "chat-database-logins",
    "chat-postgres",
    "chat-rabbitmq",
    "chat-redis",
    "chat-service-token",
];

/// Passwords by Secret, login and key, and the half in which each Secret was renewed last.
#[derive(Debug, Clone, PartialEq)]
struct Passwords {
    keys: BTreeMap<(String, String, String), Vec<u8>>,
    renewed: BTreeMap<String, u32>,
}

async fn secret(scene: &Scene, name: &str) -> Secret {
    Api::<Secret>::namespaced(scene.client.clone(), &scene.namespace).get(name).await.unwrap()
}

async fn passwords(scene: &Scene) -> Passwords {
    let mut all = Passwords { keys: BTreeMap::new(), renewed: BTreeMap::new() };
    for name in SECRETS {
        let found = secret(scene, name).await;
        let annotation = found.metadata.annotations.as_ref().and_then(|all| all.get(RENEWED)?.parse().ok());
        all.renewed.insert(name.to_owned(), annotation.unwrap_or(0));
        for (key, value) in found.data.unwrap() {
            let login = if key == "b" || key.ends_with("-b") { "b" } else { "a" }.to_owned();
            all.keys.insert((name.to_owned(), login, key), value.0);
        }
    }
    all
}

impl Passwords {
    /// Those of a login in one Secret.
    fn of(&self, secret: &str, login: &str) -> Vec<&Vec<u8>> {
        let of = self.keys.iter().filter(|((name, one, _), _)| name == secret && one == login);
        of.map(|(_, value)| value).collect()
    }
}

/// Files of signing keys, and from when on each signs, in that order.
async fn signing_keys(scene: &Scene) -> Vec<(String, Timestamp)> {
    let data = secret(scene, "chat-signing-keys").await.data.unwrap();
    let mut keys: Vec<_> = data.into_iter().map(|(file, key)| (file, signs_from(&key.0).unwrap())).collect();
    keys.sort_by_key(|(_, from)| *from);
    keys
}

fn ask(scene: &Scene, value: &str) {
    scene.must(&["annotate", "chat", "chat", "--overwrite", &format!("{ROTATE}={value}")]);
}

/// What the workloads sign in with at the broker, as their pods mount it.
fn mounted(scene: &Scene) -> String {
    scene.must(&[
        "get",
        "deployment",
        "chat-api",
        "-o",
        "jsonpath={.spec.template.spec.volumes[?(@.name==\"secrets\")].projected.sources[*].secret.items[*].key}",
    ])
}

/// The second login is in use, all passwords are new, each was made new in its half and not again.
async fn check(scene: &Scene, before: &Passwords, at_crash: Option<&Passwords>) {
    let after = passwords(scene).await;
    for name in SECRETS {
        assert_eq!(after.renewed[name], 2, "{name}");
        for login in ["a", "b"] {
            let (old, new) = (before.of(name, login), after.of(name, login));
            assert!(!old.is_empty() && old.iter().zip(&new).all(|(old, new)| old != new), "{name} {login}");
        }
        if let Some(seen) = at_crash {
            let kept =
                |login| assert_eq!(seen.of(name, login), after.of(name, login), "{name}: {login} was made new twice");
            match seen.renewed[name] {
                0 => assert_eq!(seen.of(name, "b"), before.of(name, "b"), "{name}: made new without a note"),
                1 => kept("b"),
                _ => ["a", "b"].into_iter().for_each(kept),
            }
        }
    }
    let keys = signing_keys(scene).await;
    assert!(keys.len() == 2 && keys[0].1 < keys[1].1, "one key was made beside the other, once: {keys:?}");
    let authorities =
        String::from_utf8(secret(scene, "chat-internal-tls").await.data.unwrap()["ca.crt"].0.clone()).unwrap();
    assert_eq!(authorities.matches("BEGIN CERTIFICATE").count(), 2, "one certificate was made beside the other, once");
    let state = secret(scene, SECRETS[0]).await.metadata.annotations.unwrap().remove(STATE).unwrap();
    assert!(state.contains(r#""half":"Rest""#) && state.contains(r#""login":"b""#), "{state}");
    let keys = mounted(scene);
    assert!(keys.contains("api-b") && !keys.contains("api-a"), "{keys}");
    assert_eq!(scene.converge(Point::Never).await.writes(), [], "it does not rest");
}

async fn crash(point: Point) {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let before = passwords(&scene).await;
    ask(&scene, "1");
    let fuse = scene.converge(point).await;
    assert!(fuse.is_blown(), "{point:?}: it was never reached");
    println!("{point:?}, after {}", fuse.writes().last().map(ToString::to_string).unwrap_or_default());
    let at_crash = passwords(&scene).await;
    scene.converge(Point::Never).await;
    check(&scene, &before, Some(&at_crash)).await;
    scene.must(&["delete", "namespace", &scene.namespace, "--wait=false"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_made_new_in_two_halves_whenever_the_operator_dies() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let (before, first) = (passwords(&scene).await, mounted(&scene));
    assert!(first.contains("api-a") && !first.contains("api-b"), "{first}");
    ask(&scene, "1");
    let fuse = scene.converge(Point::Never).await;
    check(&scene, &before, None).await;
    // Between the halves everything rolled over: the Job told the databases twice, and the brokers heard of each password.
    let calls: Vec<_> = fuse.writes();
    let count = |verb: &str, kind: &str| calls.iter().filter(|call| call.verb == verb && call.kind == kind).count();
    assert_eq!(count("PATCH", "jobs"), 2, "{calls:?}");
    assert_eq!(count("PATCH", "secrets"), 2 * SECRETS.len() + 6 + 1 + 1, "{calls:?}");
    let users = calls.iter().filter(|call| call.kind == "rabbitmq/users").count();
    // Four workloads, and those who made them.
    assert_eq!(users, 2 * (4 + 1), "{calls:?}");
    ask(&scene, "1");
    assert_eq!(scene.converge(Point::Never).await.writes(), [], "it was asked for once");

    let all: Vec<_> = Point::all(calls.len() - 1).collect();
    let points: Vec<_> = spread(&all, number("KLATCH_CRASH_POINTS").unwrap_or(POINTS)).collect();
    println!("{} writes, {} points of {}", calls.len(), points.len(), all.len());
    let scenes = stream::iter(points).map(|point| tokio::spawn(crash(point)));
    let ended: Vec<_> = scenes.buffer_unordered(AT_ONCE).collect().await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
}

/// What an operator that knew of one service token has left.
const EARLIER: &str = r#"{"metadata": {"annotations": {"klatch.dev/keys": null}}, "data": {"token-b": null}}"#;

/// What is in every Secret of ours.
async fn contents(scene: &Scene) -> BTreeMap<String, BTreeMap<String, Vec<u8>>> {
    let ours = ListParams::default().labels("app.kubernetes.io/instance=chat");
    let all = Api::<Secret>::namespaced(scene.client.clone(), &scene.namespace).list(&ours).await.unwrap();
    let data = |secret: Secret| secret.data.unwrap().into_iter().map(|(key, value)| (key, value.0)).collect();
    all.items.into_iter().map(|secret| (secret.metadata.name.clone().unwrap(), data(secret))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_an_earlier_version_gets_the_key_that_it_lacks_and_keeps_the_others() {
    for point in [Point::Never, Point::Before(1), Point::After(1)] {
        let scene = Scene::new(quiet_plane()).await;
        scene.apply_ten_lines();
        scene.converge(Point::Never).await;
        let mut before = contents(&scene).await;
        scene.must(&["patch", "secret", "chat-service-token", "--type=merge", "-p", EARLIER]);
        let fuse = scene.converge(point).await;
        assert_eq!(fuse.is_blown(), point != Point::Never, "{:?}", fuse.writes());
        let fuse = scene.converge(Point::Never).await;
        let of_secrets = fuse.writes().iter().filter(|call| call.kind == "secrets").count();
        assert_eq!(of_secrets, usize::from(point == Point::Before(1)), "{point:?}: {:?}", fuse.writes());
        let mut after = contents(&scene).await;
        let of =
            |all: &mut BTreeMap<_, BTreeMap<String, Vec<u8>>>| all.get_mut("chat-service-token")?.remove("token-b");
        let (old, new) = (of(&mut before).unwrap(), of(&mut after).unwrap());
        assert_eq!((old.len(), new.len()), (64, 64));
        assert_ne!(old, new);
        assert!(before == after, "{point:?}: something else has changed");
    }
}

/// Puts keys that sign since so long ago in the place of those there are.
async fn put_keys(scene: &Scene, ages: &[Duration]) {
    let api = Api::<Secret>::namespaced(scene.client.clone(), &scene.namespace);
    let mut secret = api.get("chat-signing-keys").await.unwrap();
    let keys = ages.iter().map(|age| new_key_file(now().minus(*age)).unwrap());
    secret.data = Some(keys.map(|(file, key)| (file, ByteString(key))).collect());
    api.replace("chat-signing-keys", &PostParams::default(), &secret).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signing_key_is_followed_by_the_next_after_a_month_and_goes_when_its_tokens_have_expired() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let (month, hours) = (SIGNS_FOR, |count: u64| Duration::from_secs(count * 3600));
    for point in [Point::Before(1), Point::After(1)] {
        put_keys(&scene, &[month]).await;
        let old = signing_keys(&scene).await;
        assert!(scene.converge(point).await.is_blown());
        scene.converge(Point::Never).await;
        let keys = signing_keys(&scene).await;
        assert!(keys.len() == 2 && keys[0] == old[0], "{point:?}: the old one stays: {keys:?}");
        let ahead = keys[1].1.as_millis() - now().as_millis();
        assert!(ahead > 23 * 3_600_000, "it is known long before it signs: {ahead} ms");
        assert_eq!(scene.converge(Point::Never).await.writes(), [], "it does not rest");
    }
    put_keys(&scene, &[month, hours(1)]).await;
    assert_eq!(scene.converge(Point::Never).await.writes(), [], "its tokens are good still");
    put_keys(&scene, &[month, hours(2)]).await;
    let newer = signing_keys(&scene).await.pop().unwrap();
    scene.converge(Point::Never).await;
    assert_eq!(signing_keys(&scene).await, [newer]);
}
