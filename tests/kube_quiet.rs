//! Where nothing happens, the operator does nothing, and many ChatClusters cost it little memory. Short as the tier runs it;
//! `KLATCH_QUIET_CLUSTERS=200 KLATCH_QUIET_SECONDS=600` is the long form.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use klatch_tests::{
    asked::number,
    kube::{
        audit::Request,
        control_plane::Start,
        crowd::Crowd,
        operator::{OperatorProcess, kubeconfig_of_account, until_at_most},
        rights::ACCOUNT,
        scene::{Scene, plane},
    },
    services::process::free_port,
};

/// ChatClusters, when nothing else is said.
const CLUSTERS: usize = 3;
/// Seconds that are watched, when nothing else is said.
const SECONDS: u64 = 12;
/// Calls a minute, by one ChatCluster or by one kind: what a busy apiserver does not notice.
const CALLS_A_MINUTE: u64 = 2;
/// What an operator of 200 ChatClusters may hold, in KiB; its container is granted 256 MiB.
const MOST_RESIDENT: u64 = 100 * 1024;
/// Only ends a test that has failed: for each ChatCluster, and for what is not theirs.
const PATIENCE: Duration = Duration::from_secs(3);
/// Without a write that long it is done.
const DONE_AFTER: Duration = Duration::from_secs(3);

/// Without a write for a while: the last statuses are written.
async fn is_done(operator: &OperatorProcess) -> bool {
    let writes = async || operator.calls(|line| !line.contains("verb=\"GET\"") && !line.contains("leases")).await;
    let (begun, before) = (Instant::now(), writes().await);
    while begun.elapsed() < DONE_AFTER {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if writes().await != before {
            return false;
        }
    }
    before > 0
}

/// What the operator asked for, its lease apart: by kind.
fn calls(requests: &[Request]) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for one in requests.iter().filter(|one| one.user == ACCOUNT && one.resource != "leases" && one.begins()) {
        *calls.entry(one.resource.clone()).or_default() += 1;
    }
    calls
}

/// Everything stands; then for a while there is no write, and a pass over each in ten minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_happens_it_writes_nothing_and_asks_little() {
    let clusters = number("KLATCH_QUIET_CLUSTERS").unwrap_or(CLUSTERS);
    let quiet = Duration::from_secs(number("KLATCH_QUIET_SECONDS").unwrap_or(SECONDS));
    let plane = plane(Start::default());
    let client = Scene::new(&plane).await.client;
    let (_folder, kubeconfig) = kubeconfig_of_account(&plane);
    let port = free_port();
    let metrics_api = [
        "--metrics-api=auto".to_owned(),
        format!("--metrics-api-listen=127.0.0.1:{port}"),
        "--metrics-api-owner=klatch-klatch-operator-metrics".to_owned(),
    ];
    let mut operator = OperatorProcess::start(&kubeconfig, &[], &metrics_api);
    until_at_most(PATIENCE * 20, "it leads", async || operator.leads().await).await;
    println!("idle: {} KiB resident", operator.memory("VmRSS"));
    let begun = Instant::now();
    let crowd = Crowd::apply(&plane, client, clusters).await;
    println!("{clusters} ChatClusters are made after {} s", begun.elapsed().as_secs());
    let patience = PATIENCE * (20 + u32::try_from(clusters).unwrap());
    until_at_most(patience, "all are ready", async || crowd.is_ready().await).await;
    println!("all are ready after {} s", begun.elapsed().as_secs());
    until_at_most(patience, "it is done", async || is_done(&operator).await).await;
    check_memory("all are made", &operator, clusters);

    let before = plane.requests().len();
    // The time that is watched.
    tokio::time::sleep(quiet).await;
    let requests = plane.requests().split_off(before);
    assert_eq!(written(&requests), [""; 0], "{}", operator.log());
    let (calls, minutes) = (calls(&requests), quiet.as_secs().div_ceil(60));
    println!("in {} s: {calls:?}", quiet.as_secs());
    let all: u64 = calls.values().sum();
    let of_watches = 2 * calls.len() as u64;
    let most = CALLS_A_MINUTE * minutes * u64::try_from(clusters).unwrap() + of_watches;
    assert!(all <= most, "{all} calls for {clusters} ChatClusters, {most} are allowed");
    if clusters == 1 {
        assert!(calls.values().all(|count| *count <= CALLS_A_MINUTE * minutes), "{calls:?}");
    }
    check_memory("afterwards", &operator, clusters);

    // The next one finds everything there, and nothing to do.
    operator.kill();
    plane.kubectl().must(&["delete", "lease", "klatch-operator", "--namespace=klatch"]);
    let before = plane.requests().len();
    let begun = Instant::now();
    let operator = OperatorProcess::start(&kubeconfig, &[], &metrics_api);
    let passed = async || operator.settled().await >= u64::try_from(clusters).unwrap();
    until_at_most(patience, "the next one has looked at all", passed).await;
    println!("the next one has looked at all after {} s", begun.elapsed().as_secs());
    assert_eq!(written(&plane.requests().split_off(before)), [""; 0], "{}", operator.log());
    check_memory("the next one", &operator, clusters);
}

fn written(requests: &[Request]) -> Vec<String> {
    let writes = requests.iter().filter(|one| one.user == ACCOUNT && one.changes_more_than_the_lease());
    writes.map(|one| format!("{} {} {} {}", one.received, one.verb, one.resource, one.name)).collect()
}

fn check_memory(when: &str, operator: &OperatorProcess, clusters: usize) {
    let (resident, program) = (operator.memory("VmRSS"), operator.memory("RssFile"));
    println!(
        "{when}: {resident} KiB resident ({program} of them its program), {} KiB at the most",
        operator.memory("VmHWM")
    );
    assert!(clusters > 200 || resident <= MOST_RESIDENT, "{resident} KiB resident, {MOST_RESIDENT} are allowed");
}
