//! `klatch dependency postgres`

mod begin;

use std::process::{Command, ExitCode, Stdio};

use klatch_settings::PostgresDependency;
use rustix::process::Signal;

use crate::{DependencyError, error::failed, files, find, supervise, volume};

/// Seconds that being asked whether it answers may take.
const ASK_SECONDS: &str = "3";

/// Makes the database cluster where there is none, and runs it until it ends. SIGTERM is turned into PostgreSQL's SIGINT: it
/// ends its clients instead of waiting for them.
///
/// # Errors
/// Why it cannot be started: a volume of another cluster, or of another major version, above all.
pub fn run(settings: &PostgresDependency) -> Result<ExitCode, DependencyError> {
    volume::claim(&settings.data)?;
    let held = begin::major_of(&settings.data)?;
    let programs = find::postgres(held)?;
    let has = begin::major_of_programs(&programs)?;
    if let Some(held) = held.filter(|held| *held != has) {
        return Err(DependencyError::Foreign(format!(
            "this volume holds data of PostgreSQL {held}, and this image PostgreSQL {has}: nothing on it was touched. Write an \
             image of PostgreSQL {held} as managed.image, or move the messages to a new shard"
        )));
    }
    supervise::in_runtime(|stop| async move {
        if held.is_none() && !begin::begin(settings, &programs, &stop).await? {
            return Ok(ExitCode::SUCCESS);
        }
        // The volume's group bits let the group in, and PostgreSQL refuses that.
        files::own_folder(&settings.data)?;
        files::own_folder(&settings.run)?;
        let mut command = tokio::process::Command::new(programs.join("postgres"));
        command.arg("-D").arg(&settings.data);
        command.arg("-c").arg(format!("config_file={}", settings.configuration_file.display()));
        command.arg("-c").arg(format!("hba_file={}", settings.hba_file.display()));
        command.arg("-c").arg(format!("data_directory={}", settings.data.display()));
        // Its fast shutdown (<https://www.postgresql.org/docs/17/server-shutdown.html>).
        supervise::run(command, Signal::INT, &stop).await
    })
}

/// Whether it takes connections. It is asked without a password (<https://www.postgresql.org/docs/17/app-pg-isready.html>): one that
/// changes while it is in use would make a server look away that serves everybody.
///
/// # Errors
/// What it said instead.
pub fn check(settings: &PostgresDependency) -> Result<(), DependencyError> {
    let program = find::postgres(begin::major_of(&settings.data)?)?.join("pg_isready");
    let output = Command::new(&program)
        .args(["-h", "127.0.0.1", "-p", &settings.port.to_string(), "-d", &settings.database, "-t", ASK_SECONDS])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| DependencyError::Start { program: program.clone(), source })?;
    if output.status.success() { Ok(()) } else { Err(failed(&program, &output)) }
}
