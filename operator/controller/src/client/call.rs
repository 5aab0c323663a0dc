//! What a request is about, read from its address.

use std::fmt;

use http::{Method, Uri};

/// A call: to the apiserver, or to a broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// `GET`, `PATCH`, ...
    pub verb: String,
    /// `deployments`, `chatclusters/status`, `rabbitmq/queues`.
    pub kind: String,
    /// Its namespace; empty where there is none.
    pub namespace: String,
    /// Its name; empty for a list, and for what is made by `POST`.
    pub name: String,
    /// Whether it goes on until somebody ends it.
    pub watch: bool,
}

impl Call {
    /// A call to the apiserver (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>).
    #[must_use]
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let mut rest: &[&str] = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let mut namespace = "";
        if let ["namespaces", name, plural, ..] = rest {
            let _ = plural;
            namespace = name;
            rest = &rest[2..];
        }
        let (kind, name) = match rest {
            [] => (uri.path().to_owned(), ""),
            [plural] => ((*plural).to_owned(), ""),
            [plural, name] => ((*plural).to_owned(), *name),
            [plural, name, sub @ ..] => (format!("{plural}/{}", sub.join("/")), *name),
        };
        Self {
            verb: method.as_str().to_owned(),
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            watch: uri.query().is_some_and(|query| query.contains("watch=true")),
        }
    }

    /// Whether it changes something. A review of somebody's rights is a question that is asked by `POST`.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.verb != "GET" && !self.kind.ends_with("accessreviews") && !self.kind.ends_with("tokenreviews")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.verb, self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, uri: &'static str) -> (String, bool) {
        let call = Call::of(&method, &Uri::from_static(uri));
        (format!("{call} in {}", call.namespace), call.is_write())
    }

    #[test]
    fn addresses_are_read() {
        let apply = "/apis/apps/v1/namespaces/talk/deployments/chat-api?fieldManager=x";
        assert_eq!(of(Method::PATCH, apply), ("PATCH deployments chat-api in talk".to_owned(), true));
        let status = "/apis/klatch.dev/v1alpha1/namespaces/talk/chatclusters/chat/status";
        assert_eq!(of(Method::PATCH, status), ("PATCH chatclusters/status chat in talk".to_owned(), true));
        assert_eq!(of(Method::GET, "/api/v1/secrets?watch=true"), ("GET secrets  in ".to_owned(), false));
        assert_eq!(of(Method::GET, "/api/v1/namespaces/talk"), ("GET namespaces talk in ".to_owned(), false));
        assert_eq!(of(Method::GET, "/version").0, "GET /version  in ");
        assert!(!of(Method::POST, "/apis/authorization.k8s.io/v1/subjectaccessreviews").1);
    }
}
