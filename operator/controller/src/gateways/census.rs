//! Once a minute: how many connections each ChatCluster holds, and which of its gateways should go first.

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube_client::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{DELETION_COST, GatewayPod, Measured, aim::costs};
use crate::{Key, operator::Operator};

/// Writes at a time: a thousand gateways are written to within seconds, and nobody else waits for that.
const WRITES_AT_ONCE: usize = 8;

/// Asks all gateways, and writes down what follows. Answers which ChatClusters have news to tell.
pub async fn census(operator: &Operator) -> Vec<Key> {
    let mut news = Vec::new();
    for (key, pods) in operator.gateways.pods.running() {
        let replicas = pods.len();
        let measured = operator.gateways.measure(pods).await;
        if measured.len() == replicas {
            let total = measured.iter().map(|one| one.connections).sum();
            if operator.memory.saw_connections(&key, total) {
                news.push(key.clone());
            }
        }
        if let Some(aim) = operator.memory.aim(&key) {
            let mut writes = Vec::new();
            for (one, cost) in costs(aim, replicas, &measured) {
                writes.push(write(operator, one, cost));
            }
            stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).collect::<()>().await;
        }
    }
    // What autoscalers say of themselves is no news of its own: it is looked at while it is not good.
    news.extend(operator.memory.not_scaling());
    news.sort();
    news.dedup();
    news
}

async fn write(operator: &Operator, one: &Measured, cost: i64) {
    let GatewayPod { key, name, uid, .. } = &one.pod;
    let api: Api<Pod> = Api::namespaced(operator.client.clone(), &key.namespace);
    let document = json!({"metadata": {"uid": uid, "annotations": {DELETION_COST: cost.to_string()}}});
    if let Err(error) = api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&document)).await {
        // It may be gone; the next minute tells.
        tracing::debug!(%key, pod = name, %error, "the cost of a gateway's deletion was not written");
    }
}
