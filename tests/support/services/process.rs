//! A server's process that never outlives the tests.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::TcpListener,
    ops::Range,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

/// Starts the server behind it in the background and waits at a pipe whose other end the test holds: it closes when the test
/// drops it, panics, or is killed. Then the server is killed too, with whatever it has started: a session is a group of its own.
const WATCH: &str = r#"setsid "$@" </dev/null >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 -$! 2>/dev/null"#;

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
            // Who kills the tests with all of their group must not kill the watcher first.
            .process_group(0)
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

/// Ports that servers get: below those from which the system takes one for an outgoing connection (Linux from 32,768 on), or
/// somebody's connection would sit there when a server that was killed comes back.
const PORTS: Range<u16> = 10_000..32_000;

/// A loopback port that nobody listens on, and that nobody of this process was given before.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let drawn = (0..1_000).map(|_| rand::random_range(PORTS));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && GIVEN.lock().insert(*port);
    drawn.into_iter().find(is_free).expect("a free port")
}
