//! A whole world in one thread: a model of the service, a network that fails, and clients that run the real core.
//!
//! One number, the seed, decides everything: how many clients, which rooms, what breaks when. After a time of chaos the
//! world heals; then every client must hold every log it may see exactly as the service has it.

mod action;
mod gate;
mod http;
mod ids;
mod mirror;
mod model;
mod oracle;
mod person;
mod plan;
mod trouble;
mod world;
mod writer;

use std::fmt;

pub use plan::Plan;

/// What one run did, so that a test can see that runs do something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Clients that took part.
    pub clients: u64,
    /// Things that happened.
    pub steps: u64,
    /// Entries in all logs at the end.
    pub entries: u64,
    /// Messages said.
    pub said: u64,
    /// Messages refused for good.
    pub refused: u64,
    /// Connections made.
    pub connections: u64,
    /// Frames lost, doubled or held back on purpose.
    pub mangled: u64,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.clients += other.clients;
        self.steps += other.steps;
        self.entries += other.entries;
        self.said += other.said;
        self.refused += other.refused;
        self.connections += other.connections;
        self.mangled += other.mangled;
    }
}

/// A run that ended wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Replays it.
    pub seed: u64,
    /// What was wrong.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "seed {}: {}\nreplay: KLATCH_SIMULATION_SEED={} cargo test -p klatch-tests simulated_clients -- --nocapture",
            self.seed, self.reason, self.seed
        )
    }
}

/// Runs the world of this seed to its end. With `trace` every step is printed to standard error.
///
/// # Errors
/// [`Failure`] names what was wrong first.
pub fn run(seed: u64, trace: bool) -> Result<Report, Failure> {
    world::World::new(seed, trace).run().map_err(|reason| Failure { seed, reason })
}
