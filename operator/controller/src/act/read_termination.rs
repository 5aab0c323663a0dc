//! Why a Job failed, in the words of its last pod.

use k8s_openapi::api::core::v1::Pod;
use kube_client::{Api, Client, api::ListParams};

use crate::{
    failure::{Failure, Step},
    plan::standing::Owner,
};

/// Characters of a message that a condition shows.
const MOST_CHARACTERS: usize = 600;

/// What the newest failed pod of a Job left behind, if one is there still.
///
/// # Errors
/// What the apiserver said.
pub async fn read_termination(client: &Client, owner: &Owner, job: &str) -> Result<Option<String>, Failure> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &owner.namespace);
    let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    let what = || format!("list pods of Job {job}");
    let mut pods = api.list(&selector).await.map_err(Failure::api(Step::Observe, what))?.items;
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
    let said = pods.iter().rev().find_map(|pod| {
        let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
        containers.iter().find_map(|one| one.state.as_ref()?.terminated.as_ref()?.message.clone())
    });
    let tail = |text: String| {
        let text = text.trim().replace('\n', "; ");
        let skipped = text.chars().count().saturating_sub(MOST_CHARACTERS);
        text.chars().skip(skipped).collect::<String>()
    };
    Ok(said.map(tail).filter(|text| !text.is_empty()))
}
