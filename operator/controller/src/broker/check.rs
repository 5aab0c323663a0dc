//! A look between passes: no call to the apiserver, only to the brokers, by what the last pass knew.

use std::collections::BTreeMap;

use klatch_desired::Topology;

use super::{Broker, BrokerLogin, edits, listing::enter};

/// What a pass knew of the brokers. It lives in memory only, and holds no password but the administrators'.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// What is to stand there.
    pub topology: Topology,
    /// Where.
    pub bases: Vec<String>,
    /// By whom each is looked at: the first whom it lets in.
    pub logins: Vec<Vec<BrokerLogin>>,
}

/// Whether all brokers hold all of it. One that does not answer is left to the next pass.
pub async fn check(broker: &dyn Broker, seen: &Sighting) -> bool {
    for ((plan, base), logins) in seen.topology.brokers.iter().zip(&seen.bases).zip(&seen.logins) {
        let Ok((login, there)) = enter(broker, plan, base, logins).await else { continue };
        let (edits, stuck) = edits(plan, &login.user, &BTreeMap::new(), &there);
        if !edits.is_empty() || !stuck.is_empty() {
            return false;
        }
    }
    true
}
