//! The operator's real binary, as a process.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::control_plane::ControlPlane;
use crate::{klatch_process::binary, services::process::free_port};

/// Only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Lines of its log that are shown when a test fails.
const LOG_LINES: usize = 40;
/// What it counts calls by.
const CALLS: &str = "klatch_operator_calls_total{";

/// `klatch-operator`. Dropping it kills it.
pub struct OperatorProcess {
    child: Child,
    listen: u16,
    folder: TempDir,
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        // A frozen one, too.
        self.kill();
    }
}

impl OperatorProcess {
    /// By this kubeconfig, for the ChatClusters of these namespaces, or, of none, of all; with more said on its command line.
    ///
    /// # Panics
    /// When it is not built.
    #[must_use]
    pub fn start(kubeconfig: &Path, namespaces: &[&str], more: &[String]) -> Self {
        let (listen, folder) = (free_port(), tempfile::tempdir().expect("a temporary folder"));
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new(binary().with_file_name("klatch-operator"));
        command.arg(format!("--listen=127.0.0.1:{listen}")).args(more);
        if !more.iter().any(|one| one.starts_with("--namespace=")) {
            command.arg("--namespace=klatch");
        }
        if !namespaces.is_empty() {
            command.arg(format!("--watch-namespaces={}", namespaces.join(",")));
        }
        let child = command
            .env("KUBECONFIG", kubeconfig)
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("klatch-operator starts: build it first, with 'cargo build --workspace --bins'");
        Self { child, listen, folder }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it is gone.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its end").is_some()
    }

    /// What it counts, in Prometheus' words; nothing while it does not answer.
    pub async fn metrics(&self) -> String {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/metrics", self.listen)).await;
        let Ok(answer) = answer else { return String::new() };
        answer.text().await.unwrap_or_default()
    }

    /// Whether it has the lease.
    pub async fn leads(&self) -> bool {
        self.metrics().await.lines().any(|one| one == "klatch_operator_leader 1")
    }

    /// Calls that it has tried so far, answered or not: those whose labels satisfy `counts`.
    pub async fn calls(&self, counts: impl Fn(&str) -> bool) -> u64 {
        let text = self.metrics().await;
        let counted = text.lines().filter(|line| line.starts_with(CALLS) && counts(line));
        counted.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Passes after which nothing was left to do.
    pub async fn settled(&self) -> u64 {
        let text = self.metrics().await;
        let line =
            text.lines().find_map(|line| line.strip_prefix("klatch_operator_passes_total{outcome=\"settled\"} "));
        line.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// A line of `/proc/PID/status` in KiB, such as `VmRSS` (proc_pid_status(5)).
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let found = status.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(':'));
        found.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok()).expect("a number of KiB")
    }

    /// The end of its log, for a test that fails.
    #[must_use]
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

/// Waits until something holds.
///
/// # Panics
/// When it does not.
pub async fn until(what: &str, so: impl AsyncFnMut() -> bool) {
    until_at_most(PATIENCE, what, so).await;
}

/// The same, where more time is needed; how long it took.
///
/// # Panics
/// When it does not.
pub async fn until_at_most(patience: Duration, what: &str, mut so: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < patience, "not within {} s: {what}", patience.as_secs());
        tokio::time::sleep(LOOK).await;
    }
    began.elapsed()
}

/// A kubeconfig by the token of the chart's account, with the rights that `deploy/` grants.
///
/// # Panics
/// When the apiserver refuses it.
#[must_use]
pub fn kubeconfig_of_account(plane: &ControlPlane) -> (TempDir, PathBuf) {
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/klatch-operator.yaml");
    plane.kubectl().must(&["apply", "-f", manifests]);
    kubeconfig_by_token(plane)
}

/// The same, with the rights that the account has there already.
///
/// # Panics
/// When there is no such account.
#[must_use]
pub fn kubeconfig_by_token(plane: &ControlPlane) -> (TempDir, PathBuf) {
    let token = plane.kubectl().must(&["create", "token", "klatch-operator", "--namespace=klatch"]);
    kubeconfig_with_user(plane, |_| format!("token: {}", token.trim()))
}

/// A kubeconfig of somebody whom the apiserver may not know, who may do everything: by what they did in its audit log they are
/// told apart.
///
/// # Panics
/// When there is no folder for it.
#[must_use]
pub fn kubeconfig_of(plane: &ControlPlane, name: &str) -> (TempDir, PathBuf) {
    kubeconfig_with_user(plane, |token| format!("token: {token}, as: {name}, as-groups: [\"system:masters\"]"))
}

fn kubeconfig_with_user(plane: &ControlPlane, user: impl FnOnce(&str) -> String) -> (TempDir, PathBuf) {
    let admin = fs::read_to_string(plane.kubeconfig()).expect("a kubeconfig");
    let (head, rest) = admin.split_once("token: ").expect("a token");
    let (token, tail) = rest.split_once('}').expect("its end");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("kubeconfig");
    fs::write(&file, format!("{head}{}}}{tail}", user(token))).expect("a kubeconfig");
    (folder, file)
}
