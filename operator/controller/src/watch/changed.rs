//! Which news are news. An autoscaler writes its status every few seconds; that wakes nobody.

use std::collections::HashMap;

use futures_util::{Stream, StreamExt};
use kube_client::core::{ObjectMeta, PartialObjectMeta};
use kube_runtime::watcher::{self, Event};
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

/// Metadata of what has changed or is gone. With `every`, each change counts; else only those of something beside the status.
pub(crate) fn changed<K, S>(events: S, every: bool) -> impl Stream<Item = ObjectMeta> + Send
where
    K: Send,
    S: Stream<Item = watcher::Result<Event<PartialObjectMeta<K>>>> + Send,
{
    // By hashes alone: there are some fifty objects of each ChatCluster. Two that share one cost a wake at the most.
    let mut known: HashMap<u64, u64> = HashMap::new();
    events.filter_map(move |event| {
        let news = match event {
            Ok(Event::Apply(seen) | Event::InitApply(seen)) => {
                let print = fingerprint(&seen.metadata, every);
                (known.insert(identity(&seen.metadata), print) != Some(print)).then_some(seen.metadata)
            }
            Ok(Event::Delete(seen)) => {
                known.remove(&identity(&seen.metadata));
                Some(seen.metadata)
            }
            Ok(Event::Init | Event::InitDone) => None,
            Err(error) => {
                tracing::warn!(%error, "a watch ended; it begins again");
                None
            }
        };
        std::future::ready(news)
    })
}

fn identity(metadata: &ObjectMeta) -> u64 {
    xxh3_64(metadata.uid.as_deref().unwrap_or_default().as_bytes())
}

/// What tells one state of an object from another.
fn fingerprint(metadata: &ObjectMeta, every: bool) -> u64 {
    if every {
        return xxh3_64(metadata.resource_version.as_deref().unwrap_or_default().as_bytes());
    }
    let fields = metadata.managed_fields.iter().flatten();
    // Some kinds count no generations; who wrote what, and when, tells as much.
    let written: Vec<_> = fields.filter(|entry| entry.subresource.as_deref() != Some("status")).collect();
    let seen = json!([metadata.generation, metadata.labels, metadata.annotations, metadata.owner_references, written]);
    xxh3_64(seen.to_string().as_bytes())
}
