//! Who asked the apiserver for what, as it wrote that down itself
//! (<https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>).

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asked, such as `system:serviceaccount:klatch:klatch-operator`; whom they said they are, if that is somebody else.
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
    /// `ResponseComplete`; `ResponseStarted` of a watch, which is told twice.
    pub stage: String,
}

impl Request {
    /// Whether it changes something. A review of somebody's rights is a question that is asked by `create`.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str()) && !self.resource.ends_with("reviews")
    }

    /// Whether it changes something beside the lease, which is held by writing it.
    #[must_use]
    pub fn changes_more_than_the_lease(&self) -> bool {
        self.is_write() && self.resource != "leases"
    }

    /// Whether it is what it is called, and not the end of a watch that began before.
    #[must_use]
    pub fn begins(&self) -> bool {
        self.verb != "watch" || self.stage == "ResponseStarted"
    }

    pub(super) fn all(log: &Path) -> Vec<Self> {
        let folder = fs::read_dir(log.parent().expect("a folder")).expect("a folder of logs");
        // After 100 MB the apiserver begins another and names the old one after the moment.
        let names = folder.flatten().map(|entry| entry.path());
        let mut files: Vec<_> = names.filter(|path| name(path).starts_with(&format!("{}-", name(log)))).collect();
        files.sort();
        files.push(log.to_owned());
        let read = |file: PathBuf| {
            let text = fs::read_to_string(file).expect("an audit log");
            // The last line may be half written.
            let events = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            events.map(|event| Self::read(&event)).collect::<Vec<_>>()
        };
        files.into_iter().flat_map(read).collect()
    }

    fn read(event: &Value) -> Self {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let resource = match (text("/objectRef/resource"), text("/objectRef/subresource")) {
            (none, _) if none.is_empty() => text("/requestURI"),
            (resource, none) if none.is_empty() => resource,
            (resource, subresource) => format!("{resource}/{subresource}"),
        };
        Self {
            user: user(text("/impersonatedUser/username"), text("/user/username")),
            verb: text("/verb"),
            group: text("/objectRef/apiGroup"),
            resource,
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            status: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
            received: text("/requestReceivedTimestamp"),
            stage: text("/stage"),
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn user(said: String, is: String) -> String {
    if said.is_empty() { is } else { said }
}
