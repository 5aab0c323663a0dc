//! Puts the registration up and takes it down. Only who has the lease does.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::Secret, core::v1::Service, rbac::v1::ClusterRole},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use klatch_desired::MANAGER;
use kube_client::{
    Api, Client, Error, Resource,
    api::{ListParams, Patch, PatchParams, PostParams, PropagationPolicy},
    core::{ObjectMeta, PartialObjectMeta},
};
use kube_runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    GROUP, Place,
    certificates::{self, Certificates},
    stance::{self, Stance, stance},
};
use crate::{
    act::exactly,
    failure::{Failure, Step},
    watch::changed::{self, News},
};

/// Between two looks without news: watches may miss some, and certificates grow old.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// Between two looks after a failure.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// Between two looks whatever happens: somebody who changes the group all the time costs two calls a second.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(500);
/// How often a registration is looked at that is to go and changes all the time.
const WITHDRAWALS: u32 = 5;

/// Who registers, and where.
#[derive(Clone)]
pub struct Registrar {
    /// By this client.
    pub client: Client,
    /// This API.
    pub place: Place,
}

/// Keeps the registration as it should be until told to stop.
pub async fn register(registrar: Registrar, stop: CancellationToken) {
    let api: Api<PartialObjectMeta<APIService>> = Api::all(registrar.client.clone());
    let events = watcher(api, watcher::Config::default()).default_backoff();
    // A registration is called by its version and group; the apiserver takes no other name.
    let concerns = |news: &News| match news {
        News::Of(metadata) => metadata.name.as_ref().is_some_and(|name| name.ends_with(GROUP)),
        News::Listed { missed } => *missed,
    };
    let news = changed::changed(events, false).filter(|news| std::future::ready(concerns(news)));
    let mut news = std::pin::pin!(news);
    while !stop.is_cancelled() {
        let next = match registrar.look_after().await {
            Ok(()) => LOOK_EVERY,
            Err(failure) => {
                tracing::warn!("metrics API: {failure}");
                RETRY_EVERY
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(next) => {}
            _ = news.next() => tokio::time::sleep(LOOK_AT_MOST_EVERY).await,
        }
    }
}

/// Takes ours down, if it is there: nobody may be left waiting for an API that nobody serves.
///
/// # Errors
/// What the apiserver said.
pub async fn withdraw(registrar: &Registrar) -> Result<(), Failure> {
    // The aggregator writes its status when endpoints come and go, as ours do just then.
    for _ in 0..WITHDRAWALS {
        let found = registrar.registrations().get_opt(&stance::name()).await;
        let found = found.map_err(Failure::api(Step::Observe, || "get our APIService".to_owned()))?;
        let Some(ours) = found.filter(|found| stance::is_ours(found, &registrar.place)) else { return Ok(()) };
        if registrar.delete(&ours).await? {
            return Ok(());
        }
    }
    Err(Failure::passing(Step::Prune, "withdraw the metrics API", "its registration changes all the time"))
}

impl Registrar {
    fn registrations(&self) -> Api<APIService> {
        Api::all(self.client.clone())
    }

    async fn look_after(&self) -> Result<(), Failure> {
        let certificates = self.certificates().await?;
        let owner = match &self.place.owner {
            None => None,
            Some(name) => {
                let found = Api::<ClusterRole>::all(self.client.clone()).get_metadata_opt(name).await;
                let found = found.map_err(Failure::api(Step::Observe, || format!("get ClusterRole {name}")))?;
                // The release is going: what would be registered now would stay without it.
                let Some(found) = found else { return withdraw(self).await };
                Some(owner_reference::<ClusterRole>(&found.metadata))
            }
        };
        let list = self.registrations().list(&ListParams::default()).await;
        let seen = list.map_err(Failure::api(Step::Observe, || "list APIServices".to_owned()))?.items;
        match stance(&seen, &self.place, stance::wanted(&self.place, &certificates.bundle(), owner)) {
            Stance::Rest => Ok(()),
            Stance::Register(wanted) => {
                let ours = seen.iter().find(|one| stance::is_ours(one, &self.place));
                self.apply(*wanted, ours).await?;
                tracing::info!("{GROUP} is registered");
                Ok(())
            }
            Stance::Withdraw(ours) => {
                if self.delete(&ours).await? {
                    tracing::info!("{GROUP} is somebody else's: our registration is gone");
                }
                Ok(())
            }
            Stance::StandAside(theirs) => {
                tracing::debug!(theirs, "{GROUP} is somebody else's");
                Ok(())
            }
        }
    }

    /// One that came meanwhile is not ours: its fields are in conflict with ours, and nothing is written.
    async fn apply(&self, mut wanted: APIService, ours: Option<&APIService>) -> Result<(), Failure> {
        let mut parameters = PatchParams::apply(MANAGER);
        if let Some(ours) = ours {
            wanted.metadata.uid.clone_from(&ours.metadata.uid);
            parameters = parameters.force();
        }
        let applied = self.registrations().patch(&stance::name(), &parameters, &Patch::Apply(&wanted)).await;
        applied.map(drop).map_err(Failure::api(Step::Apply, || "register the metrics API".to_owned()))
    }

    /// False: it has changed since it was looked at, and is to be looked at again.
    async fn delete(&self, ours: &APIService) -> Result<bool, Failure> {
        let parameters = exactly(&ours.metadata, PropagationPolicy::Background);
        match self.registrations().delete(&stance::name(), &parameters).await {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(status.code == 404),
            Err(error) => Err(Failure::api(Step::Prune, || "withdraw the metrics API".to_owned())(error)),
        }
    }

    /// The certificates as they are to be now.
    async fn certificates(&self) -> Result<Certificates, Failure> {
        let name = self.place.secret();
        let what = || format!("keep Secret {name}");
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.place.namespace);
        let found = api.get_opt(&name).await.map_err(Failure::api(Step::Observe, what))?;
        let held = found.as_ref().and_then(|secret| Certificates::read(secret.data.as_ref()?));
        let now = Timestamp::now();
        let step = certificates::step(held.as_ref(), now);
        let changed = certificates::change(held.clone(), step, &self.place.host(), now)
            .map_err(|error| Failure::passing(Step::Apply, what(), error))?;
        match (changed, held, found) {
            (None, Some(held), _) => Ok(held),
            (None, None, _) => Err(Failure::passing(Step::Apply, what(), "there is no certificate")),
            (Some(new), _, Some(old)) => {
                let version = old.metadata.resource_version;
                // Keys that are gone are told by name: a merge keeps what it is not told of.
                let mut data = json!(new.write());
                for key in old
                    .data
                    .unwrap_or_default()
                    .keys()
                    .filter(|key| data.get(key.as_str()).is_none())
                    .collect::<Vec<_>>()
                {
                    data[key.as_str()] = json!(null);
                }
                let document = json!({"metadata": {"resourceVersion": version}, "data": data});
                let patched = api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&document)).await;
                patched.map(|_| new).map_err(Failure::api(Step::Apply, what))
            }
            (Some(new), _, None) => {
                let made = api.create(&PostParams::default(), &self.secret(&new).await?).await;
                made.map(|_| new).map_err(Failure::api(Step::Apply, what))
            }
        }
    }

    /// It goes with the Service that its certificate is for.
    async fn secret(&self, certificates: &Certificates) -> Result<Secret, Failure> {
        let services: Api<Service> = Api::namespaced(self.client.clone(), &self.place.namespace);
        let name = &self.place.service;
        let found = services.get_metadata_opt(name).await;
        let found = found.map_err(Failure::api(Step::Observe, || format!("get Service {name}")))?;
        Ok(Secret {
            metadata: ObjectMeta {
                name: Some(self.place.secret()),
                namespace: Some(self.place.namespace.clone()),
                owner_references: found.map(|one| vec![owner_reference::<Service>(&one.metadata)]),
                ..ObjectMeta::default()
            },
            data: Some(certificates.write()),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        })
    }
}

fn owner_reference<K: Resource<DynamicType = ()>>(metadata: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    }
}
