//! Asks a cluster by kubectl, which knows every way to sign in that the user may have set up; this binary, which runs in every pod,
//! brings no client of Kubernetes.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::failure::Failure;

/// Another program than `kubectl`.
const ENV_KUBECTL: &str = "KUBECTL";

fn command(arguments: &[&str]) -> Command {
    let program = std::env::var_os(ENV_KUBECTL).unwrap_or_else(|| "kubectl".into());
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn unusable(error: std::io::Error) -> Failure {
    Failure::undecided(format!("cannot run kubectl; KUBECTL names another program: {error}"))
}

/// `kubectl get ... -o json`; `None`: there is nothing of that name.
///
/// # Errors
/// That kubectl is not there, or what it said.
pub(super) fn get(arguments: &[&str]) -> anyhow::Result<Option<Value>> {
    let said = command(&[&["get"], arguments, &["--ignore-not-found", "-o", "json"]].concat())
        .stdin(Stdio::null())
        .output()
        .map_err(unusable)?;
    if !said.status.success() {
        let error = String::from_utf8_lossy(&said.stderr);
        return Err(Failure::unreachable(format!("kubectl get {}: {}", arguments.join(" "), error.trim())).into());
    }
    if said.stdout.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let read = serde_json::from_slice(&said.stdout).map(Some);
    read.map_err(|error| Failure::unreachable(format!("kubectl printed no JSON: {error}")).into())
}

/// Shows how these objects differ from those of the cluster, by a server-side apply that is not carried out. Answers whether they
/// do.
///
/// # Errors
/// What kubectl said, which it has printed.
pub(super) fn diff(objects: &Value, manager: &str) -> anyhow::Result<bool> {
    let manager = format!("--field-manager={manager}");
    let mut running = command(&["diff", "--server-side", "--force-conflicts", &manager, "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(unusable)?;
    let written = running.stdin.take().map_or(Ok(()), |mut input| input.write_all(objects.to_string().as_bytes()));
    // <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_diff/>: 0 the same, 1 different, more an error.
    match running.wait().map_err(unusable)?.code() {
        // One that ended before it had read everything has compared nothing.
        Some(0) if written.is_ok() => Ok(false),
        Some(1) if written.is_ok() => Ok(true),
        _ => Err(Failure::unreachable("kubectl diff failed").into()),
    }
}
