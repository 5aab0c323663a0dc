//! Pods of every kind are deleted at random while people chat: whatever was acknowledged is there, once and in order.
//!
//! `KLATCH_CLUSTER_KILLS` asks for more, `KLATCH_CLUSTER_SEED` replays them.

use klatch_tests::{
    asked::{number, seed},
    kube::{chat::Chat, standing::Standing},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// What there is.
const KINDS: [&str; 7] = ["gateway", "api", "message-service", "notification-service", "postgres", "rabbitmq", "redis"];
/// Messages that are stored after each deletion, before the next.
const BETWEEN: u64 = 60;

fn pods(chat: &Chat<'_>, kind: &str) -> Vec<String> {
    let selector = format!("--selector=app.kubernetes.io/component={kind}");
    let of = "jsonpath={.items[*].metadata.name}";
    let listed = chat.must(&["get", "pods", &selector, "--field-selector=status.phase=Running", "-o", of]);
    listed.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_of_every_kind_are_deleted_and_nothing_acknowledged_is_lost() {
    let standing = Standing::shared();
    let chat = &standing.chat;
    let seed = seed("KLATCH_CLUSTER_SEED");
    let count = number("KLATCH_CLUSTER_KILLS").unwrap_or(KINDS.len() as u64);
    println!("KLATCH_CLUSTER_SEED={seed} KLATCH_CLUSTER_KILLS={count}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut cast = standing.cast("kills-").await;
    let (begun, mut kinds) = (std::time::Instant::now(), Vec::new());
    for _ in 0..count {
        if kinds.is_empty() {
            kinds = KINDS.to_vec();
            kinds.shuffle(&mut random);
        }
        let kind = kinds.pop().unwrap();
        let all = pods(chat, kind);
        let pod = &all[random.random_range(0..all.len())];
        // In its own time, or as good as killed.
        let grace = if random.random_bool(0.5) { "--grace-period=-1" } else { "--grace-period=1" };
        let (stored, at) = (cast.desk.stored(), begun.elapsed());
        chat.must(&["delete", "pod", "--wait=false", grace, pod]);
        cast.stored_more(BETWEEN).await;
        cast.converge().await;
        println!(
            "{:>4} s  {pod} {grace}: {} stored, converged {:.1?} later",
            at.as_secs(),
            cast.desk.stored() - stored,
            begun.elapsed() - at
        );
        chat.until("it is ready again", async || {
            // Of a Job that is done, nothing is ready.
            let pods = chat.must(&["get", "pods", "--field-selector=status.phase!=Succeeded"]);
            !pods.contains("Terminating") && !pods.contains("0/1") && chat.condition("Ready").starts_with("True")
        })
        .await;
    }
    let entries = cast.read_all_again().await;
    println!(
        "{count} deletions in {} s, {} messages acknowledged, {entries} entries; refused for now: {:?}",
        begun.elapsed().as_secs(),
        cast.desk.stored(),
        cast.desk.refusals()
    );
}
