//! One part of a Kubernetes, as a process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, kill_process};

use super::script;

/// Lines of a log that are shown when a test fails.
const LOG_LINES: usize = 40;

/// A running part. Dropping it kills it.
pub(crate) struct Part {
    name: &'static str,
    folder: PathBuf,
    process: Child,
}

impl Part {
    /// Starts it in a folder that `tests/kube/prepare` has made.
    pub(crate) fn start(name: &'static str, folder: &Path) -> Self {
        let process = Command::new(script("part")).arg(name).arg(folder).spawn().expect("tests/kube/part starts");
        Self { name, folder: folder.to_owned(), process }
    }

    /// Its number: the script has become the part.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Freezes or thaws it.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may be gone already.
        let _ = kill_process(self.pid(), signal);
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        self.kill();
        *self = Self::start(self.name, &self.folder);
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log").join(self.name)).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        format!("--- the log of {} ends\n{last}\n", self.name)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
    }
}
