//! All of a namespace as one text that tells two of them apart only by what the operator has done.

use k8s_openapi::api::core::v1::Secret;
use klatch_controller::{
    kind::{KINDS, Kind},
    plan::{data::USED_BY, stamp::APPLIED},
};
use kube_client::{Api, Client, api::ListParams};
use serde_json::Value;

use super::stand_in::list;

/// Letters at the end of a name that stand for what is in it.
const HASH: usize = 8;

/// What is so in a namespace: every object of a kind of ours, without what the server gives each anew. Secrets only by name and
/// keys, who uses them, and whether somebody owns them.
///
/// # Panics
/// When it cannot be listed.
pub async fn snapshot(client: &Client, namespace: &str, uid: &str) -> String {
    let (mut lines, mut hashed) = (Vec::new(), Vec::new());
    for kind in KINDS.iter().filter(|kind| kind.name != "HTTPRoute") {
        for mut live in list(client, namespace, kind).await {
            if live.label("app.kubernetes.io/managed-by").is_none() {
                continue;
            }
            if matches!(kind.name, "ConfigMap" | "Job") {
                hashed.push(live.name().to_owned());
            }
            normalise(&mut live.document);
            lines.push(format!("{} {}", kind.name, live.document));
        }
    }
    lines.extend(secrets(client, namespace).await);
    lines.sort();
    let mut text = lines.join("\n").replace(uid, "UID").replace(namespace, "NAMESPACE");
    for name in hashed {
        text = text.replace(&name, &format!("{}HASH", &name[..name.len() - HASH]));
    }
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

fn normalise(document: &mut Value) {
    let object = document.as_object_mut().expect("an object");
    object.remove("status");
    object.remove("types");
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        // It counts the identity of the owner, which differs.
        annotations.remove(APPLIED);
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        for field in ["clusterIP", "clusterIPs"] {
            if spec.get(field) != Some(&Value::from("None")) {
                spec.remove(field);
            }
        }
    }
    // A Job's pods are found by its identity.
    for pointer in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        if let Some(labels) = document.pointer_mut(pointer).and_then(Value::as_object_mut) {
            labels.remove("batch.kubernetes.io/controller-uid");
            labels.remove("controller-uid");
        }
    }
}

async fn secrets(client: &Client, namespace: &str) -> Vec<String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let list = api.list(&ListParams::default()).await.expect("Secrets").items;
    let of = |secret: Secret| {
        let file = |key: String| if key.ends_with(".key.json") { "KEY.key.json".to_owned() } else { key };
        let keys: Vec<_> = secret.data.unwrap_or_default().into_keys().map(file).collect();
        let owned = secret.metadata.owner_references.is_some();
        let user = secret.metadata.annotations.unwrap_or_default().remove(USED_BY);
        format!("Secret {} {keys:?}, used by {user:?}, owned: {owned}", secret.metadata.name.unwrap_or_default())
    };
    list.into_iter().map(of).collect()
}

/// Identity and content of every Secret, and the identity of every volume's claim: what nobody may ever change unasked.
///
/// # Panics
/// When they cannot be listed.
pub async fn treasures(client: &Client, namespace: &str) -> Vec<String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secrets = api.list(&ListParams::default()).await.expect("Secrets").items.into_iter().map(|secret| {
        let data = serde_json::to_string(&secret.data).expect("JSON");
        format!("{} {} {data}", secret.metadata.name.unwrap_or_default(), secret.metadata.uid.unwrap_or_default())
    });
    let claims = Kind::of("PersistentVolumeClaim").expect("a kind");
    let claims = list(client, namespace, claims).await.into_iter().map(|one| format!("{} {}", one.name(), one.uid()));
    secrets.chain(claims.collect::<Vec<_>>()).collect()
}
