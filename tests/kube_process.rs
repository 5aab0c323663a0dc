//! The operator's real binary, with the rights of the chart and no others.

use klatch_tests::kube::{
    audit::Request,
    brokers::serve,
    control_plane::Start,
    crowd::{MANAGEMENT, manifest},
    operator::{OperatorProcess, kubeconfig_of_account, until},
    rights::{ACCOUNT, check_nothing_was_refused},
    scene::{Scene, plane},
    stand_in::{Jobs, mark},
};
use rustix::process::Signal;

/// On brokers that this test serves.
async fn apply(scene: &Scene) {
    let port = serve(std::sync::Arc::clone(&scene.brokers)).await;
    scene.apply(MANAGEMENT);
    scene.apply(&manifest("chat", port, ""));
}

/// One leads, and everything comes to stand with the rights that the chart grants; what is deleted comes back by a watch. Then it is
/// frozen in the middle of its term, another takes over, and when it wakes up it writes nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_with_the_charts_rights_and_a_sleeper_writes_no_more() {
    let plane = plane(Start::default());
    plane.create_gateway_api();
    let scene = Scene::new(&plane).await;
    let (_folder, kubeconfig) = kubeconfig_of_account(&plane);
    let first = OperatorProcess::start(&kubeconfig, &[&scene.namespace], &[]);
    until("the first leads", async || first.leads().await).await;
    apply(&scene).await;
    let stands = async || {
        mark(&scene.client, &scene.namespace, Jobs::Complete).await;
        scene.is_ready().await
    };
    until("it is ready", stands).await;
    let service = ["get", "service", "chat-api", "--ignore-not-found", "-o", "name"];
    scene.must(&["delete", "service", "chat-api"]);
    until("the Service is back", async || !scene.must(&service).is_empty()).await;
    // Of a kind that not every cluster knows, too.
    let endpoint = r#"{"spec": {"endpoint": {"type": "HTTPRoute", "hosts": ["chat.example.com"], "httpRoute": {"parentRefs": [{"name": "public"}]}}}}"#;
    scene.must(&["patch", "chat", "chat", "--type=merge", "-p", endpoint]);
    let route = ["get", "httproute", "chat", "--ignore-not-found", "-o", "name"];
    until("there is an HTTPRoute", async || stands().await && !scene.must(&route).is_empty()).await;
    scene.must(&["delete", "httproute", "chat"]);
    until("the HTTPRoute is back", async || !scene.must(&route).is_empty()).await;
    check_nothing_was_refused(&plane.requests());

    first.tell(Signal::STOP);
    let second = OperatorProcess::start(&plane.kubeconfig(), &[&scene.namespace], &[]);
    until("the second leads", async || second.leads().await).await;
    let acquired = ["get", "lease", "klatch-operator", "--namespace=klatch", "-o", "jsonpath={.spec.acquireTime}"];
    let acquired = plane.kubectl().must(&acquired);
    scene.must(&["delete", "service", "chat-api"]);
    first.tell(Signal::CONT);
    let looked = |one: &Request| one.user == ACCOUNT && one.received > acquired && one.resource == "leases";
    until("the sleeper looks at the lease", async || plane.requests().iter().filter(|one| looked(one)).count() > 1)
        .await;
    until("the second puts it back", async || !scene.must(&service).is_empty()).await;
    let late: Vec<_> = plane
        .requests()
        .into_iter()
        .filter(|one| one.user == ACCOUNT && one.received > acquired && one.changes_more_than_the_lease())
        .collect();
    assert!(late.is_empty(), "the sleeper wrote: {late:#?}");
}
