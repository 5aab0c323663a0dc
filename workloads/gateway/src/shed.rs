//! Sockets are sticky, so a gateway that has just come stays empty. One that holds a fifth more than the mean asks a few of its
//! clients at a time to come back; where, the load balancer decides.
//!
//! The mean stands beside the leases: every gateway says there how many it holds. While presence does not answer, nobody is asked.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use klatch_bus::Load;
use klatch_protocol::close;
use tokio::time::sleep;

use crate::{connection::Phase, core::Core, drain::ask_back, presence::within};

/// A gateway sheds while it holds more than so many hundredths of the mean.
const ABOVE_MEAN_PERCENT: u64 = 120;
/// Below so many connections a gateway sheds none: nobody gains by it.
const FEWEST: u64 = 100;
/// Between the hint and the close, milliseconds: what a client was about to send arrives.
const NOTICE_MS: u64 = 500;

/// Compares and sheds until the gateway stops.
pub(crate) async fn run(core: Arc<Core>) {
    let (every, percent) = (core.settings.rebalance_ms.max(1), core.settings.rebalance_percent);
    let mut owed = Owed::default();
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = sleep(Duration::from_millis(every)) => {}
        }
        let held = core.seats.load(Ordering::Acquire) as u64;
        let Ok(load) = within(core.bus.presence.share_load(core.incarnation, held)).await else { continue };
        if core.draining.load(Ordering::Acquire) {
            return;
        }
        let count = owed.shed(held, load, every, percent);
        if count > 0 {
            shed(&core, count).await;
        }
    }
}

/// Fractions of connections, so that a share of a minute is one at any pace.
#[derive(Debug, Default)]
struct Owed {
    /// Parts of a connection; a whole one is [`WHOLE`].
    parts: u64,
}

/// Milliseconds of a minute times hundredths.
const WHOLE: u64 = 60_000 * 100;

impl Owed {
    /// How many to ask now, after `every_ms`.
    fn shed(&mut self, held: u64, load: Load, every_ms: u64, percent: u32) -> u64 {
        let mean = load.connections / load.gateways.max(1);
        if load.gateways < 2 || held < FEWEST || held * 100 <= mean * ABOVE_MEAN_PERCENT {
            self.parts = 0;
            return 0;
        }
        self.parts = self.parts.saturating_add(held.saturating_mul(every_ms).saturating_mul(percent.into()));
        let count = self.parts / WHOLE;
        self.parts %= WHOLE;
        // Never below the mean: the others would shed to us.
        count.min(held - mean)
    }
}

async fn shed(core: &Core, count: u64) {
    let mut connections: Vec<_> =
        core.registry.all().into_iter().filter(|connection| connection.phase() == Phase::Greeted).collect();
    // Ids are random: nobody is asked again and again.
    connections.sort_unstable_by_key(|connection| connection.id);
    connections.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    tracing::info!(connections = connections.len(), "others hold fewer: some are asked to come back elsewhere");
    connections.iter().for_each(|connection| ask_back(connection, NOTICE_MS, "rebalance"));
    sleep(Duration::from_millis(NOTICE_MS)).await;
    // Who waits for an outcome stays; the next time others are asked.
    for connection in connections.iter().filter(|connection| !connection.has_unsettled()) {
        core.instruments.metrics.shed.inc();
        connection.close(close::GOING_AWAY, "come back elsewhere");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_minute(held: u64, load: Load) -> u64 {
        let mut owed = Owed::default();
        (0..6).map(|_| owed.shed(held, load, 10_000, 1)).sum()
    }

    #[test]
    fn a_hundredth_a_minute_and_only_well_above_the_mean() {
        let three = |connections| Load { gateways: 3, connections };
        assert_eq!(a_minute(20_000, three(40_000)), 200);
        assert_eq!(a_minute(350, three(700)), 3, "fractions are kept");
        assert_eq!(a_minute(12_000, three(30_000)), 0, "a fifth more is no reason yet");
        assert_eq!(a_minute(12_001, three(30_000)), 120);
        assert_eq!(a_minute(90, three(100)), 0, "too few");
        assert_eq!(a_minute(20_000, Load { gateways: 1, connections: 20_000 }), 0, "there is nobody else");
    }

    #[test]
    fn nobody_sheds_below_the_mean() {
        let load = Load { gateways: 2, connections: 1_000 };
        assert_eq!(Owed::default().shed(610, load, 60_000, 100), 110);
    }
}
