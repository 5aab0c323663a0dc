//! `stored` leaves after the sync: the order of system calls, as strace sees it.

use std::{fs, path::Path, process::Command};

use klatch_tests::{
    klatch_process::Start,
    person::{Person, Socket},
};

/// Enough of a written buffer to find a frame in it.
const SHOWN_BYTES: &str = "600";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_leaves_after_the_sync() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let process = Start::default().ready();
    let (ada, bob) = (Person::sign_up(&process.url, "ada").await, Person::sign_up(&process.url, "bob").await);
    let room = ada.direct(&bob).await;
    let (mut socket, mut other) = (ada.connect().await, bob.connect().await);
    // Warm: the first message of a room also loads it.
    socket.say_stored(room, "warm").await;

    let mut strace = Strace::attach(process.pid(), &trace);
    strace.wait_attached(&trace, &mut socket).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(socket.say_stored(room, &format!("message {number}")).await.message_id);
    }
    other.hears(room, "message 19").await;
    strace.detach();

    let calls = fs::read_to_string(&trace).expect("a trace");
    let lines: Vec<&str> = calls.lines().collect();
    for pair in ids.windows(2) {
        check_order(&lines, &pair[0].to_string(), &pair[1].to_string());
    }
}

/// Between `stored` of the message before (each waits for it) and `stored` of this one, a shard's log was written and synced.
/// The send itself cannot be read in the trace: a client's frames are masked.
fn check_order(lines: &[&str], before: &str, id: &str) {
    let between = &lines[first_out(lines, before)..first_out(lines, id)];
    let written = between
        .iter()
        .position(|line| line.contains("pwrite64(") && line.contains("shard-") && line.contains("-wal"))
        .unwrap_or_else(|| panic!("{id} left before its shard's log was written"));
    let begun = between[written..]
        .iter()
        .position(|line| (line.contains("fdatasync(") || line.contains("fsync(")) && line.contains("-wal"))
        .unwrap_or_else(|| panic!("{id} left before a sync of its shard's log began"));
    let begun = written + begun;
    // A call that another thread's interrupted ends in a line of its own.
    let ended = !between[begun].contains("<unfinished ...>")
        || between[begun..].iter().any(|line| line.contains("sync resumed"));
    assert!(ended, "{id} left before the sync of its shard's log had ended");
}

/// The first line that tells anyone of this message: to its sender or to the other one.
fn first_out(lines: &[&str], id: &str) -> usize {
    let writes = ["sendto(", "write(", "writev(", "sendmsg("];
    lines
        .iter()
        .position(|line| line.contains(id) && writes.iter().any(|write| line.contains(write)))
        .unwrap_or_else(|| panic!("nobody was told of {id}"))
}

struct Strace(std::process::Child);

impl Strace {
    fn attach(pid: u32, trace: &Path) -> Self {
        let calls = "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg,recvfrom,read";
        let child = Command::new("strace")
            .args(["-f", "-y", "-s", SHOWN_BYTES, "-e", calls, "-o"])
            .arg(trace)
            .args(["-p", &pid.to_string()])
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("strace is there: make tools");
        Self(child)
    }

    /// Attached is who has seen something.
    async fn wait_attached(&mut self, trace: &Path, socket: &mut Socket) {
        loop {
            socket.settled().await;
            if fs::read_to_string(trace).is_ok_and(|text| text.contains("pong")) {
                return;
            }
            assert!(self.0.try_wait().expect("a child").is_none(), "strace ended: may this user trace?");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    fn detach(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("strace lives");
        self.0.wait().expect("strace ends");
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
