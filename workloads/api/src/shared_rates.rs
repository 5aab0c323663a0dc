//! Limits over all replicas. Each replica's own come first and refuse without asking anybody; what they let pass is asked for
//! here. Without an answer they decide alone.

use std::{sync::Arc, time::Duration};

use klatch_bus::{Limited, Rate, RateLimits, Take};
use klatch_domain::Username;
use klatch_settings::Limits;
use prometheus::IntCounter;

use crate::{
    address::ClientAddress,
    sign_in_failures::{WIDER, WINDOW},
};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) struct SharedRates {
    /// `None`: no limits.
    limits: Option<Arc<dyn RateLimits>>,
    unauthenticated: Rate,
    failed_sign_ins: u32,
    unknown: IntCounter,
}

/// A sign-in under way: it counts as failed until it has succeeded.
pub(crate) struct SharedAttempt {
    takes: Vec<Take>,
}

impl SharedRates {
    pub(crate) fn new(settings: &Limits, limits: Arc<dyn RateLimits>, unknown: IntCounter) -> Self {
        let unauthenticated = settings.unauthenticated_per_minute;
        Self {
            limits: settings.enabled.then_some(limits),
            unauthenticated: Rate::new(unauthenticated, MINUTE, unauthenticated),
            failed_sign_ins: settings.failed_sign_ins.max(1),
            unknown,
        }
    }

    /// Takes a call without a valid token, or answers how many milliseconds to wait.
    pub(crate) async fn take_unauthenticated(&self, ClientAddress(address): ClientAddress) -> Result<(), u64> {
        let take = Take { limited: Limited::Unauthenticated(address), rate: self.unauthenticated, units: 1 };
        self.take(&[take]).await
    }

    /// Begins a sign-in, or answers how many milliseconds to wait.
    pub(crate) async fn begin_sign_in(
        &self,
        username: Option<&Username>,
        ClientAddress(address): ClientAddress,
    ) -> Result<SharedAttempt, u64> {
        let of = |limited, failures| Take { limited, rate: Rate::new(failures, WINDOW, failures), units: 1 };
        let wider = self.failed_sign_ins.saturating_mul(WIDER);
        let mut takes = vec![of(Limited::SignIn(None, Some(address)), wider)];
        if let Some(username) = username {
            takes.push(of(Limited::SignIn(Some(username.clone()), Some(address)), self.failed_sign_ins));
            takes.push(of(Limited::SignIn(Some(username.clone()), None), wider));
        }
        self.take(&takes).await?;
        Ok(SharedAttempt { takes })
    }

    /// It was the right password: this username from this address starts anew.
    pub(crate) async fn succeeded(&self, mut attempt: SharedAttempt) {
        for take in &mut attempt.takes {
            if let Limited::SignIn(Some(_), Some(_)) = take.limited {
                take.units = self.failed_sign_ins;
            }
        }
        self.give_back(&attempt.takes).await;
    }

    /// All of them, or none.
    async fn take(&self, takes: &[Take]) -> Result<(), u64> {
        let Some(limits) = &self.limits else { return Ok(()) };
        let Ok(waits) = limits.take(takes).await else {
            self.unknown.inc();
            return Ok(());
        };
        let longest = waits.iter().max().copied().unwrap_or_default();
        if longest.is_zero() {
            return Ok(());
        }
        let passed = takes.iter().zip(&waits).filter(|(_, wait)| wait.is_zero()).map(|(take, _)| take.clone());
        self.give_back(&passed.collect::<Vec<_>>()).await;
        Err(u64::try_from(longest.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX))
    }

    async fn give_back(&self, takes: &[Take]) {
        let Some(limits) = &self.limits else { return };
        if !takes.is_empty() && limits.give_back(takes).await.is_err() {
            self.unknown.inc();
        }
    }
}
