//! What every call shares.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use klatch_domain::{Sender, Timestamp, UserId};
use klatch_identity::{Keys, Passwords};
use klatch_service_kit::Clock;
use klatch_settings::ApiSettings;
use klatch_store::{Directory, Shards};
use tokio::sync::Semaphore;

use crate::{
    address::{ClientAddress, TrustedProxies},
    bot_tokens::BotSessions,
    landing::Landing,
    metrics::Metrics,
    outcomes::Outcomes,
    owed::Owing,
    rates::Rates,
    recents::Recents,
    revocation::Revocations,
    shared_rates::SharedRates,
    sign_in_failures::SignInFailures,
    under_way::UnderWay,
};

/// Calls under way at a time. Beyond, callers hear `busy` at once instead of waiting in memory.
pub(crate) const CALLS: usize = 1_024;

/// The parts of a running api.
pub(crate) struct Shared {
    pub(crate) settings: ApiSettings,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) shards: Shards,
    pub(crate) keys: Arc<Keys>,
    pub(crate) passwords: Passwords,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) owing: Arc<Owing>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) bot_sessions: BotSessions,
    pub(crate) proxies: TrustedProxies,
    pub(crate) by_address: Rates<ClientAddress>,
    pub(crate) by_user: Rates<UserId>,
    pub(crate) sign_in_failures: SignInFailures,
    pub(crate) shared_rates: SharedRates,
    pub(crate) recent: Recents,
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) under_way: Arc<UnderWay>,
    pub(crate) stopping: AtomicBool,
    pub(crate) landing: Landing,
    pub(crate) openapi: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Who makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) Sender);

impl Caller {
    pub(crate) const fn user(&self) -> UserId {
        self.0.user
    }
}
