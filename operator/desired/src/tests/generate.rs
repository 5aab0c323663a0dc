//! Specs of all kinds, each one that the rules let through.

use klatch_crd::{ChatCluster, Checker};
use proptest::prelude::*;
use serde_json::{Value, json};

fn scaling() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (1..30_u32).prop_map(|replicas| json!({"type": "Fixed", "fixed": {"replicas": replicas}})),
        (1..5_u32, 5..40_u32).prop_map(
            |(least, most)| json!({"type": "Autoscale", "autoscale": {"minReplicas": least, "maxReplicas": most}})
        ),
        Just(json!({"type": "External"})),
    ]
}

/// One of both: the other is the operator's.
fn resources() -> impl Strategy<Value = Value> {
    (prop_oneof![Just("requests"), Just("limits")], 1..4_000_u32, 1..4_000_u32).prop_map(|(said, cpu, memory)| {
        let amounts = json!({"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")});
        json!({said: amounts})
    })
}

fn connection(name: &'static str) -> Value {
    json!({"host": format!("{name}.example.org"), "secretRef": {"name": format!("{name}-login")}, "tls": {"caSecretRef": {"name": "ca"}}})
}

fn shard_set(name: &'static str) -> impl Strategy<Value = Value> {
    prop_oneof![
        (1..5_u32).prop_map(move |shards| json!({"name": name, "shards": shards})),
        (1..5_u32, 1..100_u32, resources()).prop_map(move |(shards, size, resources)| {
            let storage = json!({"size": format!("{size}Gi")});
            json!({"name": name, "shards": shards, "managed": {"storage": storage, "resources": resources}})
        }),
        (1..4_u32).prop_map(move |count| {
            let shards: Vec<_> = (0..count)
                .map(|number| {
                    let mut shard = connection("shard");
                    shard["name"] = json!(format!("s{number}"));
                    shard
                })
                .collect();
            json!({"name": name, "provider": "External", "external": {"shards": shards}})
        }),
    ]
}

fn endpoint() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"type": "None"})),
        Just(json!({"type": "Ingress", "hosts": ["chat.example.com"], "tls": {"secretRef": {"name": "tls"}}})),
        Just(
            json!({"type": "HTTPRoute", "hosts": ["chat.example.com"], "httpRoute": {"parentRefs": [{"name": "public"}]}})
        ),
    ]
}

thread_local! {
    /// Its rules are compiled once a thread.
    static CHECKER: Checker = Checker::default();
}

/// A resource.
pub(super) fn cluster() -> impl Strategy<Value = ChatCluster> {
    let name = prop_oneof![Just("chat".to_owned()), "[a-z][a-z0-9-]{38}[a-z0-9]"];
    let workloads = (scaling(), scaling(), scaling(), scaling());
    let sets = (shard_set("main"), prop::option::of(shard_set("more")));
    let managed = (any::<[bool; 3]>(), prop_oneof![Just(1), Just(3), Just(5)], 1..20_u16, 1..20_u16);
    let whole = (name, workloads, sets, endpoint(), managed, resources());
    whole.prop_map(|(name, workloads, sets, endpoint, managed, resources)| {
        let ([directory, broker, cache], brokers, queues, lanes) = managed;
        let sets: Vec<_> = [Some(sets.0), sets.1].into_iter().flatten().collect();
        let mut spec = json!({"version": "0.1.0", "endpoint": endpoint, "messages": {"shardSets": sets}});
        let (gateway, api, messages, notifications) = workloads;
        for (field, scaling) in
            [("gateway", gateway), ("api", api), ("messageService", messages), ("notificationService", notifications)]
        {
            if !scaling.is_null() {
                spec[field] = json!({"scaling": scaling});
            }
        }
        spec["messageService"]["resources"] = resources.clone();
        if directory {
            spec["directory"] = json!({"provider": "External", "external": connection("directory")});
        }
        spec["broker"] = if broker {
            let management = json!({"url": "https://rabbitmq.example.org:15671", "secretRef": {"name": "admin"}});
            json!({"provider": "External", "external": {"brokers": [{"host": "rabbitmq", "management": management}]}})
        } else {
            json!({"managed": {"replicas": brokers, "resources": resources}})
        };
        spec["broker"]["topology"] = json!({"ingestQueues": queues, "lanes": lanes});
        if cache {
            spec["cache"] = json!({"provider": "External", "external": {"endpoints": [{"host": "redis"}]}});
        }
        let manifest = json!({
            "apiVersion": "klatch.dev/v1alpha1", "kind": "ChatCluster",
            "metadata": {"name": name, "namespace": "talk"}, "spec": spec,
        });
        CHECKER
            .with(|checker| checker.read_manifest(&manifest))
            .unwrap_or_else(|refusals| panic!("{refusals:?}: {manifest}"))
    })
}
