//! `kubectl port-forward`: a loopback port that leads to one of a pod.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use super::{cluster::Cluster, script};

/// Ends when it is dropped.
pub struct PortForward {
    process: Child,
    // It tells of each connection, and ends when nobody could read that.
    _output: BufReader<ChildStdout>,
    /// The loopback port.
    pub port: u16,
}

impl PortForward {
    /// Leads to this port of a pod.
    ///
    /// # Panics
    /// When it does not come about.
    #[must_use]
    pub fn to(cluster: &Cluster, namespace: &str, pod: &str, port: u16) -> Self {
        let mut command = Command::new(script("program"));
        command.args(["kubectl", "--kubeconfig"]).arg(cluster.kubeconfig());
        command.args(["--namespace", namespace, "port-forward", "--address=127.0.0.1", pod, &format!(":{port}")]);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("kubectl starts");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("its first line");
        // Forwarding from 127.0.0.1:40123 -> 5672
        let told = line.split_whitespace().find_map(|word| word.strip_prefix("127.0.0.1:")?.parse().ok());
        let port = told.unwrap_or_else(|| panic!("kubectl port-forward {pod}: {line:?}"));
        Self { process, _output: output, port }
    }
}

impl Drop for PortForward {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
