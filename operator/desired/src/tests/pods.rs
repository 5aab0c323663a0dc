use klatch_crd::{ChatCluster, ManagedBroker, ManagedPostgres, Resources, Scheduling};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::sample;
use crate::{Desired, Object, Observed, Role, desired, pod};

fn all(cluster: &ChatCluster) -> Desired {
    desired(cluster, &Observed::offline())
}

/// As a manifest has it.
fn read<T: DeserializeOwned>(said: Value) -> T {
    serde_json::from_value(said).unwrap()
}

#[test]
fn who_says_a_request_or_a_limit_moves_the_other() {
    for (said, requests, limits) in [
        (json!({}), ("100m", "256Mi"), json!({"memory": "1Gi"})),
        (json!({"requests": {"memory": "8Gi"}}), ("100m", "8Gi"), json!({"memory": "8Gi"})),
        (json!({"requests": {"memory": "1025Mi"}}), ("100m", "1025Mi"), json!({"memory": "1025Mi"})),
        (json!({"requests": {"memory": "1024Mi"}}), ("100m", "1024Mi"), json!({"memory": "1Gi"})),
        (json!({"requests": {"memory": "64Mi"}}), ("100m", "64Mi"), json!({"memory": "1Gi"})),
        (json!({"requests": {"cpu": "4"}}), ("4", "256Mi"), json!({"memory": "1Gi"})),
        (json!({"limits": {"memory": "128Mi"}}), ("100m", "128Mi"), json!({"memory": "128Mi"})),
        (json!({"limits": {"memory": "8Gi"}}), ("100m", "256Mi"), json!({"memory": "8Gi"})),
        (json!({"limits": {"cpu": "50m"}}), ("50m", "256Mi"), json!({"cpu": "50m", "memory": "1Gi"})),
        (json!({"limits": {"cpu": "0.0995"}}), ("0.0995", "256Mi"), json!({"cpu": "0.0995", "memory": "1Gi"})),
        (json!({"limits": {"cpu": "0.5"}}), ("100m", "256Mi"), json!({"cpu": "0.5", "memory": "1Gi"})),
        (
            json!({"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "8Gi"}}),
            ("1", "4Gi"),
            json!({"cpu": "2", "memory": "8Gi"}),
        ),
    ] {
        let wanted = json!({"requests": {"cpu": requests.0, "memory": requests.1}, "limits": limits});
        let resources: Resources = read(said.clone());
        let comes_to = pod::resources(Role::Postgres, Some(&resources));
        assert_eq!(serde_json::to_value(comes_to).unwrap(), wanted, "{said}");
    }
}

/// The StatefulSet's limit of memory, and seconds until its pods are killed.
fn limit_and_grace(desired: &Desired, name: &str) -> (Value, Value) {
    let stateful_set = desired.objects().find(|one| one.kind() == "StatefulSet" && one.name() == name).unwrap();
    let spec = &stateful_set.pod_template().unwrap()["spec"];
    (spec["containers"][0]["resources"]["limits"]["memory"].clone(), spec["terminationGracePeriodSeconds"].clone())
}

#[test]
fn services_are_told_of_the_memory_that_their_pods_may_take() {
    let resources = |memory: &str| -> Option<Resources> { Some(read(json!({"requests": {"memory": memory}}))) };
    let mut cluster = sample("ten-lines");
    let postgres = ManagedPostgres { resources: resources("8Gi"), ..ManagedPostgres::default() };
    cluster.spec.messages.shard_sets[0].managed = Some(postgres);
    let broker = ManagedBroker { resources: resources("4Gi"), ..ManagedBroker::default() };
    cluster.spec.broker.managed = Some(broker);
    let desired = all(&cluster);
    // A checkpoint of 2 GB of shared buffers, 32 MB a second, and 30 s.
    assert_eq!(limit_and_grace(&desired, "chat-postgres-main-0"), (json!("8Gi"), json!(94)));
    assert_eq!(limit_and_grace(&desired, "chat-rabbitmq").0, json!("4Gi"));
    let says = |file: &str, line: &str| {
        let mut texts = desired.objects().filter_map(|one| one.document["data"][file].as_str());
        texts.any(|text| text.lines().any(|one| one == line))
    };
    assert!(says("postgresql.conf", "shared_buffers = 2048MB"), "the shards");
    assert!(says("postgresql.conf", "shared_buffers = 256MB"), "the directory, of which nothing is said");
    assert!(says("rabbitmq.conf", "total_memory_available_override_value = 4294967296"));
}

#[test]
fn of_what_there_may_be_several_one_at_a_time_may_go() {
    let autoscale = |least: u32, most: u32| -> Value {
        json!({"type": "Autoscale", "autoscale": {"minReplicas": least, "maxReplicas": most}})
    };
    let mut cluster = sample("ten-lines");
    cluster.spec.gateway.scaling = Some(read(autoscale(1, 4)));
    cluster.spec.api.scaling = Some(read(autoscale(1, 2)));
    cluster.spec.message_service.scaling = Some(read(autoscale(1, 1)));
    cluster.spec.notification_service.scaling = Some(read(json!({"type": "Fixed", "fixed": {"replicas": 1}})));
    let desired = all(&cluster);
    let budgets = desired.objects().filter(|one| one.kind() == "PodDisruptionBudget");
    let said: Vec<_> = budgets.map(|one| (one.name(), one.document["spec"]["maxUnavailable"].as_u64())).collect();
    assert_eq!(said, ["chat-rabbitmq", "chat-gateway", "chat-api"].map(|name| (name, Some(1))));
}

#[test]
fn a_migration_runs_where_api_does() {
    let place = json!({
        "nodeSelector": {"pool": "chat"},
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "chat", "effect": "NoSchedule"}],
        "priorityClassName": "chat-servers",
    });
    let job =
        |cluster: &ChatCluster| -> Object { all(cluster).objects().find(|one| one.kind() == "Job").unwrap().clone() };
    let mut cluster = sample("ten-lines");
    let before = job(&cluster);
    cluster.spec.gateway.pod.scheduling = Some(read(place.clone()));
    cluster.spec.api.pod.scheduling = Some(Scheduling::default());
    assert_eq!(job(&cluster), before, "who says nothing of it has no second one");
    cluster.spec.api.pod.scheduling = Some(read(place.clone()));
    let after = job(&cluster);
    assert_ne!(after.name(), before.name(), "a Job cannot be changed");
    let spec = &after.pod_template().unwrap()["spec"];
    for (field, said) in place.as_object().unwrap() {
        assert_eq!(&spec[field], said, "{field}");
    }
    cluster.spec.api.pod.scheduling = None;
    assert_eq!(job(&cluster), before, "back again");
}
