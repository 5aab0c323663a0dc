//! An operator of some namespaces: it looks after their ChatClusters, with rights there alone, and leaves others to others.

use std::sync::Arc;

use klatch_tests::kube::{
    brokers::{Brokers, serve},
    charts::template,
    control_plane::Start,
    crowd::{MANAGEMENT, manifest},
    operator::{OperatorProcess, kubeconfig_by_token, until},
    rights::{ACCOUNT, check_nothing_was_refused},
    scene::{Scene, plane},
    stand_in::{Jobs, mark},
};

/// By its binary, as the chart starts it and with the rights that the chart grants. The cluster is its own: on a shared one the account
/// may have got more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_looks_after_its_namespaces_and_no_others() {
    let plane = plane(Start::default());
    let (first, second, strange) = (Scene::new(&plane).await, Scene::new(&plane).await, Scene::new(&plane).await);
    let watched = format!("watchNamespaces={{{},{}}}", first.namespace, second.namespace);
    plane.kubectl().must(&["create", "namespace", "klatch"]);
    plane.kubectl().must_with(&["create", "-f", "-"], &template(&["--set", &watched]).unwrap());
    let arguments = "jsonpath={.spec.template.spec.containers[0].args[*]}";
    let arguments =
        plane.kubectl().must(&["get", "deployment", "klatch-operator", "--namespace=klatch", "-o", arguments]);
    let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();

    let (_folder, kubeconfig) = kubeconfig_by_token(&plane);
    let operator = OperatorProcess::start(&kubeconfig, &[], &arguments);
    let port = serve(Arc::<Brokers>::default()).await;
    // The strange one first: when the others stand, it has been there long enough.
    for scene in [&strange, &first, &second] {
        scene.apply(MANAGEMENT);
        scene.apply(&manifest("chat", port, ""));
    }
    for scene in [&first, &second] {
        until("it is ready", async || {
            mark(&scene.client, &scene.namespace, Jobs::Complete).await;
            scene.is_ready().await
        })
        .await;
        let service = ["get", "service", "chat-api", "--ignore-not-found", "-o", "name"];
        scene.must(&["delete", "service", "chat-api"]);
        until("the Service is back", async || !scene.must(&service).is_empty()).await;
    }

    assert_eq!(strange.status().await.conditions, [], "{}", operator.log());
    let requests = plane.requests();
    check_nothing_was_refused(&requests);
    let places = ["", "klatch", &first.namespace, &second.namespace];
    let elsewhere: Vec<_> =
        requests.iter().filter(|one| one.user == ACCOUNT && !places.contains(&one.namespace.as_str())).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
}
