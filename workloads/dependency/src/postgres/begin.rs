//! A database cluster that is not there yet.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use klatch_settings::PostgresDependency;
use tokio::io::AsyncWriteExt;

use crate::{
    DependencyError,
    error::{failed, file},
    files,
    supervise::{Stop, output},
};

/// The major version of the data, if there is some.
pub(super) fn major_of(data: &Path) -> Result<Option<u32>, DependencyError> {
    let path = data.join("PG_VERSION");
    if !path.exists() {
        if data.exists() {
            let shown = data.display();
            let sentence = format!("{shown} holds something that is no database cluster: nothing in it was touched");
            return Err(DependencyError::Foreign(sentence));
        }
        return Ok(None);
    }
    let text = files::read(&path)?;
    text.parse()
        .map(Some)
        .map_err(|_| DependencyError::Foreign(format!("{} names no version: {text:?}", path.display())))
}

/// The major version of the programs.
pub(super) fn major_of_programs(programs: &Path) -> Result<u32, DependencyError> {
    let program = programs.join("postgres");
    let output = Command::new(&program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| DependencyError::Start { program: program.clone(), source })?;
    // `postgres (PostgreSQL) 17.4 (Debian 17.4-1.pgdg120+2)`
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let digits = |word: &str| word.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let version = said.split_whitespace().find_map(digits);
    version.ok_or_else(|| failed(&program, &output))
}

/// Makes it beside its place, and puts it there when it is whole: a crash in between leaves nothing that looks like data.
/// False when a stop was asked for meanwhile.
pub(super) async fn begin(
    settings: &PostgresDependency,
    programs: &Path,
    stop: &Stop,
) -> Result<bool, DependencyError> {
    let unfinished: PathBuf = settings.data.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(file("clear", &unfinished))?;
    }
    // It must be a password before it is one.
    files::password(&settings.password_file)?;
    let mut make = tokio::process::Command::new(programs.join("initdb"));
    make.arg("--pgdata").arg(&unfinished).arg("--pwfile").arg(&settings.password_file);
    make.args(["--username", &settings.superuser, "--auth", "scram-sha-256"]);
    // Bytes decide the order of texts, in every image alike: another one's idea of a language would break indexes.
    make.args(["--locale", "C", "--encoding", "UTF8", "--data-checksums"]);
    let Some(()) = step(make, &[], stop).await? else { return Ok(false) };
    let mut database = tokio::process::Command::new(programs.join("postgres"));
    database.arg("--single").arg("-D").arg(&unfinished).arg("postgres");
    let Some(()) = step(database, statements(settings)?.as_bytes(), stop).await? else { return Ok(false) };
    fs::rename(&unfinished, &settings.data).map_err(file("put into place", &settings.data))?;
    if let Some(volume) = settings.data.parent() {
        fs::File::open(volume).and_then(|folder| folder.sync_all()).map_err(file("sync", volume))?;
    }
    Ok(true)
}

/// What makes the rest, a statement a line, as the single-user server reads them
/// (<https://www.postgresql.org/docs/17/app-postgres.html>): the database, and the second superuser.
fn statements(settings: &PostgresDependency) -> Result<String, DependencyError> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut statements = format!("CREATE DATABASE {};\n", quoted(&settings.database));
    if settings.other_password_file.exists() {
        // Made of letters and digits, it needs no quoting.
        let (role, password) = (quoted(&settings.other_superuser), files::password(&settings.other_password_file)?);
        statements.push_str(&format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{password}';\n"));
    }
    Ok(statements)
}

/// Runs a program to its end; nothing when a stop was asked for meanwhile.
async fn step(mut command: tokio::process::Command, input: &[u8], stop: &Stop) -> Result<Option<()>, DependencyError> {
    let program = PathBuf::from(command.as_std().get_program());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|source| DependencyError::Start { program: program.clone(), source })?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).await.map_err(file("speak to", &program))?;
    }
    let Some(ended) = output(child, stop).await else { return Ok(None) };
    let ended = ended.map_err(|source| DependencyError::Start { program: program.clone(), source })?;
    // The single-user server says errors and ends well all the same.
    let refused = String::from_utf8_lossy(&ended.stderr).contains("ERROR:");
    if ended.status.success() && !refused { Ok(Some(())) } else { Err(failed(&program, &ended)) }
}
