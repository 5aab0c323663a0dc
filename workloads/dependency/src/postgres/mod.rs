//! `klatch dependency postgres`

mod begin;
mod supervise;

use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use klatch_settings::PostgresDependency;

use crate::{DependencyError, files, find, volume};

/// Seconds that being asked whether it answers may take.
const ASK_SECONDS: &str = "3";
/// Bytes of what a program said that are shown: its last lines.
const SHOWN_BYTES: usize = 2_000;

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
        supervise::run(command, &stop).await
    })
}

/// Whether it answers a query.
///
/// # Errors
/// What it said instead.
pub fn check(settings: &PostgresDependency) -> Result<(), DependencyError> {
    let program = find::postgres(begin::major_of(&settings.data)?)?.join("psql");
    let port = settings.port.to_string();
    let output = Command::new(&program)
        .args(["-h", "127.0.0.1", "-p", &port, "-U", &settings.superuser, "-d", &settings.database])
        .args(["--no-psqlrc", "-tAc", "SELECT 1"])
        .env("PGPASSWORD", files::password(&settings.password_file)?)
        .env("PGCONNECT_TIMEOUT", ASK_SECONDS)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| DependencyError::Start { program: program.clone(), source })?;
    if output.status.success() { Ok(()) } else { Err(failed(&program, &output)) }
}

fn failed(program: &Path, output: &std::process::Output) -> DependencyError {
    let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    let from = (0..=said.len().saturating_sub(SHOWN_BYTES)).rev().find(|at| said.is_char_boundary(*at)).unwrap_or(0);
    DependencyError::Failed {
        program: program.to_owned(),
        status: output.status.to_string(),
        said: said[from..].trim().to_owned(),
    }
}
