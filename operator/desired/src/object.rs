//! A Kubernetes object to apply.

use k8s_openapi::{Metadata, NamespaceResourceScope, Resource, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Context, Texts};

/// An object as it is applied: only the fields the operator owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The document.
    pub document: Value,
    /// Whether it ends with the ChatCluster. What is not owned stays: nothing of this crate's objects but what holds data.
    pub owned: bool,
}

impl Object {
    /// From a typed one. Fields that are left out are not owned; Kubernetes' own types write some empty ones, which go.
    pub(crate) fn new<T>(typed: &T) -> Self
    where
        T: Resource<Scope = NamespaceResourceScope> + Metadata<Ty = ObjectMeta> + Serialize,
    {
        let mut document = serde_json::to_value(typed).unwrap_or_default();
        document["apiVersion"] = json!(T::API_VERSION);
        document["kind"] = json!(T::KIND);
        Self { document, owned: true }
    }

    /// From a document of a kind that Kubernetes itself does not bring.
    pub(crate) fn from_document(document: Value) -> Self {
        Self { document, owned: true }
    }

    fn text(&self, pointer: &str) -> &str {
        self.document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `Deployment`, ...
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `apps/v1`, ...
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The template of its pods, if it makes some.
    #[must_use]
    pub fn pod_template(&self) -> Option<&Value> {
        self.document.pointer("/spec/template")
    }
}

/// Metadata of an object of the cluster.
pub(crate) fn metadata(context: &Context<'_>, name: impl Into<String>, labels: Texts) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: context.names.namespace().map(str::to_owned),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}
