//! An object as it is sent: with its namespace, its owner, and a hash by which it is known again.

use klatch_desired::Object;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::{difference, standing::Owner};
use crate::{kind::Kind, live::Live};

/// Annotation with the hash of what was applied last: what is taken out of an object again shows nowhere else.
pub const APPLIED: &str = "klatch.dev/applied";

/// An object to apply.
#[derive(Debug, Clone)]
pub struct Stamped {
    /// Which kind.
    pub kind: &'static Kind,
    /// Its name.
    pub name: String,
    /// The hash of everything below but itself.
    pub hash: String,
    /// The document.
    pub document: Value,
}

impl Stamped {
    /// Stamps an object.
    #[must_use]
    pub fn new(kind: &'static Kind, object: &Object, owner: &Owner) -> Self {
        let mut document = object.document.clone();
        document["metadata"]["namespace"] = json!(owner.namespace);
        if object.owned {
            document["metadata"]["ownerReferences"] = json!([owner.reference()]);
        }
        let hash = format!("{:032x}", xxh3_128(document.to_string().as_bytes()));
        document["metadata"]["annotations"][APPLIED] = json!(hash);
        Self { kind, name: object.name().to_owned(), hash, document }
    }

    /// Whether the cluster holds it, as it is to be.
    #[must_use]
    pub fn is_applied(&self, live: &Live) -> bool {
        live.annotation(APPLIED) == Some(&self.hash) && difference::holds(self.kind, &self.document, &live.document)
    }
}
