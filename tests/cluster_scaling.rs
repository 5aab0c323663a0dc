//! Autoscaling with real sockets: the autoscaler reads our metric through the aggregator, gateways come, get their share, and the
//! emptiest go first, while people chat on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use klatch_controller::gateways::DELETION_COST;
use klatch_settings::port;
use klatch_tests::{
    asked::number,
    crowd::{Counts, Crowd},
    kube::{chat::Chat, port_forward::PortForward, standing::Standing},
};
use serde_json::Value;

/// Connections a gateway shall hold on average.
const TARGET: usize = 200;
/// Connections that one may hold before another is made, of [`TARGET`], in percent: an autoscaler lets a tenth pass
/// (`--horizontal-pod-autoscaler-tolerance`).
const TOLERATED_PERCENT: usize = 110;
/// Sockets that come. `KLATCH_CLUSTER_SOCKETS=3000` asks for more.
const SOCKETS: usize = 1_000;
/// Sockets that stay on the two gateways that were there first.
const STAY: usize = 40;
/// Sockets that are brought to each of two gateways that came later, past the load balancer: those shall stay.
const HELD: usize = 90;
/// Fewest gateways, which also those who stay need.
const LEAST: usize = 2;
/// Nothing here takes that long; this only ends a test that waits for what never comes.
const NEVER: Duration = Duration::from_secs(600);

/// A gateway that is not on its way out.
#[derive(Debug, Clone, Copy)]
struct Gateway {
    ready: bool,
    cost: Option<u64>,
}

