//! An object to apply, and whether it is.

use klatch_desired::{Object, Owner};
use serde_json::Value;

use super::difference;
use crate::{kind::Kind, live::Live};

pub use klatch_desired::APPLIED;

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
        let (document, hash) = object.stamped(owner);
        Self { kind, name: object.name().to_owned(), hash, document }
    }

    /// Whether the cluster holds it, as it is to be.
    #[must_use]
    pub fn is_applied(&self, live: &Live) -> bool {
        live.annotation(APPLIED) == Some(&self.hash) && difference::holds(self.kind, &self.document, &live.document)
    }
}
