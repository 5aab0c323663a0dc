//! The operator's hands. One sentence: observe, validate, ask what is to be, find the next step, apply, prune, report. What decides
//! reaches no client (`plan`); what acts decides nothing (`act`, `broker`).

pub mod act;
pub mod arguments;
mod bounded;
pub mod broker;
pub mod client;
pub mod failure;
pub mod gateways;
pub mod kind;
pub mod leader;
pub mod live;
pub mod make;
pub mod metrics;
pub mod metrics_api;
pub mod observe;
pub mod operator;
pub mod pass;
pub mod plan;
pub mod watch;

use std::fmt;

/// Which ChatCluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}
