//! Which chat servers there are, by a watch. Numbers come of it and nothing else: it decides no deletion.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube_client::{Api, Client};
use kube_runtime::{WatchStreamExt, watcher, watcher::Event};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::GatewayPod;
use crate::{Key, watch::paged};

type Shelf = Mutex<BTreeMap<String, GatewayPod>>;

/// Pods of gateways, a shelf for each namespace that is watched: a list of one of them is no list of all.
#[derive(Debug)]
pub struct Pods {
    scopes: Vec<(Option<String>, Shelf)>,
}

impl Pods {
    /// Of these namespaces; of none: of all.
    #[must_use]
    pub fn new(namespaces: &[String]) -> Self {
        let all = || vec![(None, Shelf::default())];
        let some = namespaces.iter().map(|one| (Some(one.clone()), Shelf::default())).collect();
        Self { scopes: if namespaces.is_empty() { all() } else { some } }
    }

    /// Keeps them as they are until told to stop.
    pub async fn run(&self, client: &Client, stop: &CancellationToken) {
        let watches = self.scopes.iter().map(|(namespace, shelf)| {
            let api: Api<Pod> = match namespace {
                Some(namespace) => Api::namespaced(client.clone(), namespace),
                None => Api::all(client.clone()),
            };
            keep(api, shelf)
        });
        tokio::select! {
            () = stop.cancelled() => {}
            _ = futures_util::future::join_all(watches) => {}
        }
    }

    /// All of a namespace.
    #[must_use]
    pub fn of_namespace(&self, namespace: &str) -> Vec<GatewayPod> {
        self.find(|pod| pod.key.namespace == namespace)
    }

    /// All that run, by ChatCluster.
    #[must_use]
    pub fn running(&self) -> BTreeMap<Key, Vec<GatewayPod>> {
        let mut by_key: BTreeMap<Key, Vec<GatewayPod>> = BTreeMap::new();
        for pod in self.find(|pod| pod.running) {
            by_key.entry(pod.key.clone()).or_default().push(pod);
        }
        by_key
    }

    fn find(&self, wanted: impl Fn(&GatewayPod) -> bool) -> Vec<GatewayPod> {
        let shelves = self.scopes.iter();
        shelves
            .flat_map(|(_, shelf)| shelf.lock().values().filter(|pod| wanted(pod)).cloned().collect::<Vec<_>>())
            .collect()
    }
}

async fn keep(api: Api<Pod>, shelf: &Shelf) {
    let events = watcher(api, paged().labels(&GatewayPod::selector())).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut listed = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => listed.extend(GatewayPod::of(&pod).map(|pod| (pod.uid.clone(), pod))),
            Ok(Event::InitDone) => *shelf.lock() = std::mem::take(&mut listed),
            Ok(Event::Apply(pod)) => shelf.lock().extend(GatewayPod::of(&pod).map(|pod| (pod.uid.clone(), pod))),
            Ok(Event::Delete(pod)) => {
                shelf.lock().remove(pod.metadata.uid.as_deref().unwrap_or_default());
            }
            Err(error) => tracing::warn!(%error, "the watch of gateways' pods ended; it begins again"),
        }
    }
}
