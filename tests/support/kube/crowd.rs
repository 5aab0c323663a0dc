//! Many ChatClusters at once, on brokers that the test serves, with a stand-in for their pods.

use std::{fmt::Write as _, sync::Arc};

use klatch_crd::ChatCluster;
use kube_client::{Api, Client, api::ListParams};

use super::{
    brokers::{Brokers, serve},
    control_plane::ControlPlane,
    scene::is_ready,
    stand_in::{Jobs, mark},
};

/// ChatClusters that share a namespace.
const IN_A_NAMESPACE: usize = 20;
/// What brokers are looked after by. Nobody checks it.
pub const MANAGEMENT: &str = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "management"},
    "stringData": {"username": "admin", "password": "secret"}}"#;

/// Many ChatClusters.
pub struct Crowd {
    client: Client,
    namespaces: Vec<String>,
    count: usize,
}

/// One on a broker whose management API is at this loopback port; `more` stands below `spec`.
#[must_use]
pub fn manifest(name: &str, port: u16, more: &str) -> String {
    format!(
        "apiVersion: klatch.dev/v1alpha1\nkind: ChatCluster\nmetadata: {{name: {name}}}\nspec:\n  version: 0.1.0\n  \
         messages: {{shardSets: [{{name: main, shards: 1}}]}}\n  broker:\n    provider: External\n    external:\n      \
         brokers: [{{host: rabbitmq.example.org, management: {{url: \"http://127.0.0.1:{port}\", secretRef: {{name: management}}}}}}]\n\
         {more}"
    )
}

impl Crowd {
    /// So many.
    pub async fn apply(plane: &ControlPlane, client: Client, count: usize) -> Self {
        let port = serve(Arc::<Brokers>::default()).await;
        let mut namespaces = Vec::new();
        for first in (0..count).step_by(IN_A_NAMESPACE) {
            let namespace = plane.namespace();
            let mut documents = MANAGEMENT.to_owned();
            for number in first..count.min(first + IN_A_NAMESPACE) {
                let _ = write!(documents, "\n---\n{}", manifest(&format!("chat-{number}"), port, ""));
            }
            plane.kubectl().must_with(&["create", "--namespace", &namespace, "-f", "-"], &documents);
            namespaces.push(namespace);
        }
        Self { client, namespaces, count }
    }

    /// Says of all their pods that they are ready; how many ChatClusters are.
    ///
    /// # Panics
    /// When the apiserver does not answer.
    pub async fn nudge(&self) -> usize {
        for namespace in &self.namespaces {
            mark(&self.client, namespace, Jobs::Complete).await;
        }
        let all =
            Api::<ChatCluster>::all(self.client.clone()).list(&ListParams::default()).await.expect("ChatClusters");
        all.items.iter().filter(|one| one.status.as_ref().is_some_and(is_ready)).count()
    }

    /// Whether all are ready.
    pub async fn is_ready(&self) -> bool {
        self.nudge().await == self.count
    }
}
