//! Kubernetes is dead while people chat: the apiserver, its store, the controllers and the operator, all killed. Nobody notices; and
//! afterwards what is wanted comes to be.
//!
//! Half a minute in the tier; `KLATCH_CLUSTER_OUTAGE_SECONDS=300` is the long form.

use std::time::Duration;

use klatch_tests::{
    asked::number,
    cast::Cast,
    kube::{chat::Chat, container::kill_all, standing::Standing},
    writers::latency::latencies,
};
use tokio::time::{Instant, sleep};

use crate::cluster_chat::Pair;

/// Of Kubernetes, what is dead. Without its kubelet a node would be another node.
const PARTS: [&str; 3] = ["kube-apiserver", "etcd", "kube-controller-manager"];
/// How long, when nothing else is asked for.
const OUTAGE_SECONDS: u64 = 30;
/// Acknowledgements that an outage is compared with: so many that a 99th percentile is not three messages.
const ENOUGH: u64 = 1_500;
/// Between two looks whether the kubelet has started the operator again.
const LOOK: Duration = Duration::from_millis(200);
/// Until an operator is back that was killed again and again: the kubelet waits up to 300 s before it starts a container again.
const BACK_WITHIN: Duration = Duration::from_secs(600);

fn taken(cast: &Cast) -> String {
    latencies(cast.take_acknowledged().into_iter().map(|one| one.after).collect())
}

/// The outage itself, with people who come in the middle of it. Who is to come up stays down until its end.
async fn outage(standing: &Standing, cast: &Cast, lasts: Duration) {
    PARTS.iter().for_each(|part| standing.cluster.kill(part));
    let (url, newcomers) = (standing.url.clone(), lasts / 2);
    let newcomers = tokio::spawn(async move {
        sleep(newcomers).await;
        Pair::meet(&url, "outage").await
    });
    let (ends, mut kills) = (Instant::now() + lasts, 0);
    while Instant::now() < ends {
        kills += kill_all(standing.cluster, "klatch-operator");
        cast.all_well();
        sleep(LOOK).await;
    }
    newcomers.await.expect("people who are new speak with each other").leave().await;
    println!("without Kubernetes for {lasts:?}; the operator was killed {kills} times");
}

/// Two others see to it: the controllers make pods, the operator makes what is wanted.
fn is_as_wanted(chat: &Chat<'_>, replicas: &str) -> bool {
    let ready = ["get", "deployment", "chat-gateway", "-o", "jsonpath={.spec.replicas} {.status.readyReplicas}"];
    let budget = ["get", "poddisruptionbudget", "chat-gateway", "--ignore-not-found", "-o", "name"];
    let seen = ["get", "chat", "chat", "-o", "jsonpath={.metadata.generation} {.status.observedGeneration}"];
    let is_seen = chat.must(&seen).split_once(' ').is_some_and(|(wanted, seen)| wanted == seen);
    is_seen
        && chat.condition("Ready").starts_with("True")
        && chat.must(&ready) == format!("{replicas} {replicas}")
        && !chat.must(&budget).is_empty()
}

fn scale_gateways(chat: &Chat<'_>, scaling: &str) {
    chat.patch(&format!(r#"{{"gateway": {{"scaling": {scaling}}}}}"#));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_chat_on_without_kubernetes_and_then_what_is_wanted_comes_to_be() {
    let standing = Standing::shared();
    let chat = &standing.chat;
    let lasts = Duration::from_secs(number("KLATCH_CLUSTER_OUTAGE_SECONDS").unwrap_or(OUTAGE_SECONDS));
    let mut cast = standing.cast("outage-").await;
    cast.stored_more(ENOUGH).await;
    println!("before: {}", taken(&cast));
    let (pods, connections) = (chat.pods(), cast.desk.connections());

    outage(standing, &cast, lasts).await;
    println!("meanwhile: {}; {} connections were opened", taken(&cast), cast.desk.connections() - connections);

    for part in ["etcd", "kube-apiserver"] {
        standing.cluster.start_part(part);
    }
    chat.until("the apiserver answers", async || chat.run(&["get", "--raw", "/readyz"]).success).await;
    // Nobody sees this happen.
    let kills = kill_all(standing.cluster, "klatch-operator");
    scale_gateways(chat, r#"{"type": "Fixed", "fixed": {"replicas": 3}}"#);
    chat.must(&["delete", "poddisruptionbudget", "chat-gateway"]);
    standing.cluster.start_part("kube-controller-manager");
    let took = chat.until_within("what is wanted is there", BACK_WITHIN, async || is_as_wanted(chat, "3")).await;
    println!("what was wanted meanwhile is there after {took:?}, {kills} operators killed just before");
    let now = chat.pods();
    assert!(pods.iter().all(|pod| now.contains(pod)), "nobody was started again or went: {pods:?} became {now:?}");

    let _ = cast.take_acknowledged();
    cast.stored_more(ENOUGH).await;
    println!("after: {}; refused for now: {:?}", taken(&cast), cast.desk.refusals());
    scale_gateways(chat, "null");
    chat.until("it is as it was", async || is_as_wanted(chat, "2")).await;
    cast.converge().await;
    let entries = cast.read_all_again().await;
    println!("{} messages acknowledged, {entries} entries", cast.desk.stored());
}
