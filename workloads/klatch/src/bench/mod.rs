//! `klatch bench`: the project's own load generator, on its own protocol.
//!
//! Open loops: a message's latency counts from the time it was **due**, so a server that stalls is charged for every
//! message it kept waiting (no coordinated omission). The server runs on one core, the generator on another. What the
//! machine itself can do is measured in the same run, as its speed differs from hour to hour.

mod accounts;
mod crowd;
mod frames;
mod generator;
mod interrupt;
mod latency;
mod machine;
mod options;
mod pace;
mod peer;
mod provision;
mod reference;
mod report;
mod run;
mod scenario;
mod server;
mod step;
#[cfg(test)]
mod tests;
mod wire;

use options::Options;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write users, rooms and access tokens into a stopped data folder, for this or another generator
    Provision(provision::Arguments),
    /// What this machine can do: bare writes, bare echo pairs, append and sync
    Reference(Options),
    /// Authenticated connections made ready per second
    Connect(Options),
    /// Memory of the server per idle connection
    Idle(Options),
    /// Deliveries per second in one large room
    Room(Options),
    /// Typing signals per second between many pairs
    Signals(Options),
    /// Stored messages per second between many pairs
    Stored(Options),
    /// Time from a message to its 'stored' at a steady rate
    Ack(Options),
    /// Everything, each on a fresh server
    All(Options),
}

/// Runs it and prints what it found.
///
/// # Errors
/// What could not be measured, and why.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    use run::Scenario;
    let (options, scenarios): (Options, &[Scenario]) = match arguments.command {
        Command::Provision(arguments) => return provision::run(&arguments),
        Command::Reference(options) => (options, &[]),
        Command::Connect(options) => (options, &[Scenario::Connect]),
        Command::Idle(options) => (options, &[Scenario::Idle]),
        Command::Room(options) => (options, &[Scenario::Room]),
        Command::Signals(options) => (options, &[Scenario::Signals]),
        Command::Stored(options) => (options, &[Scenario::Stored]),
        Command::Ack(options) => (options, &[Scenario::Ack]),
        Command::All(options) => (options, Scenario::ALL),
    };
    // A thread of its own: it is pinned, and whoever called may be inside a runtime.
    let measuring =
        std::thread::Builder::new().name("bench".to_owned()).spawn(move || run::measure(&options, scenarios))?;
    measuring.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the generator panicked")))
}
