//! `klatch`: one binary for those who run Klatch, those who chat by it, and their scripts.

mod admin;
mod backup;
mod bench;
mod chat;
mod dependency;
mod descriptors;
mod doctor;
mod failure;
mod listen;
mod output;
mod plan;
mod process;
mod restore;
mod rotation;
mod serve;
mod stores;
mod up;
mod version;
mod web_client;
mod workload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use klatch_settings::{ApiProcess, GatewayProcess, MessageServiceProcess, NotificationServiceProcess};
use rustix::fs::Mode;

/// Every message is some twenty small allocations, freed by other tasks than made them: see docs/bench.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Chat: run it, use it, script it.
#[derive(Debug, Parser)]
#[command(
    name = "klatch",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 something on this machine went wrong, 2 the command line is wrong, 3 the server refused, \
4 no server answered. With 'plan --diff' 1 says that something would change, and 5 that something on this machine, or in the \
cluster, keeps it from being told.\n\nOutput is for people on a terminal and one JSON object a line in a pipe."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process.
    Up(up::Arguments),
    /// Run one chat server, on RabbitMQ and Redis.
    Gateway(process::Arguments),
    /// Run one writer of messages, on PostgreSQL, RabbitMQ and Redis.
    MessageService(process::Arguments),
    /// Run one decider of notifications, on PostgreSQL, RabbitMQ and Redis.
    NotificationService(process::Arguments),
    /// Run one HTTP API, on PostgreSQL, RabbitMQ and Redis.
    Api(process::Arguments),
    /// Bring a cluster's databases to this version's schema.
    Migrate(process::migrate::Arguments),
    /// Start a service that the operator runs.
    #[command(subcommand)]
    Dependency(dependency::DependencyCommand),
    /// Say what the operator would do with a ChatCluster, without a cluster.
    Plan(plan::Arguments),
    /// Users of this machine's data folder, whether 'klatch up' runs or not, or of a cluster.
    #[command(subcommand)]
    User(admin::UserCommand),
    /// The keys that sign access tokens.
    #[command(subcommand)]
    Keys(admin::KeysCommand),
    /// Copy a data folder, in use or not, into one file.
    Backup(backup::Arguments),
    /// Make a data folder from a backup.
    Restore(restore::Arguments),
    /// Say what is wrong with an environment.
    Doctor(doctor::Arguments),
    /// Measure.
    Bench(bench::Arguments),
    /// Say the version.
    Version,
    #[command(flatten)]
    Chat(chat::ChatCommand),
}

fn main() -> ExitCode {
    // Whatever a klatch writes - databases, keys, sessions, backups - is its owner's alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let done = match CommandLine::parse().command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Gateway(arguments) => process::run::<GatewayProcess>(&arguments),
        Command::MessageService(arguments) => process::run::<MessageServiceProcess>(&arguments),
        Command::NotificationService(arguments) => process::run::<NotificationServiceProcess>(&arguments),
        Command::Api(arguments) => process::run::<ApiProcess>(&arguments),
        Command::Migrate(arguments) => process::migrate::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Dependency(command) => dependency::run(&command),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::User(command) => admin::run(command).map(|()| ExitCode::SUCCESS),
        Command::Keys(command) => admin::run_keys(command).map(|()| ExitCode::SUCCESS),
        Command::Backup(arguments) => backup::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Restore(arguments) => restore::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Bench(arguments) => bench::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Version => output::line(&version::describe()).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Command::Chat(command) => chat::run(command).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| failure::report(&error))
}
