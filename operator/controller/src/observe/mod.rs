//! What is so: read anew at each pass. What watches remember only says when to look; it never decides.

mod references;
mod secrets;

use futures_util::future::try_join_all;
use klatch_crd::ChatCluster;
use klatch_desired::LABEL_INSTANCE;
use kube_client::{
    Api, Client,
    api::ListParams,
    core::{ApiResource, DynamicObject},
};

pub use references::{Reference, references};
pub use secrets::{OwnSecret, UserSecret};

use crate::{
    Key,
    failure::{Failure, Step},
    kind::{KINDS, Kind, OPTIONAL},
    live::Live,
};

/// Everything a pass looks at.
#[derive(Debug, Clone)]
pub struct World {
    /// Objects that carry the ChatCluster's name.
    pub objects: Vec<Live>,
    /// Secrets that carry its name. What is in them is not read.
    pub secrets: Vec<OwnSecret>,
    /// Secrets that the user names, and what of them is there.
    pub user_secrets: Vec<UserSecret>,
    /// Whether the cluster knows HTTPRoutes.
    pub http_routes: bool,
}

impl World {
    /// The object of this kind and name.
    #[must_use]
    pub fn find(&self, kind: &str, name: &str) -> Option<&Live> {
        self.objects.iter().find(|live| live.kind.name == kind && live.name() == name)
    }

    /// The Secret of this name.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&OwnSecret> {
        self.secrets.iter().find(|secret| secret.name() == name)
    }

    /// All of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Live> {
        self.objects.iter().filter(move |live| live.kind.name == kind)
    }

    /// Takes what a write answered for what was read before.
    pub fn replace(&mut self, live: Live) {
        let same = |other: &Live| other.kind == live.kind && other.name() == live.name();
        match self.objects.iter_mut().find(|other| same(other)) {
            Some(old) => *old = live,
            None => self.objects.push(live),
        }
    }
}

/// The API of a kind in a namespace.
#[must_use]
pub fn api(client: &Client, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, resource)
}

/// The resource as it is now. `None`: there is none of this name any more.
///
/// # Errors
/// What the apiserver said, or a resource of another version that this one cannot read.
pub async fn resource(client: &Client, key: &Key) -> Result<Option<ChatCluster>, Failure> {
    let api: Api<ChatCluster> = Api::namespaced(client.clone(), &key.namespace);
    api.get_opt(&key.name).await.map_err(Failure::api(Step::Observe, || format!("get ChatCluster {}", key.name)))
}

/// All there is of a ChatCluster.
///
/// # Errors
/// A list that could not be had: then nothing is known, and nothing may be deleted.
pub async fn world(client: &Client, key: &Key, cluster: &ChatCluster) -> Result<World, Failure> {
    let lists = KINDS.iter().map(|kind| list(client, key, kind));
    let (lists, secrets, user_secrets) = tokio::try_join!(
        try_join_all(lists),
        secrets::own(client, key),
        secrets::of_user(client, key, references(cluster))
    )?;
    let http_routes = KINDS.iter().zip(&lists).all(|(kind, list)| kind.name != OPTIONAL || list.is_some());
    Ok(World { objects: lists.into_iter().flatten().flatten().collect(), secrets, user_secrets, http_routes })
}

/// `None`: this cluster does not know the kind.
async fn list(client: &Client, key: &Key, kind: &'static Kind) -> Result<Option<Vec<Live>>, Failure> {
    let selector = format!("{LABEL_INSTANCE}={}", key.name);
    let found = api(client, &key.namespace, &kind.resource()).list(&ListParams::default().labels(&selector)).await;
    match found {
        Ok(list) => Ok(Some(list.items.iter().map(|object| Live::new(kind, object)).collect())),
        Err(error) if kind.name == OPTIONAL && Failure::is_not_found(&error) => Ok(None),
        Err(error) => Err(Failure::api(Step::Observe, || format!("list {}", kind.plural))(error)),
    }
}
