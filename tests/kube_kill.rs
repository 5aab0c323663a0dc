//! Two replicas of the operator's binary, one of which is killed again and again while somebody edits the ChatCluster: in the end
//! exactly what is wanted is there. Some rounds in the tier; `KLATCH_KILL_ROUNDS=60` is the long form, `KLATCH_KILL_SEED` repeats one.

use std::time::Duration;

use klatch_tests::{
    asked::{number, seed},
    kube::{
        brokers::serve,
        crowd::{MANAGEMENT, manifest},
        fuse::Point,
        life::{Life, lives_that_wrote, written_without_the_lease},
        operator::{until, until_at_most},
        scene::{Scene, quiet_plane},
        snapshot::{snapshot, treasures},
        stand_in::{Jobs, claim, mark},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Rounds, when nothing else is said.
const ROUNDS: u64 = 5;
/// How long a leader lives at the most, in ms: a cluster is made in some seconds, so that kills fall into all of it.
const LONGEST_LIFE: u64 = 3000;
/// Until the last life has mended everything; its predecessor's lease runs out first.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is wanted in the end.
const LAST: &str = "  api: {scaling: {type: Fixed, fixed: {replicas: 3}}}\n  limits: {messagesPerSecond: 7}\n";

/// What stands below `spec`, beside what always does.
fn draw(random: &mut StdRng) -> String {
    let mut more = format!("  limits: {{messagesPerSecond: {}}}\n", random.random_range(1..50));
    if random.random_bool(0.5) {
        let replicas = random.random_range(1..5);
        more.push_str(&format!("  api: {{scaling: {{type: Fixed, fixed: {{replicas: {replicas}}}}}}}\n"));
    }
    if random.random_bool(0.5) {
        more.push_str("  endpoint: {hosts: [chat.example.com], type: Ingress}\n");
    }
    if random.random_bool(0.3) {
        more.push_str("  gateway: {scaling: {type: Autoscale, autoscale: {minReplicas: 2, maxReplicas: 5}}}\n");
    }
    more
}

/// Old configurations are kept for a while: of what is too much, everything else counts.
fn without_old_files(text: &str, wanted: &str) -> String {
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("ConfigMap") || wanted.contains(line)).collect();
    kept.join("\n")
}

async fn whole(scene: &Scene) -> String {
    snapshot(&scene.client, &scene.namespace, &scene.identity()).await
}

fn upgraded(manifest: &str) -> String {
    manifest.replace("version: 0.1.0", "version: 0.1.1")
}

/// What it comes to where nobody is killed.
async fn undisturbed(port: u16) -> String {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply(MANAGEMENT);
    scene.apply(&upgraded(&manifest("chat", port, LAST)));
    scene.converge(Point::Never).await;
    claim(&scene.client, &scene.namespace).await;
    whole(&scene).await
}

/// Which of the two leads.
async fn leader(lives: &[Life]) -> Option<usize> {
    for (index, life) in lives.iter().enumerate() {
        if life.process.leads().await {
            return Some(index);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_two_replicas_make_what_is_wanted() {
    let seed = seed("KLATCH_KILL_SEED");
    let rounds = number("KLATCH_KILL_ROUNDS").unwrap_or(ROUNDS);
    println!("KLATCH_KILL_SEED={seed} KLATCH_KILL_ROUNDS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let plane = quiet_plane();
    let scene = Scene::new(plane).await;
    let port = serve(std::sync::Arc::clone(&scene.brokers)).await;
    let wanted = undisturbed(port).await;
    scene.apply(MANAGEMENT);
    let (client, namespace) = (scene.client.clone(), scene.namespace.clone());
    let nodes = tokio::spawn(async move {
        loop {
            mark(&client, &namespace, Jobs::Complete).await;
            claim(&client, &namespace).await;
            // As slow as nodes are.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let mut lives = vec![Life::begin(plane, &scene.namespace, 1), Life::begin(plane, &scene.namespace, 2)];
    let (mut born, mut version, mut before) = (2, false, Vec::new());
    for round in 0..rounds {
        version |= round >= rounds / 2;
        let text = manifest("chat", port, &draw(&mut random));
        scene.apply(&if version { upgraded(&text) } else { text });
        until("one leads", async || leader(&lives).await.is_some()).await;
        let leading = leader(&lives).await.unwrap_or_default();
        let victim = if random.random_bool(0.8) { leading } else { 1 - leading };
        // So that the kill falls anywhere.
        tokio::time::sleep(Duration::from_millis(random.random_range(100..LONGEST_LIFE))).await;
        lives[victim].process.kill();
        born += 1;
        // A dead one's lease runs out after 15 s. That is waited for once in four times; else it is over at once.
        let expires = random.random_ratio(1, 4);
        if victim == leading && !expires {
            scene.must(&["delete", "lease", "klatch-operator", "--ignore-not-found"]);
        }
        println!("round {round}: {} is killed, leading: {}", lives[victim].user(), victim == leading);
        lives[victim] = Life::begin(plane, &scene.namespace, born);
        let now = treasures(&scene.client, &scene.namespace).await;
        assert!(before.iter().all(|one| now.contains(one)), "a Secret or a volume has changed: {before:#?} {now:#?}");
        before = now;
    }
    scene.apply(&upgraded(&manifest("chat", port, LAST)));
    let generation = ["get", "chat", "chat", "-o", "jsonpath={.metadata.generation} {.status.observedGeneration}"];
    let same = async || {
        let said = scene.must(&generation);
        let seen = said.split_once(' ').is_some_and(|(is, seen)| is == seen);
        seen && scene.is_ready().await && without_old_files(&whole(&scene).await, &wanted) == wanted
    };
    let took = until_at_most(PATIENCE, "what is wanted is there", same).await;
    nodes.abort();
    println!("all is there {} ms after the last edit", took.as_millis());
    let now = treasures(&scene.client, &scene.namespace).await;
    assert!(!before.is_empty() && before.iter().all(|one| now.contains(one)), "a Secret or a volume has changed");
    let requests = plane.requests();
    assert!(lives_that_wrote(&requests, &scene.namespace) > 1, "only one has ever written");
    assert_eq!(written_without_the_lease(&requests, &scene.namespace), [""; 0]);
}
