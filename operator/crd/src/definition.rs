//! The CustomResourceDefinition, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{ChatCluster, rules};

/// Where it is committed, below the repository's root.
pub const FILE: &str = "crds/chatclusters.klatch.dev.yaml";

/// The definition of ChatCluster as a document that an apiserver takes.
///
/// # Panics
/// Never: the derived definition always is JSON with a version and a schema, which a test looks at.
#[must_use]
pub fn definition() -> Value {
    let derived: CustomResourceDefinition = ChatCluster::crd();
    let mut definition = serde_json::to_value(derived).unwrap_or_default();
    if let Some(schema) = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        // What no derive can say: rules over the name beside the spec.
        schema["x-kubernetes-validations"] = json!(rules::ROOT);
        describe_root(schema);
        tidy(schema);
    }
    definition
}

/// `kubectl explain chat` begins with these.
fn describe_root(schema: &mut Value) {
    if let Some(status) = schema.pointer_mut("/properties/status") {
        status["description"] = json!("What the operator saw last.");
    }
}

/// Formats such as `uint32` are known to no apiserver, and only make it warn; a number's range is said by its bounds. And nothing
/// may be null: then an apiserver takes a null for nothing at all, as people who template manifests mean it.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("format").is_some_and(|format| format.as_str().is_some_and(|name| name.starts_with("uint"))) {
                fields.remove("format");
            }
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The same as committed YAML.
///
/// # Errors
/// What cannot be written, which would be a defect here.
pub fn definition_yaml() -> Result<String, String> {
    let yaml = serde_saphyr::to_string(&definition()).map_err(|error| error.to_string())?;
    Ok(format!(
        "# Generated from operator/crd; UPDATE=1 cargo test -p klatch-tests --test house writes it anew.\n{yaml}"
    ))
}
