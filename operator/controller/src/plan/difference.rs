//! Whether the cluster holds what was applied. The server adds fields, and writes some values in its own way; neither is a
//! difference. Who else owns a field of the object beside ours may keep it.

use klatch_crd::Quantity;
use serde_json::Value;

use crate::kind::Kind;

/// Lists whose items are told apart by a key, so that others may own items beside ours
/// (`x-kubernetes-list-type: map` in Kubernetes' own schemas).
const LISTS_OF_SEVERAL: [&str; 9] = [
    "containers",
    "initContainers",
    "env",
    "volumes",
    "volumeMounts",
    "imagePullSecrets",
    "topologySpreadConstraints",
    "ownerReferences",
    "ports",
];

/// Whether `live` holds everything that `wanted` says.
#[must_use]
pub fn holds(kind: &Kind, wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().all(|(name, wanted)| {
            let live = live.get(name).unwrap_or(&Value::Null);
            // In a policy, ports are one value: whoever adds one opens it.
            let several =
                LISTS_OF_SEVERAL.contains(&name.as_str()) && !(name == "ports" && kind.name == "NetworkPolicy");
            match (wanted, live) {
                (Value::Array(wanted), Value::Array(live)) if several => {
                    wanted.iter().all(|item| live.iter().any(|other| holds(kind, item, other)))
                }
                _ => holds(kind, wanted, live),
            }
        }),
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len() && wanted.iter().zip(live).all(|(wanted, live)| holds(kind, wanted, live))
        }
        (Value::String(wanted), Value::String(live)) => wanted == live || same_quantity(wanted, live),
        _ => wanted == live || (is_empty(wanted) && is_empty(live)),
    }
}

/// The server leaves out what is empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `1000m` comes back as `1`.
fn same_quantity(one: &str, other: &str) -> bool {
    let nano = |text: &str| Quantity::from(text).nano();
    matches!((nano(one), nano(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, wanted: &Value, live: &Value) -> bool {
        holds(Kind::of(kind).unwrap(), wanted, live)
    }

    #[test]
    fn what_a_server_adds_is_no_difference() {
        let wanted = json!({"spec": {"volumes": [{"name": "tmp", "emptyDir": {}}], "limits": {"cpu": "1000m", "memory": "1024Mi"}}});
        let live = json!({"spec": {"volumes": [{"name": "other"}, {"name": "tmp"}], "limits": {"cpu": "1", "memory": "1Gi"}, "x": 1}});
        assert!(check("Deployment", &wanted, &live));
    }

    #[test]
    fn what_somebody_changed_is_one() {
        let wanted = json!({"spec": {"image": "a", "args": ["x"], "ports": [{"port": 1}]}});
        for live in [
            json!({"spec": {"image": "b", "args": ["x"], "ports": [{"port": 1}]}}),
            json!({"spec": {"image": "a", "args": ["x", "y"], "ports": [{"port": 1}]}}),
            json!({"spec": {"image": "a", "args": ["x"], "ports": [{"port": 2}]}}),
            json!({"spec": {"image": "a", "ports": [{"port": 1}]}}),
        ] {
            assert!(!check("Service", &wanted, &live), "{live}");
        }
    }

    #[test]
    fn a_port_more_in_a_policy_is_one() {
        let wanted = json!({"ingress": [{"ports": [{"port": 1}]}]});
        let live = json!({"ingress": [{"ports": [{"port": 1}, {"port": 2}]}]});
        assert!(!check("NetworkPolicy", &wanted, &live));
        assert!(check("Service", &wanted, &live), "a port more of a Service may be somebody's");
    }

    #[test]
    fn quantities_are_read_as_the_server_does() {
        for (one, other, same) in [
            ("0.5", "500m", true),
            ("1Gi", "1024Mi", true),
            ("1.073741824e+09", "1Gi", true),
            ("0.1234", "123400u", true),
            ("2Ei", "2048Pi", true),
            ("0.1234", "0.1235", false),
            ("1G", "1Gi", false),
            ("a", "b", false),
        ] {
            assert_eq!(same_quantity(one, other), same, "{one} {other}");
        }
    }
}
