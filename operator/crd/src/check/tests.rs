use serde_json::{Value, json};

use super::*;

fn smallest() -> Value {
    json!({
        "apiVersion": "klatch.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": {"name": "chat"},
        "spec": {"version": "0.1.0", "messages": {"shardSets": [{"name": "main", "shards": 1}]}},
    })
}

#[test]
fn the_smallest_manifest_is_read_with_its_defaults() {
    let read = Checker::default().read_manifest(&smallest()).unwrap();
    assert_eq!(read.spec.messages.slots, 256);
    assert_eq!(read.spec.broker.topology, crate::Topology::default());
    assert_eq!(read.spec.gateway.drain.period, "45s");
}

#[test]
fn every_rule_compiles_and_has_a_sentence() {
    fn look(schema: &Value, seen: &mut usize) {
        if let Value::Object(fields) = schema {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                *seen += 1;
                let text = rule["rule"].as_str().unwrap();
                kube::core::cel::cel::Program::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let message = rule["message"].as_str().unwrap();
                assert!(message.len() > 20 && !message.contains('\n') && !message.contains("  "), "{message}");
            }
            fields.values().for_each(|field| look(field, seen));
        }
        if let Value::Array(items) = schema {
            items.iter().for_each(|item| look(item, seen));
        }
    }
    let mut seen = 0;
    look(&Checker::default().schema, &mut seen);
    assert!(seen > 60, "this test looks at {seen} rules");
}

#[test]
fn every_field_is_described_and_every_text_and_list_bounded() {
    fn look(path: &str, schema: &Value, seen: &mut usize) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, field) in properties {
                *seen += 1;
                let path = format!("{path}.{name}");
                let description = field["description"].as_str().unwrap_or_default();
                assert!(description.ends_with(['.', ')']) && description.len() > 5, "{path}: {description:?}");
                look(&path, field, seen);
            }
        }
        // What the operator writes itself needs no bound.
        if path.starts_with(".spec") {
            let bounded = match schema["type"].as_str() {
                Some("string") => schema["maxLength"].is_u64() || schema["enum"].is_array(),
                Some("array") => schema["maxItems"].is_u64(),
                Some("integer") => schema["maximum"].is_number(),
                Some("object") => schema["properties"].is_object() || schema["maxProperties"].is_u64(),
                _ => true,
            };
            assert!(bounded, "{path} has no bound: CEL's cost limit would refuse the definition");
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                look(&format!("{path}[]"), &schema[inner], seen);
            }
        }
    }
    let (mut seen, checker) = (0, Checker::default());
    for part in ["spec", "status"] {
        look(&format!(".{part}"), &checker.schema["properties"][part], &mut seen);
    }
    assert!(seen > 150, "this test looks at {seen} fields");
}

#[test]
fn what_does_not_fit_is_told_in_the_apiservers_words() {
    let mut manifest = smallest();
    manifest["spec"]["messages"]["slots"] = json!("many");
    manifest["spec"]["deletionPolicy"] = json!("Burn");
    manifest["spec"]["files"] = json!({});
    let refusals: Vec<_> = Checker::default().check_manifest(&manifest).iter().map(ToString::to_string).collect();
    assert_eq!(
        refusals,
        [
            "spec.deletionPolicy: Unsupported value: \"Burn\": supported values: \"Retain\", \"Delete\"",
            "strict decoding error: unknown field \"spec.files\"",
            "spec.messages.slots: Invalid value: \"string\": spec.messages.slots in body must be of type integer: \"string\"",
        ]
    );
}

#[test]
fn a_change_is_held_against_what_stood_there() {
    let mut changed = smallest();
    changed["spec"]["messages"]["shardSets"][0]["shards"] = json!(2);
    let refusals = Checker::default().check_change(&smallest(), &changed);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(refusals[0].sentence.contains("cannot move slots"), "{}", refusals[0]);
    assert_eq!(Checker::default().check_change(&smallest(), &smallest()), []);
}

/// Queue and lane i are on broker i mod n.
#[test]
fn a_broker_keeps_its_place_and_may_get_another_address() {
    let cluster = |brokers: &[(&str, u16)]| {
        let one = |&(host, port): &(&str, u16)| {
            let management = json!({"url": "http://rabbitmq:15672", "secretRef": {"name": "administrator"}});
            json!({"host": host, "port": port, "management": management})
        };
        let brokers: Vec<_> = brokers.iter().map(one).collect();
        let mut manifest = smallest();
        manifest["spec"]["broker"] = json!({"provider": "External", "external": {"brokers": brokers}});
        manifest
    };
    let checker = Checker::default();
    let broken = |old: &[(&str, u16)], new: &[(&str, u16)]| checker.check_change(&cluster(old), &cluster(new)).len();

    let stood = [("a", 1), ("b", 1), ("c", 1)];
    assert_eq!(broken(&stood, &stood), 0);
    assert_eq!(broken(&stood, &[("a", 1), ("new", 1), ("c", 2)]), 0, "another host, another port");
    assert_eq!(broken(&stood, &[("x", 1), ("y", 1), ("z", 1)]), 0, "all of them elsewhere");
    assert_eq!(broken(&stood, &[("b", 1), ("a", 1), ("c", 1)]), 1, "another order");
    assert_eq!(broken(&stood, &[("b", 2), ("a", 2), ("c", 2)]), 1, "another order and other ports");
    assert_eq!(broken(&stood, &[("b", 1), ("c", 1), ("new", 1)]), 1, "all move up");
    assert_eq!(broken(&stood, &[("a", 1), ("c", 1)]), 1, "one less");

    let shared = [("a", 1), ("a", 2), ("b", 1)];
    assert_eq!(broken(&shared, &shared), 0);
    assert_eq!(broken(&shared, &[("a", 1), ("new", 2), ("b", 1)]), 0, "one of a host leaves it");
    assert_eq!(broken(&shared, &[("a", 3), ("a", 4), ("b", 1)]), 0, "other ports of a host");
    assert_eq!(broken(&shared, &[("a", 2), ("a", 1), ("b", 1)]), 1, "another order within a host");
    assert_eq!(broken(&shared, &[("a", 1), ("b", 1), ("a", 2)]), 1, "another order among hosts");
}

#[test]
fn databases_and_redis_may_be_at_ipv6_addresses() {
    let mut manifest = smallest();
    let host = json!({"host": "fd00::1", "secretRef": {"name": "login"}});
    manifest["spec"]["directory"] = json!({"provider": "External", "external": host});
    manifest["spec"]["cache"] = json!({"provider": "External", "external": {"endpoints": [{"host": "fd00::1"}]}});
    assert_eq!(Checker::default().check_manifest(&manifest), []);
}

#[test]
fn null_is_nothing_at_all() {
    let mut manifest = smallest();
    manifest["spec"]["endpoint"] = json!({"type": null, "ingress": null, "hosts": null});
    manifest["spec"]["gateway"] = json!(null);
    let read = Checker::default().read_manifest(&manifest).unwrap();
    assert_eq!(read.spec, Checker::default().read_manifest(&smallest()).unwrap().spec);
}

/// kubectl says it in other words before an apiserver hears of it.
#[test]
fn another_kind_or_version_is_refused_first() {
    let mut manifest = smallest();
    manifest["apiVersion"] = json!("klatch.dev/v1");
    manifest["kind"] = json!("Chat");
    let refusals: Vec<_> = Checker::default().check_manifest(&manifest).iter().map(ToString::to_string).collect();
    assert_eq!(refusals, ["apiVersion: write apiVersion: klatch.dev/v1alpha1", "kind: write kind: ChatCluster"]);
}
