//! Lives of the operator: each process has a name of its own in the audit log, so that it can be read there who wrote while
//! somebody else had the lease.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{
    audit::Request,
    control_plane::ControlPlane,
    operator::{OperatorProcess, kubeconfig_of},
};

/// How all of them are called, before a number.
const NAME: &str = "operator-life-";

/// One process.
pub struct Life {
    /// It.
    pub process: OperatorProcess,
    user: String,
    _folder: TempDir,
}

impl Life {
    /// The one of this number, with its lease in the namespace of its ChatClusters.
    #[must_use]
    pub fn begin(plane: &ControlPlane, namespace: &str, number: usize) -> Self {
        let user = format!("{NAME}{number}");
        let (folder, kubeconfig): (TempDir, PathBuf) = kubeconfig_of(plane, &user);
        let process = OperatorProcess::start(&kubeconfig, &[namespace], &[format!("--namespace={namespace}")]);
        Self { process, user, _folder: folder }
    }

    /// Its name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

/// Writes of lives in a namespace while another one, or none, had taken its lease last.
#[must_use]
pub fn written_without_the_lease(requests: &[Request], namespace: &str) -> Vec<String> {
    let of_lives = requests.iter().filter(|one| one.namespace == namespace && one.is_write());
    let mut of_lives: Vec<_> = of_lives.filter(|one| one.user.starts_with(NAME) || one.resource == "leases").collect();
    of_lives.sort_by(|one, other| one.received.cmp(&other.received));
    let (mut holder, mut found) = (String::new(), Vec::new());
    for one in of_lives {
        let done = (200..300).contains(&one.status);
        match one.resource.as_str() {
            "leases" if done && one.verb == "delete" => holder.clear(),
            "leases" if done => holder.clone_from(&one.user),
            "leases" => {}
            _ if one.user == holder => {}
            _ => found.push(format!("{} {} {} {} by {}", one.received, one.verb, one.resource, one.name, one.user)),
        }
    }
    found
}

/// How many of these lives have written something beside the lease.
#[must_use]
pub fn lives_that_wrote(requests: &[Request], namespace: &str) -> usize {
    let writes = requests.iter().filter(|one| one.namespace == namespace && one.changes_more_than_the_lease());
    let users: std::collections::BTreeSet<_> =
        writes.filter(|one| one.user.starts_with(NAME)).map(|one| &one.user).collect();
    users.len()
}
