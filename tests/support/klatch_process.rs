//! The real binary: `klatch up` and the commands of the command line, started, watched, and gone with the test.

#![allow(clippy::expect_used, clippy::panic)] // what a test cannot go on without

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::person::PATIENCE;

/// The binary, next to this test's own executable: `target/<profile>/klatch`.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let binary = profile.join("klatch");
    assert!(
        binary.is_file(),
        "there is no {}: build it first, with 'cargo build -p klatch' (and the same --profile, --target-dir)",
        binary.display()
    );
    binary
}

/// How a `klatch up` is started.
#[derive(Debug, Default)]
pub struct Start {
    arguments: Vec<String>,
    open_files: Option<u64>,
    path_of_data: Option<PathBuf>,
    listen: Option<String>,
}

impl Start {
    /// More flags.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// With no more open files than this, soft and hard.
    #[must_use]
    pub fn open_files(mut self, limit: u64) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// On this address: for clients that must find it again after a restart.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.to_owned());
        self
    }

    /// On a folder that is there.
    #[must_use]
    pub fn on(mut self, data: &Path) -> Self {
        self.path_of_data = Some(data.to_owned());
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it ends before.
    #[must_use]
    pub fn ready(self) -> Up {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = self.path_of_data.clone().unwrap_or_else(|| folder.path().join("data"));
        let mut up = Up { child: None, url: String::new(), data, log: folder.path().join("log"), _folder: folder };
        up.spawn(&self);
        up.url = up.wait_ready();
        up
    }

    fn command(&self, data: &Path) -> Command {
        let mut command = match self.open_files {
            None => Command::new(binary()),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]).arg(binary());
                shell
            }
        };
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:0");
        command.args(["up", "--listen", listen, "--data"]).arg(data).args(&self.arguments);
        command
    }
}

/// A running `klatch up`. Dropping it kills the process, also when the test fails.
#[derive(Debug)]
pub struct Up {
    child: Option<Child>,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// The data folder.
    pub data: PathBuf,
    log: PathBuf,
    _folder: TempDir,
}

impl Up {
    fn spawn(&mut self, start: &Start) {
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let mut command = start.command(&self.data);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("klatch starts");
        self.child = Some(child);
    }

    /// Reads the one line on standard output.
    fn wait_ready(&mut self) -> String {
        let out = self.child.as_mut().and_then(|child| child.stdout.take()).expect("standard output");
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(out).lines();
            let _ = tell.send(lines.next());
            // What else would come is an error of its own, seen by whoever looks at the log.
            let rest = lines.count();
            assert_eq!(rest, 0, "standard output has one line");
        });
        match told.recv_timeout(PATIENCE) {
            Ok(Some(Ok(line))) => {
                line.strip_prefix("ready ").unwrap_or_else(|| panic!("{line:?} is no ready line")).to_owned()
            }
            other => panic!("klatch up is not ready: {other:?}; its log:\n{}", self.log()),
        }
    }

    /// The process's number.
    ///
    /// # Panics
    /// After it was killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Where it listens, as HOST:PORT.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().expect("it runs")), signal).expect("a signal");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it was killed before.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.take().expect("it runs").wait().expect("a status")
    }

    /// kill -9.
    ///
    /// # Panics
    /// When it had ended by itself before.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.wait().signal(), Some(Signal::KILL.as_raw()), "it ended by itself; its log:\n{}", self.log());
    }

    /// SIGTERM, and waits for a clean end.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "the log:\n{}", self.log());
    }

    /// Starts again on the same data, on a new port.
    pub fn start_again(&mut self, start: &Start) {
        assert!(self.child.is_none(), "it still runs");
        self.spawn(start);
        self.url = self.wait_ready();
    }

    /// `klatch ARGUMENTS --data DATA`.
    #[must_use]
    pub fn owner(&self, arguments: &[&str]) -> Output {
        owner(&self.data, arguments, "")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the log of {}:\n{}", self.url, self.log());
        }
    }
}

/// `klatch ARGUMENTS --data DATA`, with this on standard input.
#[must_use]
pub fn owner(data: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--data").arg(data);
    run(&mut command, input)
}

/// Runs a command to its end, with this on standard input.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .env_remove("KLATCH_BOT_TOKEN")
        .env_remove("KLATCH_SERVER")
        .env_remove("KLATCH_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("klatch starts");
    let mut stdin = child.stdin.take().expect("standard input");
    // One that does not read it closes it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("output")
}

/// Standard output as text, of a command that must succeed.
///
/// # Panics
/// When it failed.
#[allow(clippy::must_use_candidate)] // most callers only want it to succeed
pub fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Standard error as text, of a command that must end with this code.
///
/// # Panics
/// When it ended otherwise.
#[must_use]
pub fn failed(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}{}", String::from_utf8_lossy(&output.stdout));
    text
}
