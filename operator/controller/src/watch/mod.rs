//! When to look: watches wake a pass, and decide nothing. What they miss is found by the next pass, which comes anyway.

mod asked;
mod brokers;
pub(crate) mod changed;
mod gateways;
mod one_by_one;
mod optional;

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use klatch_crd::ChatCluster;
use klatch_desired::{LABEL_INSTANCE, MANAGER};
use kube_client::{
    Api, Client, Resource,
    core::{ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta},
};
use kube_runtime::{
    WatchStreamExt,
    controller::{Action, Config, ReconcileRequest, applier},
    reflector::{self, ObjectRef, Store},
    watcher,
};
use tokio_util::sync::CancellationToken;

use self::{asked::asked, changed::News, one_by_one::one_by_one};
use crate::{
    Key,
    kind::{KINDS, OPTIONAL},
    live::{controller, label},
    operator::Operator,
    pass::pass,
};

/// Passes at a time.
const CONCURRENCY: u16 = 16;
/// Changes that come together are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(150);

/// Objects of one page of a list. Each kind is listed when a watch begins, all at once, and what an object's fields' owners take of memory
/// is ten times their text: pages of kube's own 500 cost an operator of 200 ChatClusters some 30 MB when it starts.
const PAGE: u32 = 50;

/// How everything is watched.
pub(crate) fn paged() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// The resource, as far as a watch knows it.
type Seen = PartialObjectMeta<ChatCluster>;
type Wakes = stream::BoxStream<'static, ObjectRef<Seen>>;

/// Looks after every ChatCluster of these namespaces (none: of all) until told to stop. Passes under way then end where they are.
pub async fn run(operator: Arc<Operator>, namespaces: &[String], stop: CancellationToken) {
    let scopes: Vec<Option<&str>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().map(|one| Some(one.as_str())).collect() };
    let (store, writer) = reflector::store();
    let resources = scopes.iter().map(|scope| {
        let events = watcher(api::<ChatCluster>(&operator.client, *scope), paged()).default_backoff();
        let operator = Arc::clone(&operator);
        one_by_one(events, move |key| operator.memory.forget(key)).boxed()
    });
    // Passes begin once the store has seen a list, and it is to be told of none later.
    let begun = stream::iter([Ok(watcher::Event::Init), Ok(watcher::Event::InitDone)]);
    let resources = reflector::reflector(writer, begun.chain(stream::select_all(resources)).boxed());
    let resources =
        resources.applied_objects().filter_map(|seen| async move { Some(ObjectRef::from_obj(&seen.ok()?)) });
    let brokers = asked(Arc::clone(&operator), brokers::EVERY, brokers::look);
    let gateways = asked(Arc::clone(&operator), gateways::EVERY, gateways::look);
    let mut wakes: Vec<Wakes> = vec![resources.boxed(), brokers.boxed(), gateways.boxed()];
    for scope in scopes {
        wakes.push(secrets(&operator, scope, store.clone()));
        wakes.extend(KINDS.iter().filter(|kind| kind.name != "PersistentVolumeClaim").map(|kind| {
            let api = dynamic_api(&operator.client, scope, &kind.resource());
            owned(api, kind.gate, kind.name == OPTIONAL, store.clone())
        }));
    }
    let queue = stream::select_all(wakes).map(|wake| Ok::<_, Infallible>(ReconcileRequest::from(wake)));
    let queue = queue.take_until(stop.clone().cancelled_owned());
    let passes = applier(
        |seen: Arc<Seen>, operator: Arc<Operator>| {
            Box::pin(async move {
                let key = key(&seen.metadata);
                Ok::<_, Infallible>(Action::requeue(pass(&operator, &key).await.next))
            })
        },
        |_, never, _| match *never {},
        Arc::clone(&operator),
        store,
        queue,
        Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY),
    );
    let mut passes = std::pin::pin!(passes.take_until(stop.cancelled_owned()));
    while let Some(passed) = passes.next().await {
        if let Err(error) = passed {
            // Somebody woke a ChatCluster that is gone.
            tracing::debug!(%error, "no pass");
        }
    }
}

/// Metadata of a kind of ours, of one namespace or of all.
fn api<K>(client: &Client, scope: Option<&str>) -> Api<PartialObjectMeta<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The same of any kind.
fn dynamic_api(client: &Client, scope: Option<&str>, kind: &ApiResource) -> Api<PartialObjectMeta<DynamicObject>> {
    match scope {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
        None => Api::all_with(client.clone(), kind),
    }
}

fn key(metadata: &ObjectMeta) -> Key {
    Key { namespace: metadata.namespace.clone().unwrap_or_default(), name: metadata.name.clone().unwrap_or_default() }
}

fn wake(key: &Key) -> ObjectRef<Seen> {
    ObjectRef::new(&key.name).within(&key.namespace)
}

/// The ChatCluster that an object belongs to, by its owner, else by its label.
fn owner(metadata: &ObjectMeta) -> Option<ObjectRef<Seen>> {
    let owner = controller(metadata).filter(|owner| owner.kind == "ChatCluster").map(|owner| owner.name.clone());
    let label = || metadata.labels.as_ref()?.get(LABEL_INSTANCE).cloned();
    let name = owner.or_else(label)?;
    Some(ObjectRef::new(&name).within(metadata.namespace.as_deref()?))
}

/// Of all of them: nobody knows whom it concerns.
fn everyone(store: &Store<Seen>) -> Vec<ObjectRef<Seen>> {
    store.state().iter().map(|seen| ObjectRef::from_obj(&**seen)).collect()
}

/// News of objects of a kind, which the cluster may not know yet if it is `optional`: that it does now is news for everyone.
fn owned(api: Api<PartialObjectMeta<DynamicObject>>, gate: bool, optional: bool, store: Store<Seen>) -> Wakes {
    let config = paged().labels(&format!("app.kubernetes.io/managed-by={MANAGER}"));
    let events = watcher(api, config);
    let events = if optional { optional::patiently(events).boxed() } else { events.default_backoff().boxed() };
    let woken = move |news| match news {
        News::Of(metadata) => owner(&metadata).into_iter().collect(),
        News::Listed { missed } if missed || optional => everyone(&store),
        News::Listed { .. } => Vec::new(),
    };
    changed::changed(events, gate).flat_map(move |news| stream::iter(woken(news))).boxed()
}

/// News of Secrets: of ours, and of those that a resource names. Their metadata alone is watched.
fn secrets(operator: &Arc<Operator>, scope: Option<&str>, store: Store<Seen>) -> Wakes {
    let operator = Arc::clone(operator);
    let events = watcher(api::<Secret>(&operator.client, scope), paged()).default_backoff();
    let of = move |metadata: &ObjectMeta| {
        let seen = key(metadata);
        let mut wakes: Vec<_> = operator.memory.who_refers(&seen.namespace, &seen.name).iter().map(wake).collect();
        if label(metadata, "app.kubernetes.io/managed-by") == Some(MANAGER) {
            wakes.extend(owner(metadata));
        }
        wakes
    };
    let woken = move |news| match news {
        News::Of(metadata) => of(&metadata),
        News::Listed { missed: true } => everyone(&store),
        News::Listed { missed: false } => Vec::new(),
    };
    changed::changed(events, true).flat_map(move |news| stream::iter(woken(news))).boxed()
}
