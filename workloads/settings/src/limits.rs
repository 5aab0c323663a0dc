//! What one user and one address may do.

use klatch_domain::limits::{IN_FLIGHT, SEND_BURST, SENDS_PER_SECOND};
use serde::{Deserialize, Serialize};

/// Rate limits. The defaults are the wire contract's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// False lifts every rate limit: for measuring only.
    pub enabled: bool,
    /// Sustained sends per second of one user.
    pub sends_per_second: u32,
    /// Sends in one burst of one user.
    pub send_burst: u32,
    /// Unsettled sends of one user.
    pub in_flight: usize,
    /// Signals per second of one connection; more are dropped and counted.
    pub signals_per_second: u32,
    /// Calls per minute without a token from one address.
    pub unauthenticated_per_minute: u32,
    /// Calls per second of one user over HTTP.
    pub calls_per_second: u32,
    /// Failed sign-ins per username and per address in 15 minutes, after which sign-in waits.
    pub failed_sign_ins: u32,
    /// Connections of one user on one gateway.
    pub connections_per_user: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            sends_per_second: SENDS_PER_SECOND,
            send_burst: SEND_BURST,
            in_flight: IN_FLIGHT,
            // A thumb types at 10 keys a second; five rooms at once are plenty.
            signals_per_second: 50,
            unauthenticated_per_minute: 1_000,
            calls_per_second: 100,
            failed_sign_ins: 10,
            connections_per_user: 50,
        }
    }
}
