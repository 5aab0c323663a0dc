//! The command that everybody knows, on a Kubernetes of the tests.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use super::script;

/// `kubectl` for one Kubernetes.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
}

/// What it said.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its output.
    pub output: String,
    /// What it complained about.
    pub error: String,
}

impl Kubectl {
    /// By this file.
    #[must_use]
    pub fn new(kubeconfig: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned() }
    }

    /// A namespace that nobody else uses.
    #[must_use]
    pub fn namespace(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.must(&["create", "namespace", &name]);
        name
    }

    /// Runs it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.with(arguments, "")
    }

    /// Runs it with a manifest or the like as its input: `&["apply", "-f", "-"]`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn with(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = Command::new(script("program"));
        // What it caches belongs to this server.
        let cache = self.kubeconfig.with_file_name("kubectl-cache");
        command.args(["kubectl", "--kubeconfig"]).arg(&self.kubeconfig).arg("--cache-dir").arg(cache).args(arguments);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut kubectl = started.expect("tests/kube/program starts");
        // It may end without reading all of it.
        let _ = kubectl.stdin.take().expect("a pipe").write_all(input.as_bytes());
        let done = kubectl.wait_with_output().expect("kubectl ends");
        Said {
            success: done.status.success(),
            output: String::from_utf8_lossy(&done.stdout).into_owned(),
            error: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// Runs it and gives its output.
    ///
    /// # Panics
    /// With what it complained about, when it fails.
    pub fn must(&self, arguments: &[&str]) -> String {
        self.must_with(arguments, "")
    }

    /// The same with input.
    ///
    /// # Panics
    /// With what it complained about, when it fails.
    pub fn must_with(&self, arguments: &[&str], input: &str) -> String {
        let said = self.with(arguments, input);
        assert!(said.success, "kubectl {}: {}", arguments.join(" "), said.error);
        said.output
    }
}
