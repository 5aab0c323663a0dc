//! Which news are news. An autoscaler writes its status every few seconds; that wakes nobody.

use std::collections::HashMap;

use futures_util::{Stream, StreamExt};
use kube_client::core::{ObjectMeta, PartialObjectMeta};
use kube_runtime::watcher::{self, Event};
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

/// Something to look at.
pub(crate) enum News {
    /// This has changed, or is gone.
    Of(Box<ObjectMeta>),
    /// All there is has been told. With `missed`, something that was known is gone, and nobody knows any more whose it was: it went while
    /// the watch was away for too long.
    Listed { missed: bool },
}

/// What is new of objects. With `every`, each change counts; else only those of something beside the status.
pub(crate) fn changed<K, S>(events: S, every: bool) -> impl Stream<Item = News> + Send
where
    K: Send,
    S: Stream<Item = watcher::Result<Event<PartialObjectMeta<K>>>> + Send,
{
    let mut known = Known::default();
    events.filter_map(move |event| std::future::ready(known.news(event, every)))
}

/// By hashes alone: there are some fifty objects of each ChatCluster. Two that share one cost a wake at the most.
#[derive(Default)]
struct Known {
    /// Identity: fingerprint, and the list that told of it last.
    objects: HashMap<u64, (u64, u32)>,
    list: u32,
}

impl Known {
    fn news<K>(&mut self, event: watcher::Result<Event<PartialObjectMeta<K>>>, every: bool) -> Option<News> {
        match event {
            Ok(Event::Apply(seen) | Event::InitApply(seen)) => {
                let print = fingerprint(&seen.metadata, every);
                let before = self.objects.insert(identity(&seen.metadata), (print, self.list));
                before.is_none_or(|(before, _)| before != print).then(|| News::Of(Box::new(seen.metadata)))
            }
            Ok(Event::Delete(seen)) => {
                self.objects.remove(&identity(&seen.metadata));
                Some(News::Of(Box::new(seen.metadata)))
            }
            Ok(Event::Init) => {
                self.list = self.list.wrapping_add(1);
                None
            }
            Ok(Event::InitDone) => {
                let (before, list) = (self.objects.len(), self.list);
                self.objects.retain(|_, (_, told)| *told == list);
                Some(News::Listed { missed: self.objects.len() < before })
            }
            Err(error) => {
                tracing::warn!(%error, "a watch ended; it begins again");
                None
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn seen(uid: &str, version: &str) -> PartialObjectMeta<()> {
        let metadata = ObjectMeta {
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        };
        PartialObjectMeta { metadata, ..PartialObjectMeta::default() }
    }

    #[tokio::test]
    async fn what_went_while_nobody_watched_is_news() {
        let events = [
            Event::Init,
            Event::InitApply(seen("a", "1")),
            Event::InitApply(seen("b", "1")),
            Event::InitDone,
            Event::Apply(seen("b", "2")),
            // The watch begins anew: nothing has changed, then one is gone.
            Event::Init,
            Event::InitApply(seen("a", "1")),
            Event::InitApply(seen("b", "2")),
            Event::InitDone,
            Event::Init,
            Event::InitApply(seen("b", "2")),
            Event::InitDone,
        ];
        let told = changed(stream::iter(events.map(Ok)), true).map(|news| match news {
            News::Of(metadata) => metadata.uid.unwrap_or_default(),
            News::Listed { missed } => missed.to_string(),
        });
        assert_eq!(told.collect::<Vec<_>>().await, ["a", "b", "false", "b", "false", "true"]);
    }
}
