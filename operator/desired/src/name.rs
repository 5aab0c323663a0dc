//! Names and labels, all in one place. A name of ours never has more than 52 characters: what Kubernetes hangs on it (the hash
//! of a StatefulSet's revision, a pod's number) must fit into the 63 of a label.

use klatch_crd::ChatCluster;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Login, Role, Texts, texts};

/// The manager of the fields that the operator owns.
pub const MANAGER: &str = "klatch-operator";
/// The ChatCluster that something belongs to.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// What it is part of: `gateway`, `postgres`, ...
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Which database: `directory`, `main-0`.
pub const LABEL_PART: &str = "klatch.dev/part";
/// The cluster id, on what outlives the ChatCluster.
pub const LABEL_CLUSTER: &str = "klatch.dev/cluster-id";
/// Longest name.
const LONGEST: usize = 52;

/// Names of one ChatCluster's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    cluster: String,
    namespace: Option<String>,
}

impl Names {
    /// Of this ChatCluster.
    #[must_use]
    pub fn new(cluster: &ChatCluster) -> Self {
        Self {
            cluster: cluster.metadata.name.clone().unwrap_or_default(),
            namespace: cluster.metadata.namespace.clone(),
        }
    }

    /// The ChatCluster's own.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The ChatCluster's namespace, where the manifest says it.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Something of the cluster.
    #[must_use]
    pub fn of(&self, rest: &str) -> String {
        bounded(&format!("{}-{rest}", self.cluster))
    }

    /// What a role's Deployment, ServiceAccount and Service are called.
    #[must_use]
    pub fn role(&self, role: Role) -> String {
        self.of(role.name())
    }

    /// A PostgreSQL server: of the directory, or of a shard.
    #[must_use]
    pub fn postgres(&self, part: &str) -> String {
        self.of(&format!("postgres-{part}"))
    }

    /// A name that changes with the content.
    #[must_use]
    pub fn hashed(&self, rest: &str, content: &[u8]) -> String {
        let hash = short_hash(content);
        let room = LONGEST - hash.len() - 1;
        format!("{}-{hash}", bounded_to(&format!("{}-{rest}", self.cluster), room))
    }

    /// What stands for this ChatCluster alone on a broker that others use too.
    #[must_use]
    pub fn vhost(&self) -> String {
        format!("{}.{}", self.namespace.as_deref().unwrap_or("default"), self.cluster)
    }

    /// Labels of everything of the cluster.
    #[must_use]
    pub fn labels(&self) -> Texts {
        texts([
            ("app.kubernetes.io/name", "klatch"),
            (LABEL_INSTANCE, &self.cluster),
            ("app.kubernetes.io/managed-by", MANAGER),
        ])
    }

    /// Labels of everything of a role.
    #[must_use]
    pub fn role_labels(&self, role: Role) -> Texts {
        let mut labels = self.labels();
        labels.insert(LABEL_COMPONENT.to_owned(), role.name().to_owned());
        labels
    }

    /// By what the pods of a role are found.
    #[must_use]
    pub fn selector(&self, role: Role) -> Texts {
        texts([(LABEL_INSTANCE, &self.cluster), (LABEL_COMPONENT, role.name())])
    }
}

/// A workload's role at the databases.
pub(crate) fn database_role(role: Role, login: Login) -> String {
    format!("klatch_{}_{}", role.name().replace('-', "_"), login.letter())
}

/// A workload's key in a Secret of logins.
pub(crate) fn login_key(role: Role, login: Login) -> String {
    format!("{}-{}", role.name(), login.letter())
}

/// Eight hexadecimal digits: enough to tell a dozen versions of one thing apart.
pub(crate) fn short_hash(content: &[u8]) -> String {
    format!("{:08x}", xxh3_64(content) >> 32)
}

fn bounded(name: &str) -> String {
    bounded_to(name, LONGEST)
}

/// The name, or its beginning and a hash of it.
fn bounded_to(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.to_owned();
    }
    let hash = short_hash(name.as_bytes());
    // Names are ASCII: the schema lets nothing else through.
    let kept: String = name.chars().take(most - hash.len() - 1).collect();
    format!("{}-{hash}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_beginning_and_stay_apart() {
        let long = format!("{}-postgres-main-", "x".repeat(40));
        let (one, other) = (bounded(&format!("{long}1")), bounded(&format!("{long}2")));
        assert!(one.len() <= LONGEST && one != other, "{one} {other}");
        assert!(one.starts_with("xxxx"));
        assert_eq!(bounded("chat-redis"), "chat-redis");
    }
}
