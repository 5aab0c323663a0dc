//! A server's process that never outlives the tests.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// Starts the server behind it in the background and waits at a pipe whose other end the test holds: it closes when the test
/// drops it, panics, or is killed. Then the server is killed too.
const WATCH: &str = r#""$@" </dev/null >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null"#;

/// A running server.
pub struct Process {
    pid: Pid,
    watcher: Child,
}

impl Process {
    /// Starts a program.
    ///
    /// # Panics
    /// When there is no shell.
    #[must_use]
    pub fn start(command: &[String]) -> Self {
        let mut watcher = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut line = String::new();
        let output = watcher.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("the server's pid");
        let pid = line.trim().parse().ok().and_then(Pid::from_raw).expect("the server's pid");
        Self { pid, watcher }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Kills it at once, as a machine that is gone.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Freezes it: connections stay open and nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // It may be gone already.
        let _ = kill_process(self.pid, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// A loopback port that nobody listens on.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
