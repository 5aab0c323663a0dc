//! An object as it is sent: with its namespace, its owner, and a hash by which it is known again.

use klatch_crd::{ChatCluster, GROUP, VERSION};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::Object;

/// Annotation with the hash of what was applied last: what is taken out of an object again shows nowhere else.
pub const APPLIED: &str = "klatch.dev/applied";

/// The ChatCluster that objects end with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its identity.
    pub uid: String,
}

impl Owner {
    /// Of this resource.
    #[must_use]
    pub fn of(cluster: &ChatCluster) -> Self {
        let text = |some: &Option<String>| some.clone().unwrap_or_default();
        Self {
            name: text(&cluster.metadata.name),
            namespace: text(&cluster.metadata.namespace),
            uid: text(&cluster.metadata.uid),
        }
    }

    /// As an object names it. It does not hold up the owner's end: nothing of ours needs an order, and an operator that is gone
    /// must not stop a namespace from going.
    #[must_use]
    pub fn reference(&self) -> Value {
        json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "ChatCluster", "name": self.name, "uid": self.uid,
            "controller": true, "blockOwnerDeletion": false,
        })
    }
}

impl Object {
    /// The document to send for this owner, and the hash of it that stands in it.
    #[must_use]
    pub fn stamped(&self, owner: &Owner) -> (Value, String) {
        let mut document = self.document.clone();
        document["metadata"]["namespace"] = json!(owner.namespace);
        if self.owned {
            document["metadata"]["ownerReferences"] = json!([owner.reference()]);
        }
        let hash = format!("{:032x}", xxh3_128(document.to_string().as_bytes()));
        document["metadata"]["annotations"][APPLIED] = json!(hash);
        (document, hash)
    }
}
