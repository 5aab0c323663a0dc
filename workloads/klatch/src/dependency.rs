//! `klatch dependency`: services that the operator runs, started in any image that holds them.

use std::{path::PathBuf, process::ExitCode};

use klatch_dependency::{DependencyError, install, postgres, rabbitmq, redis};
use klatch_settings::{ENV_SETTINGS, read_file};

/// Where the settings are.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Settings file (YAML).
    #[arg(long, value_name = "FILE", env = ENV_SETTINGS)]
    settings: PathBuf,
}

/// `klatch dependency`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DependencyCommand {
    /// Make a database cluster where there is none, and run PostgreSQL.
    Postgres(Arguments),
    /// Run a RabbitMQ broker.
    Rabbitmq(Arguments),
    /// Run Redis.
    Redis(Arguments),
    /// Ask a service whether it answers.
    #[command(subcommand)]
    Check(CheckCommand),
    /// Copy this program to where the other containers of a pod find it.
    Install {
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// `klatch dependency check`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CheckCommand {
    /// PostgreSQL: whether it takes connections.
    Postgres(Arguments),
}

/// Starts, asks or copies.
///
/// # Errors
/// What stands in the way, in words.
pub(crate) fn run(command: &DependencyCommand) -> anyhow::Result<ExitCode> {
    match command {
        DependencyCommand::Postgres(arguments) => Ok(postgres::run(&read_file(&arguments.settings)?)?),
        DependencyCommand::Rabbitmq(arguments) => Ok(rabbitmq::run(&read_file(&arguments.settings)?)?),
        DependencyCommand::Redis(arguments) => never(redis::run(&read_file(&arguments.settings)?)),
        DependencyCommand::Check(CheckCommand::Postgres(arguments)) => {
            postgres::check(&read_file(&arguments.settings)?)?;
            Ok(ExitCode::SUCCESS)
        }
        DependencyCommand::Install { to } => {
            install::install(to)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whoever became the service does not come back.
fn never(became: Result<std::convert::Infallible, DependencyError>) -> anyhow::Result<ExitCode> {
    match became {
        Ok(never) => match never {},
        Err(error) => Err(error.into()),
    }
}
