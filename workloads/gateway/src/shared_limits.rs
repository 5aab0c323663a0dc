//! Sends of a user over all gateways.
//!
//! The limit here comes first and needs no answer. What it has let pass is counted for all gateways once a tick, beside the
//! sends themselves: no send waits for it. Who has sent too much elsewhere waits here from the next send on. Without an
//! answer the limit here decides alone.

use std::{
    collections::HashMap,
    mem::take,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use foldhash::fast::RandomState;
use klatch_bus::{Limited, Rate, Take};
use klatch_domain::UserId;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};

use crate::{core::Core, registry::User};

/// How long sends are gathered: what one more tick lets through is a tenth of a second's worth.
const TICK: Duration = Duration::from_millis(100);
/// Users of one call.
const AT_ONCE: usize = 512;
const SECOND: Duration = Duration::from_secs(1);

/// Sends that are still to be counted. Bounded by the gateway's users.
#[derive(Default)]
pub(crate) struct SharedSends {
    pending: Mutex<HashMap<UserId, (Arc<User>, u32), RandomState>>,
    wake: Notify,
}

impl SharedSends {
    /// A send has passed the limit here.
    pub(crate) fn sent(&self, user: &Arc<User>) {
        let mut pending = self.pending.lock();
        let first = pending.is_empty();
        pending.entry(user.id).or_insert_with(|| (Arc::clone(user), 0)).1 += 1;
        drop(pending);
        if first {
            self.wake.notify_one();
        }
    }
}

/// Counts until the gateway stops.
pub(crate) async fn run(core: Arc<Core>) {
    let limits = &core.settings.limits;
    // A second's worth more than here: ticks of several gateways never fall together.
    let burst = limits.send_burst.saturating_add(limits.sends_per_second);
    let rate = Rate::new(limits.sends_per_second, SECOND, burst);
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = core.shared_sends.wake.notified() => {}
        }
        sleep(TICK).await;
        let sent: Vec<_> = take(&mut *core.shared_sends.pending.lock()).into_values().collect();
        for sent in sent.chunks(AT_ONCE) {
            count(&core, rate, sent).await;
        }
    }
}

async fn count(core: &Core, rate: Rate, sent: &[(Arc<User>, u32)]) {
    let takes: Vec<_> =
        sent.iter().map(|(user, units)| Take { limited: Limited::Sends(user.id), rate, units: *units }).collect();
    match core.bus.rate_limits.charge(&takes).await {
        Ok(waits) => {
            let now = core.instruments.timer.micros();
            for ((user, _), wait) in sent.iter().zip(waits).filter(|(_, wait)| !wait.is_zero()) {
                let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
                user.held_until.store(now.saturating_add(wait), Ordering::Relaxed);
            }
        }
        Err(error) => {
            core.instruments.metrics.rate_limits_failed.inc();
            tracing::debug!(%error, users = sent.len(), "sends are not counted over all gateways");
        }
    }
}
