//! One operator at a time writes: a Lease in its own namespace says which (<https://kubernetes.io/docs/concepts/architecture/leases/>).

mod record;

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube_client::{Api, Client, Error, api::PostParams, core::ObjectMeta};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::Fence;
use record::{Seen, Turn, turn};

/// How long a lease holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(15);
/// Between two renewals; a few may fail before the fence closes.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Between two looks at somebody else's.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whose turn it is.
pub struct Leader {
    api: Api<Lease>,
    name: String,
    identity: String,
    fence: Arc<Fence>,
    seen: Option<Seen>,
}

impl Leader {
    /// By this Lease. `identity` must be no other process's.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: String, fence: Arc<Fence>) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), identity, fence, seen: None }
    }

    /// Waits until the lease is ours. Cancel safe: a lease that was just taken runs out.
    pub async fn acquire(&mut self) {
        loop {
            match self.try_take().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "cannot take the lease; trying again"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Renews the lease until it is lost or `stop` is cancelled.
    pub async fn hold(&mut self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RENEW_EVERY) => {}
            }
            match self.try_take().await {
                Ok(true) => {}
                Ok(false) => return tracing::warn!("another operator has the lease"),
                Err(error) => tracing::warn!(%error, "cannot renew the lease"),
            }
            if !self.fence.is_open() {
                return tracing::warn!("the lease ran out before it could be renewed");
            }
        }
    }

    /// Gives it back, so that the next need not wait.
    pub async fn release(&mut self) {
        self.fence.release();
        let Ok(Some(mut lease)) = self.api.get_opt(&self.name).await else { return };
        if let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity)) {
            spec.holder_identity = None;
            if let Err(error) = self.api.replace(&self.name, &PostParams::default(), &lease).await {
                tracing::warn!(%error, "cannot give back the lease; it runs out");
            }
        }
    }

    /// Takes or renews the lease. The time it holds counts from before it was asked for.
    async fn try_take(&mut self) -> Result<bool, Error> {
        let asked = Instant::now();
        let found = self.api.get_opt(&self.name).await?;
        let taken = match found {
            None => {
                let lease = Lease {
                    metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                    spec: Some(self.spec(None)),
                };
                self.api.create(&PostParams::default(), &lease).await
            }
            Some(mut lease) => {
                let spec = lease.spec.clone().unwrap_or_default();
                let now = Instant::now();
                let (turn, seen) =
                    turn(self.seen.as_ref(), &spec, lease.metadata.resource_version.as_deref(), &self.identity, now);
                self.seen = Some(seen);
                if turn == Turn::Theirs {
                    self.fence.release();
                    return Ok(false);
                }
                lease.spec = Some(self.spec(Some(spec)));
                // Its resource version goes along: who comes second is refused.
                self.api.replace(&self.name, &PostParams::default(), &lease).await
            }
        };
        match taken {
            Ok(lease) => {
                self.seen = lease.metadata.resource_version.map(|version| Seen { version, at: asked });
                self.fence.hold(asked + LEASE);
                Ok(true)
            }
            Err(Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn spec(&self, old: Option<LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(jiff::Timestamp::now());
        let old = old.unwrap_or_default();
        let ours = old.holder_identity.as_ref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: if ours { old.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(!ours)),
            ..old
        }
    }
}
