//! Whose an object is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use klatch_crd::GROUP;
pub use klatch_desired::Owner;
use klatch_desired::{LABEL_INSTANCE, MANAGER};

use crate::live::{controller, label};

/// Whether it is of a ChatCluster of the same name.
fn is_namesake(owner: &OwnerReference, of: &Owner) -> bool {
    owner.kind == "ChatCluster" && owner.name == of.name && owner.api_version.starts_with(GROUP)
}

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// This ChatCluster's.
    Ours,
    /// A ChatCluster's of the same name that is gone: it goes by itself.
    Predecessor,
    /// Somebody else's, who must not lose it.
    Foreign,
}

/// Whose the object of a name that we want is.
#[must_use]
pub fn standing(metadata: &ObjectMeta, owner: &Owner) -> Standing {
    match controller(metadata) {
        Some(found) if found.uid == owner.uid => Standing::Ours,
        Some(found) if is_namesake(found, owner) => Standing::Predecessor,
        Some(_) => Standing::Foreign,
        // Left behind by a deletion that let its children live, or robbed of its owner by hand.
        None => {
            let labelled = label(metadata, "app.kubernetes.io/managed-by") == Some(MANAGER)
                && label(metadata, LABEL_INSTANCE) == Some(owner.name.as_str());
            if labelled { Standing::Ours } else { Standing::Foreign }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_what_is_ours_may_be_written() {
        let owner = Owner { name: "chat".to_owned(), namespace: "talk".to_owned(), uid: "1".to_owned() };
        let of = |labels: Value, owners: Value| {
            let metadata: ObjectMeta =
                serde_json::from_value(json!({"labels": labels, "ownerReferences": owners})).unwrap();
            standing(&metadata, &owner)
        };
        let labels = json!({"app.kubernetes.io/managed-by": MANAGER, LABEL_INSTANCE: "chat"});
        assert_eq!(of(json!({}), json!([owner.reference()])), Standing::Ours, "labels may be lost");
        assert_eq!(of(labels.clone(), json!([])), Standing::Ours, "the owner may be lost");
        assert_eq!(of(json!({}), json!([])), Standing::Foreign);
        let mut old = owner.reference();
        old["uid"] = json!("0");
        assert_eq!(of(labels.clone(), json!([old])), Standing::Predecessor);
        old["kind"] = json!("ReplicaSet");
        assert_eq!(of(labels, json!([old])), Standing::Foreign, "whatever the labels say");
    }
}
