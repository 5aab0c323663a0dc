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
