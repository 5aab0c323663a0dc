//! Who asked the apiserver for what, as it wrote that down itself
//! (<https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>).

use std::{fs, path::Path};

use serde_json::Value;

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asked, such as `system:serviceaccount:klatch:klatch-operator`.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    /// In the plural, with a subresource as `deployments/scale`; the path, when it is not about a resource.
    pub resource: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Empty for lists and creations.
    pub name: String,
    /// HTTP status; 0 while a watch goes on.
    pub status: u64,
    /// When it came, as RFC 3339.
    pub received: String,
}

impl Request {
    pub(super) fn all(log: &Path) -> Vec<Self> {
        let text = fs::read_to_string(log).expect("an audit log");
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(|event| Self::read(&event)).collect()
    }

    fn read(event: &Value) -> Self {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let resource = match (text("/objectRef/resource"), text("/objectRef/subresource")) {
            (none, _) if none.is_empty() => text("/requestURI"),
            (resource, none) if none.is_empty() => resource,
            (resource, subresource) => format!("{resource}/{subresource}"),
        };
        Self {
            user: text("/user/username"),
            verb: text("/verb"),
            group: text("/objectRef/apiGroup"),
            resource,
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            status: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
            received: text("/requestReceivedTimestamp"),
        }
    }
}
