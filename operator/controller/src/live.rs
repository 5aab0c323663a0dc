//! An object as the cluster holds it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube_client::core::DynamicObject;
use serde_json::{Value, json};

use crate::kind::Kind;

/// An object of the cluster.
#[derive(Debug, Clone)]
pub struct Live {
    /// Which kind.
    pub kind: &'static Kind,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The whole document.
    pub document: Value,
}

impl Live {
    /// From what the client read.
    #[must_use]
    pub fn new(kind: &'static Kind, object: &DynamicObject) -> Self {
        let mut document = serde_json::to_value(object).unwrap_or_default();
        // Items of a list do not say what they are.
        document["kind"] = json!(kind.name);
        document["apiVersion"] = json!(kind.resource().api_version);
        // They stand in the metadata, and are as large as all the rest.
        if let Some(metadata) = document["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        Self { kind, metadata: object.metadata.clone(), document }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its identity: a namesake that comes later has another.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// One of its annotations.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        annotation(&self.metadata, name)
    }

    /// One of its labels.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        label(&self.metadata, name)
    }

    /// A number of the document.
    #[must_use]
    pub fn number(&self, pointer: &str) -> Option<i64> {
        self.document.pointer(pointer)?.as_i64()
    }

    /// A text of the document.
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.document.pointer(pointer)?.as_str()
    }

    /// The condition of this type: whether it is `True`, and what it says.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<(bool, &str)> {
        let conditions = self.document.pointer("/status/conditions")?.as_array()?;
        let found = conditions.iter().find(|condition| condition["type"] == kind)?;
        Some((found["status"] == "True", found["message"].as_str().unwrap_or_default()))
    }
}

/// Who ends with whom: the one owner that counts, as there is at most one.
#[must_use]
pub fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// One of the annotations.
#[must_use]
pub fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    Some(metadata.annotations.as_ref()?.get(name)?.as_str())
}

/// One of the labels.
#[must_use]
pub fn label<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    Some(metadata.labels.as_ref()?.get(name)?.as_str())
}