fn gateways(chat: &Chat<'_>) -> BTreeMap<String, Gateway> {
    let listed = chat.must(&["get", "pods", "--selector=app.kubernetes.io/component=gateway", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let pods = listed["items"].as_array().unwrap().iter();
    let stays = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let of = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
        let cost = pod["metadata"]["annotations"][DELETION_COST].as_str().and_then(|cost| cost.parse().ok());
        (pod["metadata"]["name"].as_str().unwrap().to_owned(), Gateway { ready, cost })
    };
    stays.map(of).collect()
}

/// Connections by gateway, as an autoscaler reads them: through the apiserver.
fn connections(chat: &Chat<'_>) -> BTreeMap<String, u64> {
    let path = format!(
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/{}/pods/*/connections?labelSelector=app.kubernetes.io%2Fcomponent%3Dgateway",
        chat.namespace
    );
    let said = chat.run(&["get", "--raw", &path]);
    let Ok(list) = serde_json::from_str::<Value>(&said.output) else { return BTreeMap::new() };
    let values = list["items"].as_array().cloned().unwrap_or_default();
    let of = |one: &Value| {
        let value = one["value"].as_str()?.parse().ok()?;
        Some((one["describedObject"]["name"].as_str()?.to_owned(), value))
    };
    values.iter().filter_map(of).collect()
}

fn scale(chat: &Chat<'_>, scaling: &str) {
    chat.patch(&format!(r#"{{"gateway": {{"scaling": {scaling}}}}}"#));
}

/// Gateways that came get connections, though nobody new comes.
async fn who_came_gets_a_share(chat: &Chat<'_>, old: &BTreeSet<String>, crowd: &Crowd) {
    let share = |held: &BTreeMap<String, u64>| -> Vec<u64> {
        held.iter().filter(|(name, _)| !old.contains(*name)).map(|(_, held)| *held).collect()
    };
    let before = connections(chat);
    println!("when all have come: {before:?}");
    let (before, shed) = (share(&before).iter().sum::<u64>(), Counts::get(&crowd.counts.shed));
    let took = chat
        .until_within("gateways shed to those that came", NEVER, async || {
            let now = share(&connections(chat));
            now.iter().all(|held| *held > 0) && now.iter().sum::<u64>() > before
        })
        .await;
    let shed = Counts::get(&crowd.counts.shed) - shed;
    println!("after {took:?} and {shed} that were shed: {:?}", connections(chat));
    assert!(shed > 0, "nobody was asked to come back");
}

/// Waits until only so many gateways are left; those that went, with what they held and what their deletion cost.
async fn scale_in(chat: &Chat<'_>, left: usize) -> u64 {
    let (mut known, mut held) = (gateways(chat), connections(chat));
    let mut went = 0;
    chat.until_within("gateways go", NEVER, async || {
        let now = gateways(chat);
        let (victims, stay): (Vec<_>, Vec<_>) = known.iter().partition(|(name, _)| !now.contains_key(*name));
        if !victims.is_empty() {
            let costs = |those: &[(&String, &Gateway)]| -> Vec<u64> {
                those.iter().map(|(_, gateway)| gateway.cost.expect("a cost")).collect()
            };
            let (gone, kept) = (costs(&victims), costs(&stay));
            println!("of {held:?}, {:?} went", victims.iter().map(|(name, _)| name).collect::<Vec<_>>());
            assert!(gone.iter().max() <= kept.iter().min(), "the emptiest go first: {gone:?} went, {kept:?} stayed");
            went += victims.iter().map(|(name, _)| held.get(*name).copied().unwrap_or(0)).sum::<u64>();
        }
        known = now;
        if known.len() > left {
            held = connections(chat);
        }
        known.len() == left
    })
    .await;
    went
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_follow_real_sockets_and_the_emptiest_go_first() {
    let sockets = number("KLATCH_CLUSTER_SOCKETS").unwrap_or(SOCKETS);
    let standing = Standing::shared();
    let chat = &standing.chat;
    let old: BTreeSet<String> = gateways(chat).into_keys().collect();
    let (most, enough) = (sockets.div_ceil(TARGET), sockets.div_ceil(TARGET * TOLERATED_PERCENT / 100));
    // Twice as many each quarter of a minute; down when the order of deletion, kept once a minute, is surely current.
    scale(
        chat,
        &format!(
            r#"{{"type": "Autoscale", "autoscale": {{"minReplicas": {LEAST}, "maxReplicas": {most}, "targetConnections": {TARGET}, "behavior":
               {{"scaleUp": {{"percent": 100, "periodSeconds": 15}},
                 "scaleDown": {{"percent": 100, "periodSeconds": 15, "stabilizationWindowSeconds": 90}}}}}}}}"#
        ),
    );
    chat.until("autoscaling is active", async || chat.condition("AutoscalingActive").starts_with("True")).await;

    let mut cast = standing.cast("scaling-").await;
    let begun = std::time::Instant::now();
    let mut crowd = Crowd::come(&standing.url, &standing.url, "crowd-", sockets).await;
    let all_here = async || Counts::get(&crowd.counts.connected) == sockets as u64;
    chat.until_within("all have come", NEVER, all_here).await;
    println!("{sockets} sockets have come after {:?}", begun.elapsed());
    let mut came = 0;
    chat.until_within("gateways come", NEVER, async || {
        let now = gateways(chat);
        came = now.len();
        came >= enough && now.values().all(|one| one.ready) && connections(chat).len() == came
    })
    .await;
    println!("{came} gateways are ready after {:?}; {}", begun.elapsed(), chat.must(&["get", "hpa"]));
    who_came_gets_a_share(chat, &old, &crowd).await;
    assert_eq!(Counts::get(&crowd.counts.drained), 0, "no gateway went");

    // Now the youngest hold the most: by their age alone they would go first.
    let young: Vec<String> = gateways(chat).into_keys().filter(|name| !old.contains(name)).take(LEAST).collect();
    let mut ways = Vec::new();
    for (number, name) in young.iter().enumerate() {
        let way = PortForward::to(standing.cluster, &chat.namespace, &format!("pod/{name}"), port::GATEWAY);
        let address = format!("http://127.0.0.1:{}", way.port);
        ways.push((Crowd::come(&standing.url, &address, &format!("held-{number}-"), HELD).await, way));
    }
    let all_here = async || ways.iter().all(|(held, _)| Counts::get(&held.counts.connected) == HELD as u64);
    chat.until_within("the youngest hold the most", NEVER, all_here).await;
    crowd.leave(STAY).await;
    let (back, begun) = (crowd.counts.came_back().0, std::time::Instant::now());
    let went = scale_in(chat, LEAST).await;
    let ended = async || !chat.must(&["get", "pods"]).contains("Terminating");
    chat.until_within("they have ended", NEVER, ended).await;
    let all_here = async || Counts::get(&crowd.counts.connected) == STAY as u64;
    chat.until_within("all are back", NEVER, all_here).await;
    let (all, most_a_second) = crowd.counts.came_back();
    println!(
        "scaled in after {:?}: those that went held {went}, {} came back, at most {most_a_second} within a second; {:?}",
        begun.elapsed(),
        all - back,
        connections(chat)
    );
    assert!(gateways(chat).into_keys().all(|name| young.contains(&name)), "those that hold the most stay");
    for counts in ways.iter().map(|(held, _)| &held.counts).chain([&crowd.counts]) {
        assert_eq!(Counts::get(&counts.unasked), 0, "nobody was thrown out");
    }
    let asked = Counts::get(&crowd.counts.drained) + Counts::get(&crowd.counts.shed);
    assert!(all as u64 <= asked, "{all} came back, {asked} were asked to");
    cast.converge().await;
    cast.read_all_again().await;
    println!("refused for now: {:?}", cast.desk.refusals());
    crowd.leave(0).await;
    drop(ways);
    scale(chat, "null");
    chat.until("it is as it was", async || {
        gateways(chat).len() == LEAST && chat.run(&["get", "hpa", "chat-gateway"]).error.contains("NotFound")
    })
    .await;
}
