//! One workload as a process of its own: `klatch NAME --settings FILE`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use crate::{
    person::http_client,
    services::{process::Process, tree},
};

/// A start that takes longer never ends: generous, as it only bounds a failure on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(180);
/// What a look at the admin port may take.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Lines of a log that are shown when a test fails.
const SHOWN_LINES: usize = 150;
/// Sends its log where it belongs, and becomes the workload.
const LOGGED: &str = r#"log=$1; shift; exec "$@" >>"$log" 2>&1"#;

/// A workload that is started, killed, and started again with the same settings.
pub(super) struct Workload {
    pub(super) name: String,
    pub(super) settings: PathBuf,
    command: Vec<String>,
    log: PathBuf,
    admin: SocketAddr,
    process: Option<Process>,
}

impl Workload {
    /// Writes its settings into this folder. It is not started yet.
    pub(super) fn new(
        folder: &Path,
        klatch: &Path,
        subcommand: &str,
        name: &str,
        settings: &impl Serialize,
        admin: SocketAddr,
    ) -> Self {
        let (file, log) = (folder.join(format!("{name}.yaml")), folder.join(format!("{name}.log")));
        // JSON is YAML.
        fs::write(&file, serde_json::to_string_pretty(settings).expect("settings")).expect("a settings file");
        let klatch = klatch.display().to_string();
        let path = file.display().to_string();
        let shell = ["sh", "-c", LOGGED, "sh"].map(str::to_owned).into_iter();
        let command = shell
            .chain([log.display().to_string(), klatch, subcommand.to_owned(), "--settings".to_owned(), path])
            .collect();
        Self { name: name.to_owned(), settings: file, command, log, admin, process: None }
    }

    /// Starts it, and does not wait.
    pub(super) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        self.process = Some(Process::start(&self.command));
    }

    /// kill -9, and waits until it is gone: its port is free then.
    pub(super) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            let pid = process.pid();
            process.kill();
            drop(process);
            tree::wait_until_gone(pid);
        }
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    pub(super) fn freeze(&self) {
        self.process().freeze();
    }

    pub(super) fn thaw(&self) {
        self.process().thaw();
    }

    /// Whether it still runs, as far as anybody has meant it to.
    pub(super) fn has_ended_by_itself(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !tree::is_alive(process.pid()))
    }

    /// Bytes of memory that are its own.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.process.as_ref().map_or(0, |process| tree::resident_bytes(process.pid()))
    }

    /// Waits until it says that it is ready.
    pub(super) async fn wait_ready(&self) {
        let url = format!("http://{}/readyz", self.admin);
        let http = http_client(None);
        let ready = async {
            loop {
                let answer = http.get(&url).timeout(LOOK_WITHIN).send().await;
                if answer.is_ok_and(|answer| answer.status() == 200) {
                    return;
                }
                assert!(!self.has_ended_by_itself(), "{} has ended:\n{}", self.name, self.log());
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(START_WITHIN, ready).await.is_err() {
            panic!("{} is not ready; its log:\n{}", self.name, self.log());
        }
    }

    /// The sum of a metric over its labels; none when it does not answer.
    pub(super) async fn metric(&self, name: &str) -> Option<f64> {
        let url = format!("http://{}/metrics", self.admin);
        let answer = http_client(None).get(url).timeout(LOOK_WITHIN).send().await.ok()?;
        let text = answer.text().await.ok()?;
        let value_of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let value =
                rest.strip_prefix(' ').or_else(|| rest.strip_prefix('{')?.split_once("} ").map(|(_, value)| value));
            value?.trim().parse::<f64>().ok()
        };
        Some(text.lines().filter_map(value_of).sum())
    }

    /// The end of what it has logged.
    pub(super) fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}
