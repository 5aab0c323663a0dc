//! The apiserver, or etcd behind it, is gone for a while: the operator stays, asks seldom, and goes on. Seconds in the tier;
//! `KLATCH_OUTAGE_SECONDS=300` is the long form.

use std::time::Duration;

use klatch_tests::{
    asked::number,
    kube::{
        brokers::serve,
        control_plane::{ControlPlane, Start, Which},
        crowd::{MANAGEMENT, manifest},
        operator::{OperatorProcess, kubeconfig_of_account, until_at_most},
        rights::ACCOUNT,
        scene::{Scene, plane},
        stand_in::{Jobs, mark},
    },
};
use tokio::time::sleep;

/// Longer than the lease holds, so that the leader has to take it again.
const LONG: u64 = 18;
/// Shorter.
const SHORT: u64 = 6;
/// What is watched, with room for what is to come.
const WATCHES: u64 = 24;
/// How often a watch is tried until its pauses are 30 s long: they double from less than a second.
const TRIES: u64 = 8;
/// Calls after it is back: watches begin anew, with a list each, and some passes look at everything.
const MOST_CALLS_AFTERWARDS: usize = 400;
/// Pauses are up to 30 s long, and the lease may have to run out.
const PATIENCE: Duration = Duration::from_secs(120);

/// How it is gone.
#[derive(Debug, Clone, Copy)]
enum Gone {
    /// Connections stay open and nobody answers.
    Frozen,
    /// It is killed.
    Killed,
    /// It answers that its store is away.
    WithoutStore,
}

impl Gone {
    async fn for_a_while(self, plane: &mut ControlPlane, outage: Duration) {
        match self {
            Self::Frozen => plane.freeze(Which::Apiserver),
            Self::Killed => plane.kill(Which::Apiserver),
            Self::WithoutStore => plane.kill(Which::Etcd),
        }
        // The outage itself.
        sleep(outage).await;
        match self {
            Self::Frozen => plane.thaw(Which::Apiserver),
            Self::Killed => plane.restart(&[Which::Apiserver]),
            Self::WithoutStore => plane.restart(&[Which::Etcd]),
        }
    }
}

async fn is_ready(scene: &Scene, replicas: &str) -> bool {
    mark(&scene.client, &scene.namespace, Jobs::Complete).await;
    let of = ["get", "deployment", "chat-api", "--ignore-not-found", "-o", "jsonpath={.spec.replicas}"];
    let service = ["get", "service", "chat-api", "--ignore-not-found", "-o", "name"];
    scene.is_ready().await && scene.must(&of) == replicas && !scene.must(&service).is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_apiserver_it_waits_and_then_misses_nothing() {
    let asked = number("KLATCH_OUTAGE_SECONDS");
    let mut plane = plane(Start::default());
    let scene = Scene::new(&plane).await;
    let port = serve(std::sync::Arc::clone(&scene.brokers)).await;
    let (_folder, kubeconfig) = kubeconfig_of_account(&plane);
    let mut operator = OperatorProcess::start(&kubeconfig, &[], &[]);
    scene.apply(MANAGEMENT);
    scene.apply(&manifest("chat", port, ""));
    until_at_most(PATIENCE, "it is ready", async || is_ready(&scene, "2").await).await;
    let outages = [(Gone::Frozen, LONG), (Gone::Killed, SHORT), (Gone::WithoutStore, SHORT)];
    for (number, (gone, seconds)) in outages.into_iter().enumerate() {
        let seconds = asked.unwrap_or(seconds);
        let of_watches = async |operator: &OperatorProcess| operator.calls(|line| !line.contains("leases")).await;
        let before = of_watches(&operator).await;
        gone.for_a_while(&mut plane, Duration::from_secs(seconds)).await;
        let tried = of_watches(&operator).await - before;
        assert!(!operator.has_ended(), "{gone:?}: it has ended: {}", operator.log());
        let most = WATCHES * (TRIES + seconds / 30);
        assert!(tried <= most, "{gone:?}: {tried} calls in {seconds} s, {most} are allowed");
        // Before any watch is back.
        let served = plane.requests().len();
        let replicas = (number + 3).to_string();
        scene.must(&["delete", "service", "chat-api"]);
        let more = format!("  api: {{scaling: {{type: Fixed, fixed: {{replicas: {replicas}}}}}}}\n");
        scene.apply(&manifest("chat", port, &more));
        let what = format!("{gone:?}: everything is as it should be");
        let took = until_at_most(PATIENCE, &what, async || is_ready(&scene, &replicas).await).await;
        let requests = plane.requests().split_off(served);
        let calls =
            requests.iter().filter(|one| one.user == ACCOUNT && one.resource != "leases" && one.begins()).count();
        println!(
            "{gone:?} for {seconds} s: {tried} calls tried, {} s until all was mended, by {calls} calls",
            took.as_secs()
        );
        assert!(calls <= MOST_CALLS_AFTERWARDS, "{gone:?}: {calls} calls afterwards");
    }
}
