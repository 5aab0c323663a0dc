//! ChatClusters as single news. A store is cleared when a list begins, and the watches of several namespaces share one: so a list is told
//! as what came, and what had gone by then.

use std::collections::BTreeMap;

use futures_util::{Stream, StreamExt, stream};
use kube_client::core::{ObjectMeta, PartialObjectMetaExt};
use kube_runtime::watcher::{Event, Result};

use super::{Seen, key};
use crate::Key;

/// What a watch of one scope tells, one by one; `gone` hears of each that is gone.
pub(super) fn one_by_one<'a>(
    events: impl Stream<Item = Result<Event<Seen>>> + Send + 'a,
    gone: impl Fn(&Key) + Send + 'a,
) -> impl Stream<Item = Result<Event<Seen>>> + Send + 'a {
    // Whether the list that is being told has it.
    let mut known: BTreeMap<Key, bool> = BTreeMap::new();
    events.flat_map(move |event| stream::iter(told(&mut known, event, &gone)))
}

fn told(known: &mut BTreeMap<Key, bool>, event: Result<Event<Seen>>, gone: &impl Fn(&Key)) -> Vec<Result<Event<Seen>>> {
    match event {
        Ok(Event::Init) => {
            known.values_mut().for_each(|listed| *listed = false);
            Vec::new()
        }
        Ok(Event::InitApply(seen) | Event::Apply(seen)) => {
            known.insert(key(&seen.metadata), true);
            vec![Ok(Event::Apply(slim(seen)))]
        }
        Ok(Event::Delete(seen)) => {
            let key = key(&seen.metadata);
            known.remove(&key);
            gone(&key);
            vec![Ok(Event::Delete(seen))]
        }
        Ok(Event::InitDone) => {
            let missed = known.extract_if(.., |_, listed| !*listed);
            missed.inspect(|(key, _)| gone(key)).map(|(key, _)| Ok(Event::Delete(named(key)))).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "a watch ended; it begins again");
            Vec::new()
        }
    }
}

/// A pass reads the resource anew: the store is only asked whether there is one.
fn slim(mut seen: Seen) -> Seen {
    seen.metadata.managed_fields = None;
    seen.metadata.annotations = None;
    seen
}

fn named(key: Key) -> Seen {
    let metadata = ObjectMeta { name: Some(key.name), namespace: Some(key.namespace), ..ObjectMeta::default() };
    metadata.into_response_partial()
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    fn chat(name: &str) -> Seen {
        named(Key { namespace: "talk".to_owned(), name: name.to_owned() })
    }

    #[tokio::test]
    async fn one_that_went_while_nobody_watched_is_told_of_and_forgotten() {
        let forgotten = Mutex::new(Vec::new());
        let events = [
            Event::Init,
            Event::InitApply(chat("a")),
            Event::InitApply(chat("b")),
            Event::InitDone,
            Event::Apply(chat("c")),
            Event::Delete(chat("c")),
            Event::Init,
            Event::InitApply(chat("b")),
            Event::InitDone,
        ];
        let told = one_by_one(stream::iter(events.map(Ok)), |key| forgotten.lock().push(key.name.clone()));
        let told = told.filter_map(|event| async move {
            Some(match event.ok()? {
                Event::Apply(seen) => format!("+{}", seen.metadata.name?),
                Event::Delete(seen) => format!("-{}", seen.metadata.name?),
                _ => "a list, which would clear the store".to_owned(),
            })
        });
        assert_eq!(told.collect::<Vec<_>>().await, ["+a", "+b", "+c", "-c", "+b", "-a"]);
        assert_eq!(*forgotten.lock(), ["c", "a"]);
    }
}
