//! People come in by an HTTPRoute, as they do by an Ingress: the same route table, read by the same balancers.

use std::{fs, path::Path};

use klatch_tests::kube::{
    chat::{Balancer, Chat},
    gateway_api,
    standing::Standing,
};

use crate::cluster_chat::Pair;

fn lead_in_by(chat: &Chat<'_>, endpoint: &str) {
    chat.patch(&format!(r#"{{"endpoint": {endpoint}}}"#));
}

async fn is_gone(chat: &Chat<'_>, kind: &str) {
    chat.until(&format!("the {kind} goes"), async || chat.must(&["get", kind, "-o", "name"]).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_come_in_by_an_http_route() {
    let standing = Standing::shared();
    let chat = &standing.chat;
    // Of what was before.
    chat.until("no pod is ending", async || !chat.must(&["get", "pods"]).contains("Terminating")).await;
    let pods = chat.pods();
    gateway_api::create(&standing.cluster.kubectl());
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/cluster/gateway.yaml");
    let gateway = fs::read_to_string(sample).unwrap();
    chat.apply_also(&gateway);

    // Whoever leads in by the Ingress goes on with the HTTPRoute.
    for (balancer, name) in [(Balancer::Haproxy, "ingress-haproxy"), (Balancer::Nginx, "ingress-nginx")] {
        let (url, _proxy) = chat.open(balancer);
        Pair::meet(&url, name).await.leave().await;
    }
    lead_in_by(
        chat,
        r#"{"type": "HTTPRoute", "ingress": null, "tls": null, "httpRoute": {"parentRefs": [{"name": "people"}]}}"#,
    );
    is_gone(chat, "ingress").await;
    for (balancer, name) in [(Balancer::Haproxy, "route-haproxy"), (Balancer::Nginx, "route-nginx")] {
        let (url, _proxy) = chat.open_route(balancer);
        Pair::meet(&url, name).await.leave().await;
    }

    lead_in_by(chat, r#"{"type": "Ingress", "tls": {"secretRef": {"name": "chat-tls"}}, "httpRoute": null}"#);
    is_gone(chat, "httproute").await;
    let (url, _proxy) = chat.open(Balancer::Haproxy);
    Pair::meet(&url, "ingress-again").await.leave().await;
    assert_eq!(chat.pods(), pods, "the way in is nothing to a pod");
}
